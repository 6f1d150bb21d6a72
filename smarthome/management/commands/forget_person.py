from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from policies.models import Person, checked_name, folded
from smarthome import forgetting


class Command(BaseCommand):
    help = (
        "Blank a person's name in the access log, the audit log and wherever else it is kept. "
        "Rows and counts stay. A person who is still on record stays there: delete him first."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="as it is written in the log")

    def handle(self, *, name: str, **options: Any) -> None:
        try:
            name = checked_name(name)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        others = forgetting.other_names(name)
        self.warn_of_record(name)
        if others:
            self.stderr.write(
                f"{name} was also called {', '.join(others)}: run this for that name, too."
            )
        if done := forgetting.forget_person(name):
            self.stdout.write(f"{name} is forgotten. Rows that lost the name: {done}.")
            self.stdout.write("Backups and other copies made before still hold it.")
        else:
            self.stdout.write(f"Nothing was kept under the name {name}.")

    def warn_of_record(self, name: str) -> None:
        """Who still has cards is named again by the next check: people must know that."""
        person = Person.objects.filter(folded_name=folded(name)).first()
        if person is not None:
            self.stderr.write(
                f"{person} is still on record (cards: {person.cards.count()}), and what happens "
                f"from now on is written down under this name again. To forget it for good delete "
                f"the person in the console, then run this once more."
            )
