from django.apps import AppConfig


class SensorsConfig(AppConfig):
    """Readings: accepted, stored, summed up, read back."""

    name = "sensors"

    def ready(self) -> None:
        from realtime import streams
        from sensors import store

        streams.sink("sensors", store.write)
