"""Who and what is trusted: people, their cards, devices, their certificates, rules."""

import datetime as dt
import unicodedata
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import ProhibitNullCharactersValidator, RegexValidator
from django.db import IntegrityError, models, transaction
from django.db.models import F, Max, Q
from django.utils import timezone

from policies import uid
from policies.changes import PolicyQuerySet
from policies.rules import CardStatus as Status
from policies.rules import Credential, DoorState, Identity, RuleScope

DEVICE_ID = RegexValidator(
    r"\A[A-Za-z0-9._-]{1,50}\Z", "A device id is 1 to 50 of the characters A-Z a-z 0-9 . _ -"
)
NO_NUL = ProhibitNullCharactersValidator()
MAX_NAME = 200


class CardExists(Exception):
    """This UID is on record already."""


class CardBlocked(Exception):
    """A blocked card is opened again by its status only, never in passing."""


def checked_name(name: str) -> str:
    """A person's name as it is kept: trimmed, its letters composed (Unicode's NFC).

    ValidationError when it is empty, too long, or holds what no database takes.
    """
    kept = unicodedata.normalize("NFC", name.strip())
    if not 1 <= len(kept) <= MAX_NAME:
        raise ValidationError(f"A name has 1 to {MAX_NAME} characters.")
    if any(sign == "\0" or "\ud800" <= sign <= "\udfff" for sign in kept):
        raise ValidationError("A name holds no NUL and no half characters.")
    return kept


def folded(name: str) -> str:
    """A name as it is compared: `ANNA Müller ` and `anna müller` are one person."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name.strip()).casefold())


class PeopleGroup(models.Model):
    """People who share rules: family, cleaners, tenants."""

    name = models.CharField(max_length=100, unique=True, validators=[NO_NUL])

    objects = PolicyQuerySet["PeopleGroup"].as_manager()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class PersonQuerySet(PolicyQuerySet["Person"]):
    def named(self, name: str) -> "Person":
        """The person of that name (case does not matter), made if new."""
        person, _ = self.get_or_create(folded_name=folded(name), defaults={"name": name})
        return person


class Person(models.Model):
    """Somebody who was given cards. Not a user: users sign in to the console."""

    name = models.CharField(
        max_length=MAX_NAME,
        validators=[NO_NUL],
        help_text="As it shall stand in the log and on the door. One person a name.",
    )
    # SQLite folds ASCII only, so the comparison form is a column of its own. Folding makes up to
    # three characters of one.
    folded_name = models.CharField(max_length=3 * MAX_NAME, unique=True, editable=False)
    active = models.BooleanField(default=True, help_text="Off: all cards of this person rest.")
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_until = models.DateTimeField(null=True, blank=True)
    groups = models.ManyToManyField(PeopleGroup, blank=True, related_name="people")
    added_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = PersonQuerySet.as_manager()

    class Meta:
        ordering = ("folded_name",)
        verbose_name_plural = "people"
        constraints = (
            models.CheckConstraint(
                name="policies_person_is_valid_forwards",
                condition=Q(valid_from=None)
                | Q(valid_until=None)
                | Q(valid_from__lt=F("valid_until")),
                violation_error_message="“Valid from” must lie before “valid until”.",
            ),
        )

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.name = unicodedata.normalize("NFC", self.name.strip())
        self.folded_name = folded(self.name)
        super().save(*args, **kwargs)

    def clean(self) -> None:
        try:
            self.name = checked_name(self.name)
        except ValidationError as error:
            raise ValidationError({"name": error.messages}) from None
        if Person.objects.filter(folded_name=folded(self.name)).exclude(pk=self.pk).exists():
            raise ValidationError({"name": "There is a person of this name already."})


class CardQuerySet(PolicyQuerySet["Card"]):
    def find_credential(self, card_uid: str) -> Credential | None:
        """What the rules say about a card, or None when nobody was given it."""
        card = self.select_related("person").filter(uid=card_uid).first()
        if card is None:
            return None
        return Credential(
            uid=card.uid,
            holder=card.person.name,
            status=Status(card.status),
            holder_active=card.person.active,
            valid_from=_latest(card.valid_from, card.person.valid_from),
            valid_until=_earliest(card.valid_until, card.person.valid_until),
            rules=Rule.objects.scopes_for(card.person_id),
        )

    def matching(self, term: str) -> "CardQuerySet":
        """The cards whose holder's name or UID contains the term, in any way of writing it."""
        found = Q(person__folded_name__contains=folded(term))
        if part := uid.fragment(term):
            found |= Q(uid__contains=part)
        return self.filter(found)

    def give(self, card_uid: str, name: str, **fields: Any) -> "Card":
        """Put a card on record for the person of that name, who is made if new.

        CardExists, and nothing changed, when somebody has it already.
        """
        try:
            with transaction.atomic():
                return self.create(uid=card_uid, person=Person.objects.named(name), **fields)
        except IntegrityError:
            raise CardExists from None


class Card(models.Model):
    """A physical token. Its UID is an identifier that can be cloned, not a secret."""

    uid = models.CharField(
        "UID",
        primary_key=True,
        max_length=29,
        help_text="4 to 10 bytes of hex as the reader shows them, such as 04:A3:2B:F2:1C:80.",
    )
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="cards")
    label = models.CharField(
        max_length=100, blank=True, validators=[NO_NUL], help_text="Such as “blue fob”."
    )
    status = models.CharField(
        max_length=8,
        default=Status.ACTIVE,
        choices=[
            (Status.ACTIVE, "active"),
            (Status.INACTIVE, "inactive"),
            (Status.BLOCKED, "blocked (lost or stolen)"),
        ],
    )
    valid_from = models.DateTimeField(null=True, blank=True)
    valid_until = models.DateTimeField("expires", null=True, blank=True)
    added_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = CardQuerySet.as_manager()

    class Meta:
        ordering = ("person__folded_name", "uid")
        constraints = (
            models.CheckConstraint(
                name="policies_card_status_is_known", condition=Q(status__in=list(Status))
            ),
        )

    def __str__(self) -> str:
        return f"{self.uid} ({self.label})" if self.label else self.uid

    @property
    def active(self) -> bool:
        return self.status == Status.ACTIVE

    def clean(self) -> None:
        try:
            self.uid = uid.canonical(self.uid)
        except ValueError as error:
            raise ValidationError({"uid": str(error)}) from None
        if self.valid_from and self.valid_until and self.valid_from >= self.valid_until:
            raise ValidationError({"valid_until": "Must lie after “valid from”."})

    def change(self, changes: Mapping[str, Any]) -> None:
        """Apply those of `user_name`, `expires_at`, `active` and `status` that are there.

        CardBlocked, and nothing changed, when `active` alone should open a blocked card.
        """
        self.status = self._status_after(changes)
        if "expires_at" in changes:
            self.valid_until = changes["expires_at"]
        if "user_name" in changes:
            self.person = Person.objects.named(changes["user_name"])
        self.save(update_fields=["status", "valid_until", "person"])

    def revoke(self) -> None:
        """End the card's rights; the next check is refused. It stays on record."""
        self.change({"active": False})

    def block(self) -> None:
        """Lost or stolen: refused, and an alert when somebody tries it."""
        self.change({"status": Status.BLOCKED})

    def reactivate(self) -> None:
        """Let the card open again, whatever stopped it."""
        self.change({"status": Status.ACTIVE})

    def _status_after(self, changes: Mapping[str, Any]) -> str:
        if "status" in changes:
            return str(changes["status"])
        if "active" not in changes:
            return self.status
        if self.status != Status.BLOCKED:
            return Status.ACTIVE if changes["active"] else Status.INACTIVE
        if changes["active"]:
            raise CardBlocked
        # Not inactive: that would end the alert when a thief tries the card.
        return Status.BLOCKED


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
    # Monotonic time by which it is answered, when somebody waits.
    answer_by: float = 0.0

    def __str__(self) -> str:
        return self.name or self.device_id

    @classmethod
    def known_as(cls, identity: Identity) -> "Device":
        """The device of an identity; fields that an identity does not hold are read when asked."""
        fields = ("device_id", "kind", "name", "enabled")
        device = cls.from_db("default", fields, [getattr(identity, name) for name in fields])
        device.door_state = identity.door
        return device


class Door(models.Model):
    """What a device of kind door has beside its identity."""

    device = models.OneToOneField(
        Device, primary_key=True, on_delete=models.CASCADE, related_name="door"
    )
    unlock_seconds = models.PositiveSmallIntegerField(default=5)
    switched_on = models.BooleanField(
        default=True, help_text="Off: the door answers every card with “door disabled”."
    )

    objects = PolicyQuerySet["Door"].as_manager()

    class Meta:
        ordering = ("device",)

    def __str__(self) -> str:
        return str(self.device)

    def state(self) -> DoorState:
        return DoorState(device_id=self.device_id, switched_on=self.switched_on)


class Zone(models.Model):
    """A set of doors and sensors: ground floor, garage."""

    name = models.CharField(max_length=100, unique=True, validators=[NO_NUL])
    devices = models.ManyToManyField(Device, blank=True, related_name="zones")

    objects = PolicyQuerySet["Zone"].as_manager()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class CertificateQuerySet(PolicyQuerySet["Certificate"]):
    def current(self, at: dt.datetime) -> "CertificateQuerySet":
        """Those that are accepted at that moment."""
        return self.filter(revoked_at=None, not_before__lte=at, not_after__gt=at)

    def find_identity(self, fingerprint: str) -> Identity | None:
        """Whose certificate that is, or None when it is not on record."""
        certificate = self.select_related("device__door").filter(fingerprint=fingerprint).first()
        if certificate is None:
            return None
        device = certificate.device
        door: Door | None = getattr(device, "door", None)
        return Identity(
            device_id=device.device_id,
            kind=device.kind,
            name=device.name,
            enabled=device.enabled,
            not_before=certificate.not_before,
            not_after=certificate.not_after,
            revoked=certificate.revoked_at is not None,
            door=door.state() if door else None,
        )

    def revoke(self) -> int:
        """End their trust from the next request on; returns how many were still good."""
        return self.filter(revoked_at=None).update(revoked_at=timezone.now())


class Certificate(models.Model):
    """A client certificate that our CA issued. Two may be valid at once, for rotation."""

    fingerprint = models.CharField(
        max_length=64, primary_key=True, help_text="SHA-256 of the DER bytes, lower-case hex."
    )
    device = models.ForeignKey(Device, on_delete=models.CASCADE, related_name="certificates")
    serial = models.CharField(max_length=40)
    not_before = models.DateTimeField("valid from")
    not_after = models.DateTimeField("valid until")
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects = CertificateQuerySet.as_manager()

    class Meta:
        ordering = ("device", "-not_before")

    def __str__(self) -> str:
        return f"{self.device_id}, until {self.not_after:%Y-%m-%d}"


class RuleQuerySet(PolicyQuerySet["Rule"]):
    def scopes_for(self, person_id: int) -> tuple[RuleScope, ...]:
        """The rules that let this person pass, as values, in one query."""
        rows = (
            self.filter(Q(group=None) | Q(group__people=person_id))
            .order_by("name")
            .values_list("name", "every_door", "doors", "zone__devices")
        )
        doors: dict[str, set[str] | None] = {}
        for name, every_door, door, in_zone in rows:
            named = doors.setdefault(name, None if every_door else set())
            if named is not None:
                named.update(device for device in (door, in_zone) if device)
        return tuple(
            RuleScope(name, None if named is None else frozenset(named))
            for name, named in doors.items()
        )


class Rule(models.Model):
    """Lets a group of people through doors. What no rule allows is refused."""

    name = models.CharField(max_length=100, unique=True, validators=[NO_NUL])
    group = models.ForeignKey(
        PeopleGroup,
        null=True,
        blank=True,
        on_delete=models.CASCADE,
        related_name="rules",
        help_text="Empty: everyone.",
    )
    every_door = models.BooleanField(default=False)
    doors = models.ManyToManyField(Door, blank=True, related_name="rules")
    zone = models.ForeignKey(
        Zone, null=True, blank=True, on_delete=models.CASCADE, related_name="rules"
    )

    objects = RuleQuerySet.as_manager()

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


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


class PolicyRevisionManager(models.Manager["PolicyRevision"]):
    def current(self) -> str:
        """The revision as the cache keeps it; empty when nothing was ever changed."""
        return str(self.values_list("value", flat=True).first() or "")


class PolicyRevision(models.Model):
    """One row, whose value is another one after every transaction that changed a policy.

    Triggers write it (policies/changes.py). Random, so that a restored database is another state.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    value = models.UUIDField()

    objects = PolicyRevisionManager()

    def __str__(self) -> str:
        return str(self.value)


class TokenFamily(models.Model):
    """One sign-in by API: the chain of refresh tokens that came of one password."""

    id = models.UUIDField(primary_key=True)
    user = models.ForeignKey("auth.User", on_delete=models.CASCADE, related_name="token_families")
    # The one refresh token that is still good. Presenting an older one ends the family.
    current_token = models.UUIDField()
    password_digest = models.CharField(max_length=128)
    expires_at = models.DateTimeField(db_index=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    objects: models.Manager["TokenFamily"] = models.Manager()

    class Meta:
        verbose_name_plural = "token families"

    def __str__(self) -> str:
        return f"{self.user}, until {self.expires_at:%Y-%m-%d}"


def _latest(*moments: dt.datetime | None) -> dt.datetime | None:
    return max((moment for moment in moments if moment), default=None)


def _earliest(*moments: dt.datetime | None) -> dt.datetime | None:
    return min((moment for moment in moments if moment), default=None)
