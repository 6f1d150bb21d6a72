from django.apps import AppConfig


class AccessConfig(AppConfig):
    """Doors ask, the log remembers."""

    name = "access"

    def ready(self) -> None:
        from access import store
        from realtime import streams

        streams.sink("access", store.write)
