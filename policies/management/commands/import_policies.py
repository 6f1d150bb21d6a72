from django.core.management.base import CommandParser

from policies.files import reading
from policies.files.reading import House, PolicyFile
from policies.management.file_command import FileCommand


class Command(FileCommand):
    help = "Make the house what a policy file says (docs/policies.md), all of it or nothing."
    takes = "what export_policies writes"

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--replace",
            action="store_true",
            help="also remove what the file does not have; devices stay",
        )

    def read(self, text: str, house: House) -> PolicyFile:
        return reading.read(text, house)
