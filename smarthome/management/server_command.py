"""What the commands behind nginx share: a unix socket, and the wish for a production house."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from policies import checks
from smarthome import metrics
from smarthome.management.commands.serve import refuse_unmigrated


class ServerCommand(BaseCommand):
    """A server on `RUN_DIR/<name>.sock`; `serve` runs until a signal."""

    name = ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--socket", type=Path, default=settings.RUN_DIR / f"{self.name}.sock")

    def handle(self, *args: Any, socket: Path, **options: Any) -> None:
        if settings.EMBEDDED:
            raise CommandError(
                f"{self.name} is a part of a production house and needs DATABASE_URL and "
                f"REDIS_URL. Without them: manage.py serve"
            )
        refuse_unmigrated()
        checks.refuse_unsafe_redis()
        metrics.bury_the_dead()
        socket.unlink(missing_ok=True)  # of one that was killed
        try:
            self.serve(socket)
        except OSError as error:
            raise CommandError(f"cannot listen on {socket}: {error}") from error

    def serve(self, socket: Path) -> None:
        raise NotImplementedError
