from typing import Any

from django.core.management.base import CommandError, CommandParser

from policies.enrolment import EnrolmentError, revoke
from policies.management.policy_command import PolicyCommand


class Command(PolicyCommand):
    help = "End a device's trust: its next request is refused, on open connections too."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("device_id", metavar="ID")

    def handle(self, *, device_id: str, **options: Any) -> None:
        try:
            count = revoke(device_id)
        except EnrolmentError as error:
            raise CommandError(str(error)) from None
        ended = "1 certificate" if count == 1 else f"{count} certificates"
        self.stdout.write(f"{device_id} is revoked: {ended} ended.")
