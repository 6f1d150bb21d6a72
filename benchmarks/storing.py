"""The worker alone: how many readings a second it stores, and what is lost when it is killed."""

import asyncio
import dataclasses
import datetime as dt
import itertools
import os
import random
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import live, stack
from benchmarks.devices import SENSORS, judge_reading
from benchmarks.load import Connection, Payload
from benchmarks.rounds import Round
from tests.stack import Stack

LEAST_SECONDS, MOST_SECONDS = 1.0, 2.0  # between two kills
BATCH = 500  # the largest that a device may send
LOOK_SECONDS = 0.01


async def while_killed(house: live.House, of: Round, running: Stack, seconds: float) -> int:
    """A round during which the worker is killed again and again; how often."""
    uncounted = dataclasses.replace(house, memory=lambda: 0.0, cpu=lambda: 0.0)
    load = asyncio.create_task(live.unwatched(uncounted, of.jobs(), seconds, seed=1))
    chance = random.Random(1)  # noqa: S311  # a seed is the point
    killed = set()
    while not load.done():
        await asyncio.sleep(chance.uniform(LEAST_SECONDS, MOST_SECONDS))
        worker = running.pid("worker")
        if worker and worker not in killed:  # it was started again
            os.kill(worker, signal.SIGKILL)
            killed.add(worker)
    of.shown = await load
    while running.pid("worker") in killed:  # nobody can stop what is not running
        await asyncio.sleep(LOOK_SECONDS)
    return len(killed)


def rows_per_second(running: Stack, files: Path, rows: int) -> float:
    """How fast the worker empties a stream of so many readings.

    They come as batches of devices that were offline, while the worker is away; it is timed from
    its first acknowledgement to its last, by how long the stream still is.
    """
    running.ask_supervisor("stopProcess", "worker")
    asyncio.run(_send_all(running, files, rows))
    full = stack.waiting()
    running.ask_supervisor("startProcess", "worker")
    begun, most = _wait_for(lambda length: length < full)
    ended, _ = _wait_for(lambda length: not length)
    return most / (ended - begun)


def _wait_for(is_so: Callable[[int], bool]) -> tuple[float, int]:
    """When the stream's length was so for the first time, and what it was."""
    until = time.perf_counter() + stack.DRAIN_SECONDS
    while not is_so(length := stack.waiting()):
        if time.perf_counter() > until:
            raise SystemExit(f"the worker left {length} entries in {stack.DRAIN_SECONDS} s")
        time.sleep(LOOK_SECONDS)
    return time.perf_counter(), length


async def _send_all(running: Stack, files: Path, rows: int) -> None:
    batches = rows // BATCH // len(SENSORS)
    await asyncio.gather(*(_send(running, files, sensor, batches) for sensor in SENSORS))


async def _send(running: Stack, files: Path, sensor: str, batches: int) -> None:
    connection = await Connection.open(running.mtls_port, files, sensor)
    readings = _offline(sensor, batches * BATCH)
    for _ in range(batches):
        body = {"device_id": sensor, "readings": list(itertools.islice(readings, BATCH))}
        status, reply = await connection.post("/api/sensors/ingest", body)
        while status == 503:  # the disk is busy with the batches of the others
            await asyncio.sleep(1)
            status, reply = await connection.post("/api/sensors/ingest", body)
        if judge_reading(body, status, reply | {"device_id": sensor}) or reply["rejected"]:
            raise SystemExit(f"a batch was refused: {status} {reply}")
    await connection.close()


def _offline(sensor: str, count: int) -> Iterator[Payload]:
    """A reading a second until now."""
    boot_id, now = secrets.randbits(31), dt.datetime.now(dt.UTC)
    for seq in range(count):
        yield {
            "boot_id": boot_id,
            "seq": seq,
            "timestamp": (now - dt.timedelta(seconds=count - seq)).isoformat(),
            "temperature": 20 + seq % 1000 / 100,
            "humidity": 48.5,
            "pressure": 1013.25,
        }
