"""The sink of access events: embedded inside the check's transaction, in production a batch."""

from collections.abc import Iterator, Sequence

from access.decision import Reason
from access.models import AccessLog
from policies import presence
from policies.models import VisitEntry
from policies.moments import parse_moment
from realtime import feed
from realtime.insert import insert_new
from realtime.streams import Entry

# What a row of the log shows outside; the sink knows the values before the row has a number.
ROW = ("id", "timestamp", "device_id", "card_uid", "granted", "reason", "user_name", "latency_ms")


def write(entries: Sequence[Entry]) -> None:
    """Store access events and show the new ones. The same id is the same row: a repeat changes
    nothing."""
    by_id = {entry["id"]: entry for entry in entries}
    rows = [
        AccessLog(
            log_id=entry["id"],
            timestamp=parse_moment(entry["timestamp"]),
            device_id=entry["device_id"],
            device_name=entry["device_name"],
            card_uid=entry["card_uid"],
            user_name=entry["user_name"],
            granted=entry["granted"],
            reason=entry["reason"],
            rule=entry["rule"],
            latency_ms=entry["latency_ms"],
        )
        for entry in by_id.values()
    ]
    new = insert_new(rows, "log_id")
    VisitEntry.objects.keep(
        VisitEntry(id=row.log_id, visit_id=by_id[row.log_id]["visit"], entered_at=row.timestamp)
        for row in rows
        if "visit" in by_id[row.log_id]
    )
    feed.announce([f for id, entry in by_id.items() if id in new for f in _frames(entry)])
    presence.seen({row.device_id: row.timestamp for row in rows})


def _frames(entry: Entry) -> Iterator[feed.Frame]:
    """The log row, and an alert when the card was reported lost or stolen."""
    device_id, at = entry["device_id"], entry["timestamp"]
    yield feed.frame("access_event", device_id, at, {name: entry[name] for name in ROW})
    if entry["reason"] == Reason.CARD_BLOCKED:
        where = entry["device_name"] or device_id
        text = f"A card of {entry['user_name']} that was reported lost or stolen is at {where}."
        yield feed.frame("system_alert", device_id, at, {"level": "warning", "message": text})
