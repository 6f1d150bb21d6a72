"""Doors and sensors for a house that has none yet."""

import datetime as dt
import os
import signal
import threading
import time
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone
from tqdm import tqdm

from realtime.management import demo_house, rooms
from realtime.management.simulation import (
    HISTORY_STEP,
    TIMEOUT_SECONDS,
    Line,
    SimulatedDevice,
    SimulatedDoor,
    SimulatedSensor,
    Socket,
    Stage,
    history,
)

MAX_DEVICES = 100
MAX_SECONDS = 10**8
MAX_HISTORY_MINUTES = 7 * 24 * 60


class Command(BaseCommand):
    help = "Enrol demo doors and sensors and let them speak as the field's firmware does."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--url", default="https://localhost:8443", type=house_url)
        parser.add_argument("--doors", default=2, type=whole(MAX_DEVICES), metavar="N")
        parser.add_argument("--sensors", default=3, type=whole(MAX_DEVICES), metavar="N")
        parser.add_argument(
            "--out", type=Path, metavar="DIR", help="where their files lie (DATA_DIR/demo)"
        )
        parser.add_argument(
            "--seconds", default=0, type=whole(MAX_SECONDS), metavar="N", help="0: for ever"
        )
        parser.add_argument(
            "--history-minutes", default=60, type=whole(MAX_HISTORY_MINUTES), metavar="N"
        )
        parser.add_argument(
            "--with-parent", action="store_true", help="end when the process that started it ends"
        )

    def handle(
        self,
        *,
        url: str,
        doors: int,
        sensors: int,
        out: Path | None,
        seconds: int,
        history_minutes: int,
        with_parent: bool,
        **options: Any,
    ) -> None:
        parent = os.getppid() if with_parent else None
        self.lock = threading.Lock()
        self.stop = threading.Event()
        stage = Stage(self.say, self.warn, self.stop)
        folder = (out or settings.DATA_DIR / "demo").resolve()
        house = demo_house.devices(folder, doors, sensors)
        with stopped_by_signals(self.stop):
            try:
                demo_house.settle(house)
                devices = [
                    *self.make_doors(house, url, stage),
                    *self.make_sensors(house, url, stage, dt.timedelta(minutes=history_minutes)),
                ]
            except DatabaseError as error:
                raise CommandError(f"{error}. Run: manage.py bootstrap") from None
            self.live(devices, seconds or MAX_SECONDS, parent)
        told = sum(device.told for device in devices)
        self.say(
            f"Simulated {doors} doors and {sensors} sensors; the house took {told} requests and "
            f"frames."
        )

    def make_doors(
        self, house: list[demo_house.Identity], url: str, stage: Stage
    ) -> list[SimulatedDoor]:
        """The doors with the cards that people will hold to them; tells people about both."""
        doors = [device for device in house if device.kind == "door"]
        cards = demo_house.cards(doors[0] if doors else None, timezone.now())
        for line in demo_house.leaflet(house, cards, url):
            self.say(line)
        return [SimulatedDoor(door, Line(url, door), stage, cards=cards) for door in doors]

    def make_sensors(
        self, house: list[demo_house.Identity], url: str, stage: Stage, most: dt.timedelta
    ) -> list[SimulatedSensor]:
        """The sensors with the readings that they have to catch up on."""
        now = timezone.now()
        sensors = [device for device in house if device.kind == "sensor"]
        starts = [demo_house.silent_since(sensor, now, most) for sensor in sensors]
        total = sum((now - start) // HISTORY_STEP for start in starts)
        # None: shown on a terminal only.
        silent = None if total else True
        self.bar = tqdm(total=total, desc="history", unit=" readings", leave=False, disable=silent)
        return [
            SimulatedSensor(
                sensor,
                Line(url, sensor),
                stage,
                socket=Socket(url, sensor),
                room=rooms.room(number),
                history=history(sensor, rooms.room(number), start, now),
                progress=self.progress,
            )
            for number, (sensor, start) in enumerate(zip(sensors, starts, strict=True))
        ]

    def live(self, devices: Sequence[SimulatedDevice], seconds: int, parent: int | None) -> None:
        """Let the devices speak until the time is over, a signal comes or the parent is gone."""
        end = time.monotonic() + seconds
        for device in devices:
            device.start()
        while not self.stop.wait(min(1, max(0, end - time.monotonic()))):
            if time.monotonic() >= end or (parent and os.getppid() != parent):
                self.stop.set()
        patience = time.monotonic() + TIMEOUT_SECONDS
        for device in devices:
            device.join(max(0, patience - time.monotonic()))
        self.bar.close()

    def say(self, text: str) -> None:
        """A line on stdout, at once and whole. Nobody left to read it is an end like others."""
        try:
            with self.lock:
                self.stdout.write(text)
                self.stdout.flush()
        except BrokenPipeError:
            self.stop.set()

    def warn(self, text: str) -> None:
        with self.lock:
            self.stderr.write(text)

    def progress(self, readings: int) -> None:
        with self.lock:
            self.bar.update(readings)
            if self.bar.n >= self.bar.total:
                self.bar.close()


def house_url(text: str) -> str:
    """`https://HOST[:PORT]`."""
    try:
        url = urlsplit(text)
        is_right = url.scheme == "https" and url.hostname and url.port != 0
    except ValueError:
        is_right = False
    if not is_right or url.path.strip("/"):
        raise ArgumentTypeError(f"{text!r} is not https://HOST:PORT")
    return f"https://{url.netloc}"


def whole(most: int) -> Callable[[str], int]:
    """The type of an option that is a number from 0 to `most`."""

    def number(text: str) -> int:
        if not (text.isascii() and text.isdigit() and int(text) <= most):
            raise ArgumentTypeError(f"{text!r} is not a number from 0 to {most}")
        return int(text)

    return number


@contextmanager
def stopped_by_signals(stop: threading.Event) -> Iterator[None]:
    """Within, SIGINT and SIGTERM set the event."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda *_: stop.set()) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
