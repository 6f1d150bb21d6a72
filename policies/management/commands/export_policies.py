from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from policies.files import document, on_record
from policies.management.text_files import write_text


class Command(BaseCommand):
    help = "Write people, cards, zones, schedules, holidays and rules into a file (JSON)."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="written anew; - is the standard output")

    def handle(self, *, file: str, **options: Any) -> None:
        policies = on_record.read()
        text = document.as_text(policies)
        if file == "-":
            self.stdout.write(text, ending="")
            return
        write_text(file, text)
        told = ", ".join(f"{len(policies[name])} {name}" for name in policies if name != "house")
        self.stdout.write(f"{file} has {told}.")
