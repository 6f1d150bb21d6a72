from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from policies import second_factor


class Command(BaseCommand):
    help = "Let somebody sign in by the password alone again whose phone and codes are lost."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", metavar="USER")

    def handle(self, *, username: str, **options: Any) -> None:
        user = User.objects.filter(username=username).first()
        if user is None:
            raise CommandError(f"There is no user {username}.")
        if second_factor.end(user):
            self.stdout.write(
                f"The second factor of {username} is off; the password alone signs in."
            )
        else:
            self.stdout.write(f"{username} has no second factor; nothing to do.")
