"""What is trusted: certificates, sign-ins, and the state of the policies as a whole."""

import datetime as dt

from django.db import models
from django.utils import timezone

from policies.changes import PolicyQuerySet
from policies.models.devices import Device, Door
from policies.prepared import Prepared
from policies.rules import Identity
from policies.snapshot import snapshot


class CertificateQuerySet(PolicyQuerySet["Certificate"]):
    def current(self, at: dt.datetime) -> "CertificateQuerySet":
        """Those that are accepted at that moment."""
        return self.filter(revoked_at=None, not_before__lte=at, not_after__gt=at)

    def find_identity(self, fingerprint: str) -> Identity | None:
        """Whose certificate that is, or None when it is not on record."""
        with snapshot() as as_of:
            found = IDENTITY.row(fingerprint)
            if found is None:
                return None
            device_id, kind, name, enabled, not_before, not_after, revoked_at, *of_door = found
            door = Door(device_id=device_id, **dict(zip(OF_DOOR, of_door, strict=True)))
            return Identity(
                device_id=device_id,
                kind=kind,
                name=name,
                enabled=enabled,
                not_before=not_before,
                not_after=not_after,
                revoked=revoked_at is not None,
                door=door.state() if door.switched_on is not None else None,
                as_of=as_of,
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


OF_DOOR = ("switched_on", "lockdown", "always_locked_id", "always_unlocked_id")
IDENTITY = Prepared(
    lambda fingerprint: (
        Certificate.objects.filter(fingerprint=fingerprint)
        .order_by()
        .values_list(
            "device", "device__kind", "device__name", "device__enabled",
            "not_before", "not_after", "revoked_at",
            *(f"device__door__{name}" for name in OF_DOOR),
        )
    )
)  # fmt: skip


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
