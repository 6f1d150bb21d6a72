"""Doors and sensors, the zones they are in, and the house they are all in."""

from django.db import models
from django.db.models import Max, Q
from django.utils import timezone

from policies.changes import PolicyQuerySet
from policies.models.names import DEVICE_ID, NO_NUL, Named, NamedQuerySet
from policies.models.schedules import Holiday, Schedule, ScheduleWindow
from policies.prepared import Prepared
from policies.rules import DoorState, Identity

LOCKDOWN = "On: every card is refused, except those of groups that are exempt."


class Lockable(models.Model):
    """What can be locked down. It stays so until somebody ends it, across restarts."""

    lockdown = models.BooleanField(default=False, db_default=False, help_text=LOCKDOWN)

    class Meta:
        abstract = True

    def set_lockdown(self, on: bool) -> None:
        """Lock down, or end it; holds at the first check that starts afterwards."""
        self.lockdown = on
        self.save(update_fields=["lockdown"])


class House(Lockable):
    """The one row that holds for every door."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    # The last entry of the access log when somebody said that the clock is right: those up to it
    # do not show it to be wrong (access/clock.py).
    clock_confirmed = models.BigIntegerField(default=0, editable=False)

    objects = PolicyQuerySet["House"].as_manager()

    class Meta:
        verbose_name_plural = "house"
        constraints = (models.CheckConstraint(name="policies_house_is_one", condition=Q(pk=1)),)

    def __str__(self) -> str:
        return "house"

    @classmethod
    def current(cls) -> "House":
        house, _ = cls.objects.get_or_create(pk=1)
        return house


class DeviceQuerySet(PolicyQuerySet["Device"]):
    def with_status(self) -> "DeviceQuerySet":
        """With all that a row of the devices list shows, in two queries."""
        unrevoked = Q(certificates__revoked_at=None)
        return (
            self.select_related("presence")
            .prefetch_related("zones")
            .annotate(certificate_expires_at=Max("certificates__not_after", filter=unrevoked))
        )


class Device(models.Model):
    """Anything with a client certificate: a door or a sensor."""

    class Kind(models.TextChoices):
        DOOR = "door"
        SENSOR = "sensor"

    # REST framework asks this of whoever a request belongs to.
    is_authenticated = True

    device_id = models.CharField(primary_key=True, max_length=50, validators=[DEVICE_ID])
    kind = models.CharField(max_length=6, choices=Kind.choices)
    name = models.CharField(
        max_length=100, blank=True, validators=[NO_NUL], help_text="Such as “front door”."
    )
    enabled = models.BooleanField(default=True, help_text="Off: the device is refused.")
    firmware_version = models.CharField(max_length=50, blank=True)
    added_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = DeviceQuerySet.as_manager()

    class Meta:
        ordering = ("device_id",)
        constraints = (
            models.CheckConstraint(
                name="policies_device_kind_is_known", condition=Q(kind__in=["door", "sensor"])
            ),
        )

    # What its door is like, when that came with its identity.
    door_state: DoorState | None = None
    # The state of the policies that both were read from.
    as_of: str = ""
    # Monotonic time by which it is answered, when somebody waits.
    answer_by: float = 0.0

    def __str__(self) -> str:
        return self.name or self.device_id

    @classmethod
    def known_as(cls, identity: Identity) -> "Device":
        """The device of an identity; fields that an identity does not hold are read when asked."""
        fields = ("device_id", "kind", "name", "enabled")
        device = cls.from_db("default", fields, [getattr(identity, name) for name in fields])
        device.door_state, device.as_of = identity.door, identity.as_of
        return device


class Door(Lockable):
    """What a device of kind door has beside its identity."""

    device = models.OneToOneField(
        Device, primary_key=True, on_delete=models.CASCADE, related_name="door"
    )
    unlock_seconds = models.PositiveSmallIntegerField(default=5)
    switched_on = models.BooleanField(
        default=True, help_text="Off: the door answers every card with “door disabled”."
    )
    always_locked = models.ForeignKey(
        Schedule,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="locks",
        help_text="While it holds the door answers every card with “door disabled”, holidays "
        "included.",
    )
    always_unlocked = models.ForeignKey(
        Schedule,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="unlocks",
        help_text="While it holds the door is told to stay open; not on holidays. It grants no "
        "card anything.",
    )

    objects = PolicyQuerySet["Door"].as_manager()

    class Meta:
        ordering = ("device",)

    def __str__(self) -> str:
        return str(self.device)

    def state(self) -> DoorState:
        """What a decision asks of it: two queries, and two more when it has schedules.

        Holidays are those that its always-unlocked schedule needs; they do not lift the other.
        """
        zones = dict(ZONES.rows(self.device_id))
        windows = ScheduleWindow.objects.of(self.always_locked_id, self.always_unlocked_id)
        return DoorState(
            device_id=self.device_id,
            switched_on=self.switched_on,
            zones=frozenset(zones),
            lockdown=self.lockdown or any(zones.values()) or bool(HOUSE.rows()),
            locked_windows=windows.get(self.always_locked_id, ()),
            unlocked_windows=windows.get(self.always_unlocked_id, ()),
            holidays=Holiday.objects.values_of_all() if self.always_unlocked_id else (),
        )


class Zone(Named, Lockable):  # noqa: DJ008  # Named has it
    """A set of doors and sensors: ground floor, garage."""

    devices = models.ManyToManyField(Device, blank=True, related_name="zones")

    objects = NamedQuerySet["Zone"].as_manager()


ZONES = Prepared(
    lambda device: Zone.objects.filter(devices=device).order_by().values_list("pk", "lockdown")
)
HOUSE = Prepared(lambda: House.objects.filter(lockdown=True).values_list("pk"))


class Presence(models.Model):
    """When a device was last heard. Apart from Device: it changes every second."""

    device = models.OneToOneField(
        Device, primary_key=True, on_delete=models.CASCADE, related_name="presence"
    )
    last_seen = models.DateTimeField()
    rhythm_seconds = models.FloatField()
    silent_after = models.DateTimeField(db_index=True)
    online = models.BooleanField()

    objects: models.Manager["Presence"] = models.Manager()

    def __str__(self) -> str:
        return f"{self.device_id} at {self.last_seen:%Y-%m-%d %H:%M:%S}"
