from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import transaction

from policies import uid
from policies.management.policy_command import PolicyCommand
from policies.models import Card


class Command(PolicyCommand):
    help = "End a card's rights: the next check is refused. It stays on record."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("card_uid", metavar="UID", help="4 to 10 bytes of hex")

    def handle(self, *, card_uid: str, **options: Any) -> None:
        try:
            known = uid.canonical(card_uid)
        except ValueError as error:
            raise CommandError(str(error)) from None
        with transaction.atomic():
            card = Card.objects.select_for_update().filter(uid=known).first()
            if card is None:
                raise CommandError(f"{known} is on nobody's record.")
            card.revoke()
        self.stdout.write(f"{card.uid} of {card.person.name} is {card.get_status_display()}.")
