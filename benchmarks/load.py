"""An open loop over kept-alive mutual TLS: requests leave by the clock, not when the last answered.

A latency runs from the moment the request was *due*, so a server that stalls pays for everything
that queued behind the stall, as real doors would make it pay.
"""

import asyncio
import contextlib
import json
import random
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

Payload = dict[str, Any]
DEADLINE = 30.0  # seconds; past it the run has failed, whatever the rest would say


@dataclass
class Results:
    """What one kind of request took, and what was wrong with its answers."""

    latencies: list[float] = field(default_factory=list)  # milliseconds
    faults: list[str] = field(default_factory=list)
    lateness: list[float] = field(default_factory=list)  # ms the generator itself woke late

    def percentile(self, percent: float) -> float:
        ordered = sorted(self.latencies) or [float("inf")]  # nothing was ever answered
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


@dataclass(frozen=True)
class Job:
    """A device's part: where it posts (or sends frames: `/ws`), what, how often, and how an
    answer is judged.

    `judge(body, status, reply)` says in words what is wrong, or "" when nothing is.
    """

    device_id: str
    path: str
    per_second: float
    bodies: Iterator[Payload]
    judge: Callable[[Payload, int, Payload], str]
    results: Results


class Connection:
    """Just enough HTTP/1.1: one request at a time over a connection that stays open."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int, files: Path, device_id: str) -> "Connection":
        context = mutual_tls(files, device_id)
        return cls(*await asyncio.open_connection("localhost", port, ssl=context))

    async def post(self, path: str, body: Payload) -> tuple[int, Payload]:
        content = json.dumps(body).encode()
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: ESP32HTTPClient\r\n"
            f"Connection: keep-alive\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        self.writer.write(head.encode() + content)
        reply_head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in reply_head[1:] if line)
        reply = await self.reader.readexactly(int(headers["content-length"]))
        return int(reply_head[0].split()[1]), json.loads(reply)

    async def close(self) -> None:
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()


class Socket:
    """A device's WebSocket as the field opens it: one frame at a time, each answered."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    @classmethod
    async def open(cls, port: int, files: Path, device_id: str) -> "Socket":
        options: Payload = {"origin": "file://", "subprotocols": ["arduino"], "compression": None}
        connection = await connect(
            f"wss://localhost:{port}/ws",
            ssl=mutual_tls(files, device_id),
            ping_interval=None,
            proxy=None,
            **options,
        )
        return cls(connection)

    async def post(self, path: str, body: Payload) -> tuple[int, Payload]:
        """The answering frame; a frame has no status."""
        await self.connection.send(json.dumps(body))
        return 0, json.loads(await self.connection.recv())

    async def close(self) -> None:
        await self.connection.close()


def mutual_tls(files: Path, device_id: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=files / "ca.crt")
    context.load_cert_chain(files / f"{device_id}.crt", files / f"{device_id}.key")
    return context


async def run(jobs: list[Job], port: int, files: Path, seconds: float, seed: int) -> None:
    """Drive all jobs at once; each job's results fill as it goes."""
    connections = [await _open(job, port, files) for job in jobs]
    for job, connection in zip(jobs, connections, strict=True):  # the first request, not counted
        await _ask(job, connection)
    start = time.perf_counter() + 0.5
    chance = random.Random(seed)  # noqa: S311  # a seed is the point
    loads = [
        _drive(job, connection, _due_times(job, start, seconds, random.Random(chance.random())))  # noqa: S311
        for job, connection in zip(jobs, connections, strict=True)
    ]
    try:
        await asyncio.wait_for(asyncio.gather(*loads), seconds + DEADLINE)
    finally:
        await asyncio.gather(*(connection.close() for connection in connections))


async def _open(job: Job, port: int, files: Path) -> Connection | Socket:
    if job.path == "/ws":
        return await Socket.open(port, files, job.device_id)
    return await Connection.open(port, files, job.device_id)


def _due_times(job: Job, start: float, seconds: float, chance: random.Random) -> list[float]:
    """One moment in each slot of the job's rhythm, anywhere in it: devices know no metronome."""
    slot = 1 / job.per_second
    return [start + (n + chance.random()) * slot for n in range(int(seconds * job.per_second))]


async def _drive(job: Job, connection: Connection | Socket, due_times: list[float]) -> None:
    for due in due_times:
        wait = due - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
            job.results.lateness.append((time.perf_counter() - due) * 1000)
        fault = await _ask(job, connection)
        job.results.latencies.append((time.perf_counter() - due) * 1000)
        if fault:
            job.results.faults.append(fault)


async def _ask(job: Job, connection: Connection | Socket) -> str:
    body = next(job.bodies)
    status, reply = await connection.post(job.path, body)
    fault = job.judge(body, status, reply)
    return f"{job.device_id}: {fault}: {body} got {status} {reply}" if fault else ""
