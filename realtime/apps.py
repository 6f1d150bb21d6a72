from django.apps import AppConfig


class RealtimeConfig(AppConfig):
    """Transport: what is published, stored and shown live."""

    name = "realtime"
