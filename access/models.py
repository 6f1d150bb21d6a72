"""The access log: evidence. It never cascades and is never edited."""

from django.db import models

from access.decision import WORDS, Reason


class AccessLog(models.Model):
    """One answered access check, as it was: names and UIDs are copies, not references."""

    # Arrival order. `log_id` is the row's name outside (column `id`).
    number = models.BigAutoField(primary_key=True)
    log_id = models.UUIDField(unique=True, db_column="id", editable=False)
    timestamp = models.DateTimeField("time")
    device_id = models.CharField(max_length=50)
    device_name = models.CharField(max_length=100, blank=True)
    card_uid = models.CharField("UID", max_length=29)
    user_name = models.CharField("person", max_length=200, blank=True)
    granted = models.BooleanField()
    reason = models.CharField(max_length=20, choices=[(r, WORDS[r]) for r in Reason])
    rule = models.CharField(max_length=100, blank=True)
    latency_ms = models.FloatField("answered in (ms)")

    objects: models.Manager["AccessLog"] = models.Manager()

    class Meta:
        db_table = "access_logs"
        ordering = ("-timestamp", "-number")
        verbose_name = "access log entry"
        verbose_name_plural = "access log"
        indexes = (
            models.Index(fields=["-timestamp", "-number"], name="access_newest_first"),
            models.Index(fields=["device_id", "-timestamp"], name="access_by_device"),
            models.Index(fields=["card_uid", "-timestamp"], name="access_by_card"),
        )

    def __str__(self) -> str:
        who = self.user_name or "unknown card"  # no number: a viewer reads this, too
        where = self.device_name or self.device_id
        return f"{who}, {where}, {self.timestamp:%Y-%m-%d %H:%M}, {self.get_reason_display()}"


class DoorEvent(models.Model):
    """What a door reported of itself. Evidence like the access log."""

    class Event(models.TextChoices):
        FORCED_OPEN = "forced_open", "forced open"
        HELD_OPEN = "held_open", "held open"
        CLOSED = "closed", "closed"
        TAMPER = "tamper", "tampered with"
        REQUEST_TO_EXIT = "request_to_exit", "request to exit"

    number = models.BigAutoField(primary_key=True)
    log_id = models.UUIDField(unique=True, db_column="id", editable=False)
    timestamp = models.DateTimeField("time")
    device_id = models.CharField(max_length=50)
    device_name = models.CharField(max_length=100, blank=True)
    event = models.CharField(max_length=20, choices=Event.choices)
    fields = models.JSONField("what the door said")

    objects: models.Manager["DoorEvent"] = models.Manager()

    class Meta:
        db_table = "door_events"
        ordering = ("-timestamp", "-number")
        indexes = (models.Index(fields=["device_id", "-timestamp"], name="door_events_by_device"),)

    def __str__(self) -> str:
        where = self.device_name or self.device_id
        return f"{where}, {self.timestamp:%Y-%m-%d %H:%M}, {self.get_event_display()}"
