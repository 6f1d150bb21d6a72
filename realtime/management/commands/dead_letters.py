"""What no store would take: look at it, try it again, or drop it."""

import datetime as dt
from argparse import ArgumentParser
from typing import Any

import redis
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from policies.moments import utc_text
from realtime import consume, streams

SECONDS = 5.0


class Command(BaseCommand):
    help = "List, replay or drop the entries that could not be stored."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("action", choices=["list", "replay", "drop"])

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        if settings.EMBEDDED:
            raise CommandError("An embedded house has no dead letters: it stores at once.")
        client = streams.connect(SECONDS)
        try:
            letters = consume.letters(client)
            for letter in letters:
                self.do(client, action, letter)
        except redis.RedisError as error:
            raise CommandError(f"The stream Redis does not answer ({error}). Try again.") from error
        done = {"list": "wait", "replay": "replayed", "drop": "dropped"}[action]
        self.stdout.write(f"{len(letters)} dead letters {done}.")

    def do(self, client: Any, action: str, letter: consume.Letter) -> None:
        """One letter, one line."""
        at = utc_text(dt.datetime.fromtimestamp(letter.at, dt.UTC))
        self.stdout.write(f"{at}  {letter.kind}  {letter.reason}  {letter.raw}")
        if action == "replay":
            consume.replay(client, letter)
        elif action == "drop":
            consume.drop(client, letter)
