"""The consuming side of the streams: read as a group, acknowledge, claim, put aside.

Acknowledged and deleted only after the commit; nothing is ever trimmed, because trimming takes
entries that wait for their commit.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import redis

from realtime.streams import FIELD, GROUP, Entry, dead_key, key, kinds

Id = bytes

# `json.loads` looks for an encoding and for blanks first, at half of its cost.
decode = json.JSONDecoder().raw_decode

# Milliseconds after which another worker may take over what one has read and not stored.
STUCK_MS = 30_000


class Message(NamedTuple):
    """One entry of a stream, as it was read, and what it says or why that cannot be told."""

    id: Id
    raw: bytes
    content: Entry | ValueError

    def entry(self) -> Entry:
        """The published entry; ValueError when it is none."""
        if isinstance(self.content, ValueError):
            raise self.content
        return self.content


def make_groups(client: Any) -> None:
    """Every stream has its group, from its first entry on: what came before us counts too."""
    for kind in kinds():
        try:
            client.xgroup_create(key(kind), GROUP, id="0", mkstream=True)
        except redis.OutOfMemoryError:
            pass  # there was room for one before: who reads makes room again
        except redis.ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise


def read(client: Any, consumer: str, count: int, block_ms: int) -> dict[str, list[Message]]:
    """New entries of all kinds; waits up to `block_ms` when there are none."""
    return _read(client, consumer, ">", count, block_ms)


def read_own_pending(client: Any, consumer: str, count: int) -> dict[str, list[Message]]:
    """What a worker of this name had read when it died."""
    return _read(client, consumer, "0", count, None)


def claim_stuck(client: Any, consumer: str, count: int) -> dict[str, list[Message]]:
    """What another worker has read and not stored for half a minute."""
    found = {}
    for kind in kinds():
        _, messages, *_ = client.xautoclaim(key(kind), GROUP, consumer, STUCK_MS, count=count)
        found[kind] = _messages(messages)
    return {kind: messages for kind, messages in found.items() if messages}


def acknowledge(client: Any, kind: str, messages: Sequence[Message]) -> None:
    """They are committed: forget them.

    No MULTI: a Redis that is out of memory queues no command, and would stay full for ever. Deleted
    first: should it die in between, XAUTOCLAIM clears what is pending and not there any more.
    """
    ids = [message.id for message in messages]
    with client.pipeline(transaction=False) as pipeline:
        pipeline.xdel(key(kind), *ids)
        pipeline.xack(key(kind), GROUP, *ids)
        pipeline.execute()


def bury(client: Any, kind: str, message: Message, reason: str) -> None:
    """Put an entry that no store will ever take to the dead letters, with the reason."""
    with client.pipeline(transaction=True) as pipeline:
        letter = {FIELD: message.raw, b"reason": reason[:500], b"at": str(time.time())}
        pipeline.xadd(dead_key(kind), letter)
        pipeline.xack(key(kind), GROUP, message.id)
        pipeline.xdel(key(kind), message.id)
        pipeline.execute()


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: the entry as it came, why it was put aside, and when (epoch seconds)."""

    kind: str
    id: str
    raw: str
    reason: str
    at: float


def letters(client: Any) -> list[Letter]:
    """All dead letters, oldest first within a kind."""
    return [
        Letter(
            kind,
            id.decode(),
            fields[FIELD].decode(errors="replace"),
            fields[b"reason"].decode(errors="replace"),
            float(fields[b"at"]),
        )
        for kind in kinds()
        for id, fields in client.xrange(dead_key(kind))
    ]


def replay(client: Any, letter: Letter) -> None:
    """Send a dead letter through the stream again; its ids keep it one row."""
    with client.pipeline(transaction=True) as pipeline:
        pipeline.xadd(key(letter.kind), {FIELD: letter.raw})
        pipeline.xdel(dead_key(letter.kind), letter.id)
        pipeline.execute()


def drop(client: Any, letter: Letter) -> None:
    """Forget a dead letter for good."""
    client.xdel(dead_key(letter.kind), letter.id)


@dataclass(frozen=True, slots=True)
class State:
    """A stream as an operator sees it. `oldest_seconds` is the age of its oldest entry."""

    kind: str
    length: int
    pending: int
    oldest_seconds: float
    dead: int


def state(client: Any) -> list[State]:
    """How far behind the workers are."""
    return [_state(client, kind) for kind in kinds()]


def _state(client: Any, kind: str) -> State:
    with client.pipeline(transaction=False) as pipeline:
        pipeline.xlen(key(kind))
        pipeline.xpending(key(kind), GROUP)
        pipeline.xrange(key(kind), count=1)
        pipeline.xlen(dead_key(kind))
        length, pending, oldest, dead = pipeline.execute(raise_on_error=False)
    waiting = pending["pending"] if isinstance(pending, dict) else 0  # no group yet
    age = time.time() - int(oldest[0][0].split(b"-")[0]) / 1000 if oldest else 0.0
    return State(kind, length, waiting, max(0.0, age), dead)


def _read(
    client: Any, consumer: str, after: str, count: int, block_ms: int | None
) -> dict[str, list[Message]]:
    by_key = {key(kind).encode(): kind for kind in kinds()}
    streams = {name.decode(): after for name in by_key}
    replies = client.xreadgroup(GROUP, consumer, streams, count=count, block=block_ms) or []
    found = {by_key[name]: _messages(messages) for name, messages in replies}
    return {kind: messages for kind, messages in found.items() if messages}


def _messages(replies: Any) -> list[Message]:
    """Entries that were deleted while somebody had them are pending without fields."""
    return [_message(id, fields.get(FIELD, b"")) for id, fields in replies if fields]


def _message(id: Id, raw: bytes) -> Message:
    try:
        text = raw.decode()
        value, end = decode(text)
    except (ValueError, RecursionError) as error:
        return Message(id, raw, ValueError(str(error)))
    if end != len(text) or not isinstance(value, dict):
        return Message(id, raw, ValueError("not one object"))
    return Message(id, raw, value)
