from django.apps import AppConfig


class SensorsConfig(AppConfig):
    """Readings: accepted, stored, summed up, read back."""

    name = "sensors"
