"""The sink of access events: embedded inside the check's transaction, in production a batch."""

from collections.abc import Sequence

from access.models import AccessLog
from policies import presence
from policies.moments import parse_moment
from realtime.streams import Entry


def write(entries: Sequence[Entry]) -> None:
    """Store access events. The same id is the same row: a repeat changes nothing."""
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
        for entry in entries
    ]
    AccessLog.objects.bulk_create(rows, ignore_conflicts=True)
    presence.seen({row.device_id: row.timestamp for row in rows})
