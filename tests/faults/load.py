"""The load: ten sensors × 20 readings/s and 20 checks/s by mutual TLS, by the clock and a seed.

Sensors keep what was not confirmed and send it again, as the field's do, and doors repeat a scan
whose answer they never saw: so a house that stores a thing twice is caught as well.
"""

import asyncio
import itertools
import random
import ssl
import threading
import uuid
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.load import Connection
from tests.faults.journal import NOTHING, Check, Delivery, Journal, Reading, now, outcome_of

SENSORS = [f"sensor-{n:02}" for n in range(1, 11)]
DOORS = [f"door-{n}" for n in range(1, 5)]
SHUT_OUT = DOORS[-1]  # no rule lets anybody through this one
HOLDERS = [f"04:A3:2B:F2:1C:{n:02X}" for n in range(5)]
REVOKED = "04:A3:2B:F2:1D:00"
TOGGLED = "04:A3:2B:F2:1E:00"  # some faults give and take it
EXPIRES, BEGAN = "04:A3:2B:F2:1F:00", "04:A3:2B:F2:1F:01"  # in half an hour; half an hour ago
COLD = [f"05:00:{n // 256:02X}:{n % 256:02X}" for n in range(2000)]  # each used once

READINGS_PER_SECOND, CHECKS_PER_SECOND = 20, 20  # of each sensor; of all doors together
PATIENCE = 5.0  # seconds, as the field's firmware
RETRY_SECONDS = 0.1
FEW, BITE = 5, 50  # with more than a few waiting, a sensor sends a batch
SETTLE_SECONDS = 30.0  # at the end, for what waits

# The classes of checks with their share. `cold` cards are valid and in no cache.
KINDS = {"granted": 35, "revoked": 20, "unknown": 20, "wrong door": 20, "cold": 5}
MAY_PASS, NEVER = ("granted", "cold"), ("revoked", "unknown", "wrong door")
BROKEN = (OSError, ssl.SSLError, asyncio.IncompleteReadError, TimeoutError, ValueError, KeyError)

CHECK, INGEST = "/api/access/check", "/api/sensors/ingest"
marks = itertools.count(1)
cold_cards = itertools.cycle(COLD)


@dataclass
class Line:
    """A device's kept-alive connection, opened again after it broke."""

    port: int
    files: Path
    device_id: str
    connection: Connection | None = None

    async def post(self, path: str, body: dict[str, Any]) -> tuple[float, int, dict[str, Any]]:
        """When it was asked, the status and the reply; 0 when no complete answer came."""
        asked = now()
        try:
            async with asyncio.timeout(PATIENCE):
                if self.connection is None:
                    self.connection = await Connection.open(self.port, self.files, self.device_id)
                    asked = now()
                status, reply = await self.connection.post(path, body)
                return asked, status, reply
        except BROKEN:
            await self.close()
            return asked, 0, {}

    async def close(self) -> None:
        connection, self.connection = self.connection, None
        if connection:
            connection.writer.transport.abort()
            with suppress(*BROKEN):
                await connection.close()


@dataclass
class Sensor:
    """One sensor: a reading by the clock, one request at a time."""

    line: Line
    journal: Journal
    chance: random.Random
    boot_id: int
    waiting: deque[Reading] = field(default_factory=deque)
    ended: bool = False

    async def live(self, begin: float, stop: asyncio.Event, per_second: float) -> None:
        sender = asyncio.create_task(self.send())
        for n in itertools.count():
            due = begin + (n + self.chance.random()) / per_second
            if await is_over(due, stop):
                break
            self.journal.late.append(max(0.0, now() - due) * 1000)
            self.waiting.append(self.reading())
        self.ended = True
        with suppress(TimeoutError):
            await asyncio.wait_for(sender, SETTLE_SECONDS)
        await self.line.close()

    def reading(self) -> Reading:
        mark, chance = next(marks), self.chance
        values = chance.uniform(18, 25), chance.uniform(30, 60), chance.uniform(980, 1030)
        return Reading(mark, self.line.device_id, *(round(value, 3) for value in values))

    async def send(self) -> None:
        """What waits, oldest first; what was not confirmed waits again."""
        while self.waiting or not self.ended:
            if not self.waiting:
                await asyncio.sleep(0.005)
                continue
            size = 1 if len(self.waiting) < FEW else BITE
            bite = [self.waiting.popleft() for _ in range(min(size, len(self.waiting)))]
            self.journal.sent |= {reading.mark: reading for reading in bite}
            asked, status, _ = await self.line.post(INGEST, self.body(bite))
            self.journal.deliveries.append(Delivery(asked, now(), status, len(bite)))
            if status == 202:
                self.journal.confirm(bite)
            else:
                self.waiting.extendleft(reversed(bite))
                await asyncio.sleep(RETRY_SECONDS)

    def body(self, readings: list[Reading]) -> dict[str, Any]:
        shapes = [self.shape(reading) for reading in readings]
        return shapes[0] if len(shapes) == 1 else {"readings": shapes}

    def shape(self, reading: Reading) -> dict[str, Any]:
        return {
            "device_id": reading.device_id,
            "boot_id": self.boot_id,
            "seq": reading.mark,
            "temperature": reading.temperature,
            "humidity": reading.humidity,
            "pressure": reading.pressure,
            "metrics": {"mark": reading.mark},
        }


@dataclass
class Door:
    """One door: a scan by the clock, whether or not the last one was answered."""

    line: Line
    journal: Journal
    chance: random.Random
    free: list[Line] = field(default_factory=list)

    async def live(self, begin: float, stop: asyncio.Event, per_second: float) -> None:
        scans = set()
        for n in itertools.count():
            due = begin + (n + self.chance.random()) / per_second
            if await is_over(due, stop):
                break
            self.journal.late.append(max(0.0, now() - due) * 1000)
            scans.add(asyncio.create_task(self.scan()))
        await asyncio.gather(*scans)
        await asyncio.gather(*(line.close() for line in self.free))

    async def scan(self) -> None:
        kind, uid = self.card()
        # Older firmware sends no id; its repeats are new scans.
        event_id = (
            str(uuid.UUID(int=self.chance.getrandbits(128)))
            if self.chance.random() < 0.75
            else None
        )
        if await self.ask(kind, uid, event_id) == NOTHING and event_id:
            await asyncio.sleep(RETRY_SECONDS)
            await self.ask(kind, uid, event_id)

    def card(self) -> tuple[str, str]:
        """A class that this door can show, and a card of it."""
        if self.line.device_id == SHUT_OUT:
            return "wrong door", self.chance.choice(HOLDERS)
        kinds = [kind for kind in KINDS if kind != "wrong door"]
        kind = self.chance.choices(kinds, [KINDS[kind] for kind in kinds])[0]
        if kind == "granted":
            return kind, self.chance.choice(HOLDERS)
        if kind == "unknown":
            return kind, f"06:{':'.join(f'{self.chance.getrandbits(8):02X}' for _ in range(6))}"
        return kind, REVOKED if kind == "revoked" else next(cold_cards)

    async def ask(self, kind: str, uid: str, event_id: str | None) -> str:
        own = self.line
        line = self.free.pop() if self.free else Line(own.port, own.files, own.device_id)
        body = {"device_id": own.device_id, "card_uid": uid, "timestamp": "T+00h00m12s"}
        asked, status, reply = await line.post(
            CHECK, body | ({"event_id": event_id} if event_id else {})
        )
        self.free.append(line)
        outcome = outcome_of(status, reply)
        log_id, reason = reply.get("access_log_id"), reply.get("reason", "")
        self.journal.checks.append(
            Check(own.device_id, uid, kind, event_id, asked, now(), outcome, log_id, reason)
        )
        return outcome


@dataclass
class Load:
    """All devices at once, in a thread of their own."""

    port: int
    files: Path
    journal: Journal
    seed: str
    readings_per_second: float = READINGS_PER_SECOND
    checks_per_second: float = CHECKS_PER_SECOND
    sensors: list[str] = field(default_factory=lambda: SENSORS)
    doors: list[str] = field(default_factory=lambda: DOORS)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Loaded for as long as the block lasts, and until all that waits is sent."""
        self.loop = asyncio.new_event_loop()
        self.stop = asyncio.Event()
        thread = threading.Thread(target=self.loop.run_until_complete, args=[self._run()])
        thread.start()
        try:
            yield
        finally:
            self.loop.call_soon_threadsafe(self.stop.set)
            thread.join()
            self.loop.close()

    async def _run(self) -> None:
        chance = random.Random(self.seed)  # noqa: S311  # a seed is the point
        sensors = [
            Sensor(
                self._line(name),
                self.journal,
                random.Random(chance.random()),  # noqa: S311
                chance.getrandbits(31),
            )
            for name in self.sensors
        ]
        doors = [
            Door(self._line(name), self.journal, random.Random(chance.random()))  # noqa: S311
            for name in self.doors
        ]
        a_door = self.checks_per_second / max(1, len(doors))
        for door in doors:  # what was shown before is what the house remembers
            for uid in (*HOLDERS, REVOKED):
                kind = "wrong door" if door.line.device_id == SHUT_OUT else "granted"
                await door.ask("revoked" if uid == REVOKED else kind, uid, None)
        begin = now()
        await asyncio.gather(
            *(sensor.live(begin, self.stop, self.readings_per_second) for sensor in sensors),
            *(door.live(begin, self.stop, a_door) for door in doors),
        )

    def _line(self, device_id: str) -> Line:
        return Line(self.port, self.files, device_id)


async def is_over(due: float, stop: asyncio.Event) -> bool:
    """Wait until it is due; whether the load was told to end before."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), max(0.0, due - now()))
    return stop.is_set()
