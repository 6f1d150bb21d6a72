from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from policies import lockout, second_factor


class Command(BaseCommand):
    help = "Let somebody sign in again at once who typed too many wrong passwords or codes."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", nargs="?", default="", help="default: everybody")

    def handle(self, *, username: str, **options: Any) -> None:
        count = lockout.end(username)
        second_factor.end_waiting(username)
        self.stdout.write(f"Forgot the wrong passwords for {username or 'everybody'} ({count}).")
