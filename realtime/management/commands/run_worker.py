"""Bring what was published into the database, and look after the house."""

import signal
import socket
import time
from argparse import ArgumentParser
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from policies import cache as policy_cache
from policies import checks, presence
from realtime import feed
from realtime.relay import Relay
from realtime.worker import Worker

HEARTBEAT_KEY = "worker:seen"


class Command(BaseCommand):
    help = "Store what devices sent and show it to viewers. Production only; ends on SIGTERM."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--name",
            default=socket.gethostname(),
            help="one for each worker: one that starts again takes up what it had begun",
        )

    def handle(self, *args: Any, name: str, **options: Any) -> None:
        if settings.EMBEDDED:
            raise CommandError("Without REDIS_URL there is nothing to do: `serve` stores at once.")
        checks.refuse_unsafe_redis()
        worker = Worker(name, chores=(heartbeat, keep_presence, cache_repair))
        feed.listen(Relay().send)

        def stop(number: int, frame: FrameType | None) -> None:
            worker.stopping = True

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        worker.run()
        self.stdout.write("The worker finished its batch and ended.")


def heartbeat() -> None:
    """Say that a worker is at work; `/health` looks for it."""
    cache.set(HEARTBEAT_KEY, time.time(), timeout=60)


def keep_presence() -> None:
    """Write down who was heard; find silent devices."""
    presence.keep(timezone.now())


def cache_repair() -> None:
    """Make the cache forget a change whose writer could not say so."""
    policy_cache.repair()
