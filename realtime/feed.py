"""The live feed: what happened, numbered, kept for a while, and handed to who watches.

A sink announces its frames inside the transaction that stores what they tell of, so that nothing
is shown that did not happen and numbers come in the order of the commits. `seq` is one line for
the whole house; a viewer is not sent every number, so a jump is no loss: loss is always said.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from realtime.insert import insert_new
from realtime.models import Feed, FeedEvent

Frame = dict[str, Any]
Listener = Callable[[Sequence[Frame]], None]

READING = "sensor_reading"
KINDS = frozenset([READING, "access_event", "door_event", "device_status", "system_alert"])
KEPT = dt.timedelta(hours=2)  # the contract promises one

_listeners: list[Listener] = []


@dataclass(frozen=True, slots=True)
class Position:
    """Where the feed stands: its name, its newest number, and up to where it has forgotten."""

    feed_id: str
    seq: int
    pruned_to: int


def frame(kind: str, device_id: str, timestamp: str, data: dict[str, Any]) -> Frame:
    """A frame without its number yet. `timestamp` as the outside writes it."""
    return {"type": kind, "device_id": device_id, "timestamp": timestamp, "data": data}


def announce(frames: Sequence[Frame]) -> None:
    """Number frames, keep the events among them, and show all when the transaction commits."""
    if not frames:
        return
    first = _count(len(frames))
    numbered = [one | {"seq": first + index} for index, one in enumerate(frames)]
    now = timezone.now()
    events = [_event(one, now) for one in numbered if one["type"] != READING]
    if events:
        insert_new(events, "seq")
    transaction.on_commit(lambda: _show(numbered))


def listen(listener: Listener) -> None:
    """Call `listener` with every committed group of frames, on the thread that committed it."""
    _listeners.append(listener)


def position() -> Position:
    """Where the feed stands now."""
    feed = Feed.objects.get()
    return Position(str(feed.feed_id), feed.seq, feed.pruned_to)


def events_between(after: int, up_to: int, most: int | None = None) -> list[Frame]:
    """The kept events with `after` < seq <= `up_to`, oldest first, at most so many."""
    events = FeedEvent.objects.filter(seq__gt=after, seq__lte=up_to)
    names = ("type", "seq", "device_id", "timestamp", "data")
    return [{**event} for event in events.values(*names)[:most]]


def prune(now: dt.datetime) -> None:
    """Forget events older than two hours."""
    old = FeedEvent.objects.filter(added_at__lt=now - KEPT)
    with transaction.atomic():
        newest = old.order_by("-seq").values_list("seq", flat=True).first()
        if newest is not None:
            old.filter(seq__lte=newest).delete()
            Feed.objects.update(pruned_to=newest)


def _count(how_many: int) -> int:
    """Take so many numbers; the first of them. Locks the line until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE realtime_feed SET seq = seq + %s RETURNING seq", [how_many])
        last: int = cursor.fetchone()[0]
    return last - how_many + 1


def _event(one: Frame, now: dt.datetime) -> FeedEvent:
    return FeedEvent(
        seq=one["seq"],
        type=one["type"],
        device_id=one["device_id"],
        timestamp=one["timestamp"],
        data=one["data"],
        added_at=now,
    )


def _show(frames: Sequence[Frame]) -> None:
    for listener in _listeners:
        listener(frames)
