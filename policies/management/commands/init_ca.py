from typing import Any

from django.core.management.base import BaseCommand, CommandError

from policies import pki
from policies.enrolment import pki_folder


class Command(BaseCommand):
    help = "Make the house's own certificate authority, unless there is one."

    def handle(self, **options: Any) -> None:
        try:
            made = pki.create_ca(pki_folder())
        except pki.PkiError as error:
            raise CommandError(str(error)) from None
        words = "The CA was made in" if made else "There is a CA already in"
        self.stdout.write(f"{words} {pki_folder()}.")
