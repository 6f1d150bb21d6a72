"""How soon do viewers see what happens, and what does one cost that does not keep up?"""

import asyncio
import dataclasses
import json
import os
import sys
import time
import urllib.request
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.client import connect

from benchmarks.load import Job, Payload, Results, run

PROJECT = Path(__file__).resolve().parent.parent
VIEWERS = 20
CATCH_UP_SECONDS = 5  # under load, after the pause
SETTLE_SECONDS = 2
SAMPLE_SECONDS = 0.5
EVENTS_AN_HOUR, THAT_HOUR = 72_000, "that-hour"  # of 20 checks a second


@dataclass(frozen=True)
class House:
    """Where the house under test listens (people: a URL, devices: a port), how much memory (MB)
    it takes at the moment and how many seconds of a core it has used so far."""

    people: str
    mtls: int
    files: Path
    memory: Callable[[], float]
    cpu: Callable[[], float]

    async def token(self) -> str:
        """The owner's access token; it lasts five minutes, a round does not."""
        body = {"username": "admin", "password": os.environ["ADMIN_PASSWORD"]}
        request = urllib.request.Request(  # noqa: S310  # our own house
            f"{self.people}/api/auth/token",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with await asyncio.to_thread(urllib.request.urlopen, request, timeout=10) as reply:
            return str(json.load(reply)["access"])


@dataclass
class Round:
    """What one round of load showed."""

    accepted: dict[str, float] = field(default_factory=dict)  # what was confirmed when
    delays: Results = field(default_factory=Results)  # confirmed → frame, over all viewers
    growth_mb: float = 0
    cpu_share: float = 0  # of one core; the one figure that others on the machine hardly disturb
    missed: dict[str, int] = field(default_factory=dict)  # access events, by viewer
    # Readings that a viewer was not sent, newer ones stood for them; by viewer.
    skipped: dict[str, int] = field(default_factory=dict)
    codes: dict[str, list[int | None]] = field(default_factory=dict)
    replay_s: float = 0  # how long the hour took to tell

    def note(self, job: Job) -> Job:
        """The job, its accepted requests noted at the moment their answers were read."""

        def judge(body: Payload, status: int, reply: Payload) -> str:
            at = time.perf_counter()
            fault = job.judge(body, status, reply)
            if not fault:
                self.accepted[str(reply.get("access_log_id")) if is_check else reading(body)] = at
            return fault

        is_check = job.path == "/api/access/check"
        return dataclasses.replace(job, judge=judge)

    @property
    def events(self) -> set[str]:
        return {key for key in self.accepted if " " not in key}

    def compare(self, seen_by: dict[str, dict[str, Any]]) -> None:
        """Set what viewers saw against what was accepted."""
        for name, viewer in seen_by.items():
            seen = viewer["seen"]
            self.codes[name] = viewer["codes"]
            self.missed[name] = len(self.events - seen.keys())
            self.skipped[name] = len(self.accepted.keys() - seen.keys() - self.events)
            if name.startswith("viewer"):
                both = self.accepted.keys() & seen.keys()
                # The frame may overtake the answer.
                self.delays.latencies += [
                    max(0.0, seen[key] - self.accepted[key]) * 1000 for key in both
                ]


def reading(body: Payload) -> str:
    """How viewers name it."""
    return f"{body['device_id']} {body['temperature']}"


async def unwatched(house: House, jobs: list[Job], seconds: float, seed: int) -> Round:
    """The load, and nobody watches."""
    result = Round()
    load = _load(house, jobs, result, seconds, seed)
    await _observe(house, result, seconds)
    await load
    return result


async def watched(
    house: House,
    jobs: list[Job],
    seconds: float,
    seed: int,
    *,
    slow: bool = False,
    count: int = VIEWERS,
) -> Round:
    """The load under the eyes of so many viewers.

    `slow`: also of one that does not read for so many seconds and goes on under further load, and
    of one that loses its connection every few seconds.
    """
    result = Round()
    viewers = await _start_viewers(house, count, slow=slow)
    try:
        all_seconds = seconds + CATCH_UP_SECONDS if slow else seconds
        load = _load(house, jobs, result, all_seconds, seed)
        observer = asyncio.create_task(_observe(house, result, all_seconds + SETTLE_SECONDS))
        if slow:
            await _tell(viewers, "pause")
            await asyncio.sleep(seconds)
            await _tell(viewers, "wake")
        await asyncio.gather(load, observer)
        await _tell(viewers, "end")
        assert viewers.stdout
        result.compare(json.loads(await viewers.stdout.read()))
    finally:
        if viewers.returncode is None:
            viewers.kill()
        await viewers.wait()
    return result


async def returning(house: House, jobs: list[Job], seconds: float, seed: int) -> Round:
    """The load while one viewer comes back after an hour and is told every event of it."""
    result = Round()
    seq = await asyncio.to_thread(an_hour_passes)
    load = _load(house, jobs, result, seconds, seed)
    observer = asyncio.create_task(_observe(house, result, seconds))
    begun, told = time.monotonic(), 0
    address = house.people.replace("http", "ws", 1) + "/ws"
    async with connect(address, compression=None, max_size=None, proxy=None) as viewer:
        await viewer.send(json.dumps({"type": "auth", "token": await house.token(), "batch": True}))
        hello = json.loads(await viewer.recv())
        await viewer.send(json.dumps({"type": "resume", "feed": hello["feed"], "seq": seq}))
        text = ""
        while not text.startswith('{"type":"resumed"'):
            text = str(await viewer.recv())
            told += text.count(f'"device_id":"{THAT_HOUR}"')
        result.replay_s = time.monotonic() - begun
    result.missed["after an hour"] = EVENTS_AN_HOUR - told
    await asyncio.gather(load, observer)
    return result


def an_hour_passes() -> int:
    """Put an hour's events into the feed; its number before."""
    from django.db import transaction
    from django.utils import timezone

    from realtime.models import Feed, FeedEvent

    with transaction.atomic():
        feed = Feed.objects.get()
        seq, feed.seq = feed.seq, feed.seq + EVENTS_AN_HOUR
        feed.save()
        now = timezone.now()
        data = {
            "id": "x" * 36,
            "card_uid": "04:A3:2B:F2:1C:80",
            "granted": True,
            "reason": "granted",
        }
        FeedEvent.objects.bulk_create(
            FeedEvent(
                seq=seq + n,
                type="access_event",
                device_id=THAT_HOUR,
                timestamp="2026-01-01T00:00:00.000Z",
                data=data,
                added_at=now,
            )
            for n in range(1, EVENTS_AN_HOUR + 1)
        )
    return seq


async def _start_viewers(house: House, count: int, *, slow: bool) -> Process:
    url = house.people.replace("http", "ws", 1) + "/ws"
    arguments = [url, str(count), *(["slow"] if slow else [])]
    viewers = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "benchmarks.viewers", *arguments),
        cwd=PROJECT,
        stdin=PIPE,
        stdout=PIPE,
    )
    await _tell(viewers, await house.token())
    assert viewers.stdout
    if await viewers.stdout.readline() != b"ready\n":
        raise SystemExit("the viewers did not get ready")
    return viewers


async def _tell(viewers: Process, line: str) -> None:
    assert viewers.stdin
    viewers.stdin.write(line.encode() + b"\n")
    await viewers.stdin.drain()


def _load(
    house: House, jobs: list[Job], result: Round, seconds: float, seed: int
) -> asyncio.Task[None]:
    noted = [result.note(job) for job in jobs]
    return asyncio.create_task(run(noted, house.mtls, house.files, seconds, seed))


async def _observe(house: House, result: Round, seconds: float) -> None:
    """How much memory the house takes more at most in that time, and how busy it is."""
    begun, used = time.monotonic(), house.cpu()
    before = most = house.memory()
    while time.monotonic() < begun + seconds:
        await asyncio.sleep(SAMPLE_SECONDS)
        most = max(most, house.memory())
    result.growth_mb = most - before
    result.cpu_share = (house.cpu() - used) / (time.monotonic() - begun)
