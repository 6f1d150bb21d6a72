from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser

from policies import uid
from policies.management.policy_command import PolicyCommand
from policies.models import Card, CardExists, checked_name


class Command(PolicyCommand):
    help = "Give a card to a person, who is put on record if new."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("card_uid", metavar="UID", help="4 to 10 bytes of hex")
        parser.add_argument("--holder", required=True, metavar="NAME")

    def handle(self, *, card_uid: str, holder: str, **options: Any) -> None:
        try:
            card = Card.objects.give(uid.canonical(card_uid), checked_name(holder))
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        except ValueError as error:
            raise CommandError(str(error)) from None
        except CardExists:
            known = uid.canonical(card_uid)
            raise CommandError(f"{known} is on record already: revoke it or change it.") from None
        if uid.is_random(card.uid):
            self.stderr.write(f"warning: {uid.RANDOM_WARNING}")
        self.stdout.write(f"{card.uid} was given to {card.person.name}.")
