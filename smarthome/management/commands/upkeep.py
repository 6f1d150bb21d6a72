"""What a production house does under the maintenance role, which no other process has."""

import logging
import signal
import threading
from argparse import ArgumentParser
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError, connection
from django.utils import timezone

from smarthome import forgetting

logger = logging.getLogger(__name__)

EVERY_SECONDS = 24 * 3600.0
AGAIN_SECONDS = 600.0  # after a failure


class Command(BaseCommand):
    help = (
        "Forget names that are old enough, once a day until SIGTERM. "
        "Ends at once where FORGET_NAMES_AFTER_DAYS is not set."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--once", action="store_true", help="one round only")

    def handle(self, *args: Any, once: bool, **options: Any) -> None:
        if not settings.FORGET_NAMES_AFTER_DAYS:
            self.stdout.write("Nothing to do: FORGET_NAMES_AFTER_DAYS is not set.")
            return
        if once:
            self.stdout.write(f"Rows that lost a name: {forgetting.forget_old(timezone.now())}.")
            return
        stopping = threading.Event()

        def stop(number: int, frame: FrameType | None) -> None:
            stopping.set()

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        while True:
            done = round_of_care()
            connection.close()  # it would idle for a day
            if stopping.wait(EVERY_SECONDS if done else AGAIN_SECONDS):
                break


def round_of_care() -> bool:
    """Whether it was done; what failed is logged and tried again."""
    try:
        if forgotten := forgetting.forget_old(timezone.now()):
            logger.info("forgot old names: %s", forgotten)
    except DatabaseError:
        logger.exception("old names were not forgotten")
        return False
    return True
