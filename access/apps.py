from django.apps import AppConfig


class AccessConfig(AppConfig):
    """Doors ask, the log remembers."""

    name = "access"

    def ready(self) -> None:
        from access import door_events, store
        from realtime import streams

        streams.sink("access", store.write, urgent=True)
        streams.sink("door_events", door_events.write, urgent=True)
