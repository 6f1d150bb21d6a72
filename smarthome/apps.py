from django.apps import AppConfig


class SmarthomeConfig(AppConfig):
    """Settings, the server, the pages and the commands that start the house."""

    name = "smarthome"
