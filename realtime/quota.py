"""Entries of which only so many may be recorded: counted and recorded in one step.

A claim is an entry that takes one of the places of its quota. The same entry (by its `id`) takes
one place however often it comes.

Embedded, the database counts inside the transaction that stores the entry: SQLite has one writer.
In production a Lua script on the stream Redis counts and appends, and nothing comes between: not a
second door, not another process. The set of a quota there holds each entry that was appended,
stored yet or not, and what the claimant knows from the database is added to it: so a worker may be
behind, and a set may be lost. What both have lost are entries that were in the stream and not
stored when the whole Redis was emptied. Nobody can count those, so a quota that had begun before
this memory did is closed until somebody says that the database is right (`began`, a later one).

While the stream Redis is away nothing is claimed: the database does not know what is in the stream.
"""

import json
import logging
import time
from collections.abc import Callable, Sequence
from collections.abc import Set as AnySet
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import redis
from django.conf import settings

from realtime import streams
from realtime.script import Script
from realtime.streams import Entry, NotRecorded

logger = logging.getLogger(__name__)

# Epoch microseconds at which this memory of the stream Redis began, by the clock of who first saw
# it. Claims are told by the same clocks; Redis' own is not asked.
SINCE = "quota:since"
# Longer than a worker is ever behind, and than a clock is ever set forward by mistake.
KEPT_SECONDS = 400 * 24 * 3600
CLOSED = -1

# Noted by a clock that was wrong by so much, it is noted anew: else all would stay shut till then.
FAR_AHEAD = 24 * 3600 * 1_000_000

# When this memory began, noted if it is new.
BEGAN = """
local function began(key, now)
  local noted = tonumber(redis.call('GET', key))
  if not noted or noted > now + FAR_AHEAD then
    noted = now
    redis.call('SET', key, string.format('%.0f', now))
  end
  return noted
end
""".replace("FAR_AHEAD", str(FAR_AHEAD))
BEGIN = Script(BEGAN + "return began(KEYS[1], tonumber(ARGV[1]))")

# KEYS: the stream, SINCE, and the set of each claim. ARGV: the stream's field, the entry that is
# recorded when no claim is granted, the time, how long sets are kept, and the claims.
# The set comes first: should the stream refuse the entry, a place is lost, never one too many.
# Whether there is memory Redis asks at the first command that writes only, and only where that
# takes some: EXPIRE as the first would let all that follows into a Redis that is full.
TAKE = Script(
    BEGAN
    + """
local since = began(KEYS[2], tonumber(ARGV[3]))
local none = 0
for number, claim in ipairs(cjson.decode(ARGV[5])) do
  local taken = KEYS[2 + number]
  for _, id in ipairs(claim.known) do redis.call('SADD', taken, id) end
  if #claim.known > 0 then redis.call('EXPIRE', taken, ARGV[4]) end
  local again = redis.call('SISMEMBER', taken, claim.id) == 1
  local room = redis.call('SCARD', taken) < claim.most
  if not again and room and claim.began < since then
    none = -1
  elseif again or room then
    redis.call('SADD', taken, claim.id)
    redis.call('EXPIRE', taken, ARGV[4])
    redis.call('XADD', KEYS[1], '*', ARGV[1], claim.entry)
    return number
  end
end
redis.call('XADD', KEYS[1], '*', ARGV[1], ARGV[2])
return none
"""
)


@dataclass(frozen=True, slots=True)
class Claim:
    """An entry that takes one of the `most` places of a quota.

    `known` are the ids of entries of this quota that the database had a moment ago. `began` is the
    epoch microsecond from which on all of them are there or in the stream.
    """

    quota: str
    most: int
    known: AnySet[str]
    began: int
    entry: Entry


def take(
    kind: str, claims: Sequence[Claim], otherwise: Entry, *, known: Callable[[str], AnySet[str]]
) -> Entry:
    """Record the first claim whose quota has room, or has its entry already; else `otherwise`.

    The entry that was recorded; NotRecorded when none was. `known` reads from the database, in the
    transaction that it is called in, the ids of a quota's entries.
    """
    if settings.EMBEDDED:
        return _record(kind, claims, otherwise, known)
    try:
        number = _append(kind, claims, otherwise)
    except redis.RedisError as error:
        raise NotRecorded(f"the stream did not count a {kind} entry: {error}") from error
    if number == CLOSED:
        logger.warning(
            "refused, because the stream Redis has lost its memory since this was begun: %s",
            ", ".join(claim.quota for claim in claims),
        )
    return claims[number - 1].entry if number > 0 else otherwise


def begin(client: Any) -> None:
    """Note since when this memory of the stream Redis counts, if it is new."""
    with suppress(redis.OutOfMemoryError):  # then the first claim that finds room notes it
        BEGIN.run(client, [SINCE], [_now()])


def since() -> int | None:
    """The epoch microsecond since when all entries are counted; None when nobody can tell now."""
    if settings.EMBEDDED:
        return 0
    try:
        with streams.asking(streams.CHECK_TIMEOUT) as client:
            began = client.get(SINCE)
    except redis.RedisError:
        return None
    return None if began is None else int(began)


def _record(
    kind: str,
    claims: Sequence[Claim],
    otherwise: Entry,
    known: Callable[[str], AnySet[str]],
) -> Entry:
    chosen: list[Entry] = []

    def choose() -> Sequence[Entry]:
        chosen.append(_granted(claims, known) or otherwise)
        return chosen

    streams.record(kind, choose)
    return chosen[0]


def _granted(claims: Sequence[Claim], known: Callable[[str], AnySet[str]]) -> Entry | None:
    for claim in claims:
        taken = known(claim.quota)
        if claim.entry["id"] in taken or len(taken) < claim.most:
            return claim.entry
    return None


def _append(kind: str, claims: Sequence[Claim], otherwise: Entry) -> int:
    """The number of the claim that was granted, 0 for none, CLOSED for a quota in doubt."""
    keys = [streams.key(kind), SINCE, *(f"quota:{claim.quota}" for claim in claims)]
    told = [
        {
            "id": claim.entry["id"],
            "entry": json.dumps(claim.entry),
            "most": claim.most,
            "known": sorted(claim.known),
            "began": claim.began,
        }
        for claim in claims
    ]
    arguments = [streams.FIELD, json.dumps(otherwise), _now(), KEPT_SECONDS, json.dumps(told)]
    with streams.asking(streams.CHECK_TIMEOUT) as client:
        number: int = TAKE.run(client, keys, arguments)
    return number


def _now() -> int:
    return time.time_ns() // 1000
