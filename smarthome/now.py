"""What the house is like now, in words: what the dashboard shows when it arrives.

A fixed number of queries, however many devices there are. The page's script says live frames in
the same words; the tables it needs for that go with the page (`Now.for_script`).
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Q

from access import history as access_history
from access.clock import problem
from access.decision import WORDS, Reason
from access.models import AccessLog, DoorEvent
from policies.models import Device
from policies.moments import parse_moment, to_milliseconds, utc_text
from policies.serializers.devices import DeviceSerializer
from realtime import feed
from realtime.models import FeedEvent
from sensors import history
from sensors.models import FLAG_WORDS, METRICS, UNITS
from smarthome.words import age, amount, clock

SHOWN = dt.timedelta(hours=1)  # in a chart
LAST_EVENTS = 50
MOST_ALERTS, LAST_ALERTS = 3, 50

# Decimals on screen, and the least height of a chart: a tenth of a degree is no mountain.
DIGITS = {"temperature": 1, "humidity": 0, "pressure": 0}
LEAST_SPAN = {"temperature": 2, "humidity": 10, "pressure": 4}
DRAWN = {
    name: {"unit": UNITS[name], "digits": DIGITS[name], "span": LEAST_SPAN[name]}
    for name in METRICS
}
# What a door reports that somebody should look at.
ALARMING = (DoorEvent.Event.FORCED_OPEN, DoorEvent.Event.HELD_OPEN, DoorEvent.Event.TAMPER)

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Moment:
    """A time as the page writes it."""

    at: dt.datetime
    iso: str
    clock: str
    age: str

    @classmethod
    def of(cls, at: dt.datetime, now: dt.datetime) -> "Moment":
        return cls(at, utc_text(at), clock(at, now), age(at, now))


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured quantity of a sensor."""

    name: str
    value: str
    unit: str
    hidden: bool  # the sensor does not measure it


@dataclass(frozen=True, slots=True)
class Sensor:
    device_id: str = ""
    name: str = ""
    state: str = ""
    online: bool = False
    zones: Sequence[str] = ()
    seen: Moment | None = None
    metrics: Sequence[Metric] = ()
    spread: str = ""  # of the first metric in the last hour: “20.9 – 21.8 °C”
    others: Sequence[tuple[str, str]] = ()
    flags: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the access log: “Anna, front door, 07:41, allowed”."""

    id: str = ""
    seen: Moment | None = None
    who: str = ""
    where: str = ""
    granted: bool = False
    verdict: str = ""
    card_uid: str = ""


@dataclass(frozen=True, slots=True)
class LastAtDoor:
    """“Anna, 07:41, allowed” or “held open, 07:41”."""

    seen: Moment
    what: str
    verdict: str
    tone: str  # good, bad or plain


@dataclass(frozen=True, slots=True)
class Door:
    device_id: str = ""
    name: str = ""
    state: str = ""
    online: bool = False
    zones: Sequence[str] = ()
    last: LastAtDoor | None = None


@dataclass(frozen=True, slots=True)
class Alert:
    seq: int = 0
    seen: Moment | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Now:
    """The house at one moment."""

    at: dt.datetime
    position: feed.Position
    sensors: list[Sensor]
    doors: list[Door]
    events: list[Event]
    alerts: list[Alert]
    minutes: dict[str, list[history.Point]]
    clock_problem: str
    # What the script clones for what the house gets meanwhile.
    blank_sensor: Sensor
    blank_door: Door = Door()
    blank_event: Event = Event()
    blank_alert: Alert = Alert()

    @classmethod
    def read(cls, at: dt.datetime, *, with_uid: bool) -> "Now":
        """The house at `at`, which is now. The feed's number is read first: what happens
        meanwhile is told again, and not missed."""
        position = feed.position()
        rows = list(DeviceSerializer(Device.objects.with_status(), many=True).data)
        latest = history.latest_of_all()
        minutes = history.minutes_of_all(at - SHOWN, at)
        names = {row["device_id"]: name_of(row) for row in rows}
        doors = [row for row in rows if row["kind"] == Device.Kind.DOOR]
        last = last_at_doors(at)
        return cls(
            at=at,
            position=position,
            sensors=[
                sensor(row, latest.get(row["device_id"]), minutes.get(row["device_id"], []), at)
                for row in rows
                if row["kind"] == Device.Kind.SENSOR or row["device_id"] in latest
            ],
            doors=[Door(**device(row, at), last=last.get(row["device_id"])) for row in doors],
            events=[
                event(row, at, with_uid=with_uid) for row in AccessLog.objects.all()[:LAST_EVENTS]
            ],
            alerts=alerts(names, at),
            minutes=minutes,
            clock_problem=problem(at),
            blank_sensor=Sensor(metrics=[metric(name, None) for name in METRICS]),
        )

    @property
    def clock(self) -> str:
        return clock(self.at, self.at)

    def for_script(self) -> dict[str, Any]:
        """What the page's script begins with."""
        return {
            "feed": self.position.feed_id,
            "seq": self.position.seq,
            "now": utc_text(to_milliseconds(self.at)),
            "zone": settings.TIME_ZONE,
            "metrics": DRAWN,
            "reasons": {str(reason): words for reason, words in WORDS.items()},
            "flags": FLAG_WORDS,
            "door_events": dict(DoorEvent.Event.choices),
            "alarming": [str(kind) for kind in ALARMING],
            "minutes": {key: [_compact(p) for p in found] for key, found in self.minutes.items()},
        }


def device(row: Row, now: dt.datetime) -> dict[str, Any]:
    """What a sensor and a door show alike."""
    return {
        "device_id": row["device_id"],
        "name": name_of(row),
        "state": state(row, now),
        "online": row["online"] and row["enabled"],
        "zones": sorted(row["zones"]),
    }


def name_of(row: Row) -> str:
    return str(row["name"] or row["device_id"])


def state(row: Row, now: dt.datetime) -> str:
    """Whether a device is there, in words."""
    if not row["enabled"]:
        return "switched off"
    if row["online"]:
        return "online"
    if row["last_seen"] is None:
        return "not connected yet"
    return f"offline since {clock(parse_moment(row['last_seen']), now)}"


def sensor(
    row: Row, reading: history.Point | None, minutes: Sequence[history.Point], now: dt.datetime
) -> Sensor:
    spreads = {name: spread_of(name, minutes) for name in METRICS}
    shown = {**dict.fromkeys(METRICS), **(reading or {})}
    return Sensor(
        **device(row, now),
        seen=Moment.of(parse_moment(shown["timestamp"]), now) if reading else None,
        metrics=[metric(name, shown[name], is_measured=bool(spreads[name])) for name in METRICS],
        spread=next(filter(None, spreads.values()), ""),
        others=[(n.replace("_", " "), amount(v)) for n, v in shown.get("metrics", {}).items()],
        flags=[FLAG_WORDS.get(flag, flag) for flag in shown.get("flags", [])],
    )


def metric(name: str, value: float | None, *, is_measured: bool = False) -> Metric:
    hidden = value is None and not is_measured
    return Metric(name, amount(value, DIGITS[name]), UNITS[name], hidden)


def spread_of(name: str, minutes: Sequence[history.Point]) -> str:
    """Between which values a metric was, a minute's mean being one; "" when there are none."""
    values = [m[f"{name}_avg"] for m in minutes if m[f"{name}_avg"] is not None]
    if not values:
        return ""
    least, most = (amount(v, DIGITS[name]) for v in (min(values), max(values)))
    return f"{least if least == most else f'{least} – {most}'} {UNITS[name]}"


def event(row: AccessLog, now: dt.datetime, *, with_uid: bool) -> Event:
    return Event(
        id=str(row.log_id),
        seen=Moment.of(row.timestamp, now),
        who=who(row),
        where=row.device_name or row.device_id,
        granted=row.granted,
        verdict=verdict(row),
        card_uid=row.card_uid if with_uid else "",
    )


def who(row: AccessLog) -> str:
    return row.user_name or "Unknown card"


def verdict(row: AccessLog) -> str:
    """“allowed”, “refused: expired”; of an unknown card there is no more to say."""
    if row.granted:
        return WORDS[Reason.GRANTED]
    return (
        "refused" if row.reason == Reason.UNKNOWN_CARD else f"refused: {row.get_reason_display()}"
    )


def last_at_doors(now: dt.datetime) -> dict[str, LastAtDoor]:
    """What happened last at each door: somebody's card, or what the door reported."""
    doors = Device.objects.filter(kind=Device.Kind.DOOR)
    found = {
        row.device_id: LastAtDoor(
            Moment.of(row.timestamp, now), who(row), verdict(row), "good" if row.granted else "bad"
        )
        for row in access_history.newest_by_door(AccessLog, doors)
    }
    for row in access_history.newest_by_door(DoorEvent, doors):
        if row.device_id not in found or found[row.device_id].seen.at <= row.timestamp:
            tone = "bad" if row.event in ALARMING else "plain"
            seen = Moment.of(row.timestamp, now)
            found[row.device_id] = LastAtDoor(seen, row.get_event_display(), "", tone)
    return found


def alerts(names: Mapping[str, str], now: dt.datetime) -> list[Alert]:
    """The newest alerts that the feed still keeps; of those that say the same, the newest."""
    kept = FeedEvent.objects.filter(
        Q(type="system_alert") | Q(type="door_event", data__event__in=ALARMING)
    )
    found: dict[str, FeedEvent] = {}
    for one in kept.order_by("-seq")[:LAST_ALERTS]:
        found.setdefault(alert_words(one, names), one)
    return [
        Alert(one.seq, Moment.of(parse_moment(one.timestamp), now), text)
        for text, one in list(found.items())[:MOST_ALERTS]
    ]


def alert_words(one: FeedEvent, names: Mapping[str, str]) -> str:
    if one.type == "system_alert":
        return str(one.data["message"])
    event = DoorEvent.Event(one.data["event"])
    return f"{names.get(one.device_id, one.device_id)}: {event.label}"


def _compact(minute: history.Point) -> list[float | None]:
    """Start (epoch seconds), count, then the mean of each metric."""
    means = [minute[f"{name}_avg"] for name in METRICS]
    return [
        parse_moment(minute["timestamp"]).timestamp(),
        minute["count"],
        *(mean if mean is None else round(mean, 2) for mean in means),
    ]
