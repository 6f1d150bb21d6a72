"""The page of devices: which are there, how often they speak, and until when they are trusted."""

import datetime as dt
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils import timezone

from policies.models import Device
from policies.roles import Role
from policies.serializers.devices import DeviceSerializer
from sensors.clocks import skews
from smarthome.guard import page_for, with_bar
from smarthome.now import Moment, Row, name_of, state

RIGHT = dt.timedelta(seconds=5)  # as far as a clock may be off; the way here takes time, too
UNITS = (("years", 31_556_952.0), ("days", 86_400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0))
SOON = dt.timedelta(days=30)  # from then on a certificate is warned of


@dataclass(frozen=True, slots=True)
class Shown:
    """A row of the page. `tone` is good, warn, bad or plain."""

    device_id: str
    name: str
    kind: str
    zones: str
    state: str
    tone: str
    seen: Moment | None
    rhythm: str
    firmware: str
    certificate: str
    certificate_tone: str
    clock: str
    clock_tone: str


@page_for(Role.VIEWER)
def devices(request: HttpRequest, role: Role) -> HttpResponse:
    """All devices on record; those that need somebody first."""
    now = timezone.now()
    found, ahead = Device.objects.with_status(), skews()
    rows = [
        shown(one, row, ahead.get(one.pk), now)
        for one, row in zip(found, _rows(found), strict=True)
    ]
    rows.sort(key=lambda row: ("bad", "warn").count(row.tone) == 0)
    return render(request, "devices.html", with_bar(role, {"devices": rows}))


def _rows(found: object) -> list[Row]:
    return list(DeviceSerializer(found, many=True).data)


def shown(device: Device, row: Row, ahead: dt.timedelta | None, now: dt.datetime) -> Shown:
    """A device in words; `ahead` is its clock, None when that is not known."""
    heard = getattr(device, "presence", None)
    until = getattr(device, "certificate_expires_at", None)
    words, certificate_tone = certificate(until, now)
    clock, clock_tone = clock_words(ahead)
    return Shown(
        device_id=device.device_id,
        name=name_of(row),
        kind=device.kind,
        zones=", ".join(row["zones"]),
        state=state(row, now),
        tone="plain" if not device.enabled else "good" if row["online"] else "warn",
        seen=Moment.of(heard.last_seen, now) if heard else None,
        rhythm=every(heard.rhythm_seconds) if heard else "",
        firmware=row["firmware_version"] or "",
        certificate=words,
        certificate_tone=certificate_tone,
        clock=clock,
        clock_tone=clock_tone,
    )


def certificate(until: dt.datetime | None, now: dt.datetime) -> tuple[str, str]:
    """Until when a device is trusted, in words, and the tone of that."""
    if until is None:
        return "none that holds", "bad"
    if until <= now:
        return f"expired on {_day(until)}", "bad"
    days = (until - now).days
    left = "today" if days < 1 else "tomorrow" if days < 2 else f"in {days} days"
    return f"{_day(until)} ({left})", "warn" if until - now < SOON else "plain"


def clock_words(ahead: dt.timedelta | None) -> tuple[str, str]:
    """How a device's clock is, in words, and the tone of that."""
    if ahead is None:
        return "none known", "plain"
    off = abs(ahead).total_seconds()
    if off < RIGHT.total_seconds():
        return "right", "plain"
    unit, length = next((pair for pair in UNITS if off >= 2 * pair[1]), UNITS[-1])
    way = "ahead" if ahead > dt.timedelta() else "behind, or sends what it kept"
    return f"{off / length:.0f} {unit} {way}", "warn"


def every(seconds: float) -> str:
    """`every 10 s`, `every 5 min`, `every 2 h`."""
    for unit, length in (("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            return f"every {seconds / length:.0f} {unit}"
    return f"every {max(1, round(seconds))} s"


def _day(at: dt.datetime) -> str:
    local = timezone.localtime(at)
    return f"{local.day} {local:%b %Y}"


urlpatterns = [path("devices", devices, name="devices")]
