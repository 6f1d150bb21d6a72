"""Give a device trust, and end it."""

from pathlib import Path

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from policies import pki
from policies.models import Certificate, Device, Door

# A device's files are named after it and lie beside ca.crt.
RESERVED_IDS = (".", "..", "ca")


class EnrolmentError(ValueError):
    """This device cannot be enrolled or revoked; the text says why."""


def pki_folder() -> Path:
    """Where the CA and the server's certificate are kept."""
    return settings.DATA_DIR / "pki"


def enrol(device_id: str, kind: str, name: str = "") -> pki.Issued:
    """Put a device and its first certificate on record, or a known one's next.

    A device that still has a valid certificate is refused: revoke it first. EnrolmentError
    says what is wrong with the request, PkiError what is wrong with the CA.
    """
    _check(Device(device_id=device_id, kind=kind, name=name))
    with transaction.atomic():
        device, made = Device.objects.select_for_update().get_or_create(
            device_id=device_id, defaults={"kind": kind, "name": name}
        )
        if not made:
            _check_known(device, kind)
        if name and device.name != name:
            device.name = name
            device.save(update_fields=["name"])
        if kind == Device.Kind.DOOR:
            Door.objects.get_or_create(device=device)
        issued = pki.issue_device(pki_folder(), device_id)
        Certificate.objects.create(
            fingerprint=issued.fingerprint,
            device=device,
            serial=issued.serial,
            not_before=issued.not_before,
            not_after=issued.not_after,
        )
    return issued


def revoke(device_id: str) -> int:
    """End a device's trust at once; returns how many certificates were still good.

    They are asked for on every request, so open connections lose their rights too.
    """
    if not Device.objects.filter(device_id=device_id).exists():
        raise EnrolmentError(f"There is no device {device_id!r}.")
    certificates = Certificate.objects.filter(device_id=device_id, revoked_at=None)
    return certificates.update(revoked_at=timezone.now())


def _check(device: Device) -> None:
    if device.device_id.lower() in RESERVED_IDS:
        raise EnrolmentError(
            f"A device cannot be called {device.device_id!r}: its files are named after it."
        )
    try:
        device.full_clean(validate_unique=False, validate_constraints=False)
    except ValidationError as error:
        raise EnrolmentError(" ".join(error.messages)) from None


def _check_known(device: Device, kind: str) -> None:
    if device.kind != kind:
        raise EnrolmentError(
            f"{device.device_id} is known as a {device.kind}: choose another id for the {kind}."
        )
    if device.certificates.current(timezone.now()).exists():
        raise EnrolmentError(
            f"{device.device_id} has a valid certificate. If it is lost, run "
            f"manage.py revoke_device {device.device_id} first."
        )
