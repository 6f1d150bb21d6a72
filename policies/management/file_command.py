"""Commands that make the house what a file says."""

from abc import abstractmethod
from collections import Counter
from contextlib import suppress
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import IntegrityError, transaction
from tqdm import tqdm

from policies.actor import Source
from policies.files import applying, on_record
from policies.files.comparison import Change, compare
from policies.files.document import ONE, Entry
from policies.files.place import WrongFile, quoted
from policies.files.reading import House, PolicyFile
from policies.management.policy_command import PolicyCommand
from policies.management.text_files import read_text

ATTEMPTS = 3
SIGNS = {"added": "+", "changed": "~", "removed": "-"}


class FileCommand(PolicyCommand):
    """All or nothing: with one error in the file nothing is changed."""

    source = Source.IMPORT
    takes = ""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help=f"{self.takes}; - is the standard input")
        parser.add_argument(
            "--dry-run", action="store_true", help="say what would be changed, and change nothing"
        )

    @abstractmethod
    def read(self, text: str, house: House) -> PolicyFile:
        """What the file says; WrongFile with every error."""

    def handle(
        self, *, file: str, dry_run: bool = False, replace: bool = False, **options: Any
    ) -> None:
        text = read_text(file)
        try:
            changes = self.compare(text, replace=replace, dry_run=dry_run)
        except WrongFile as error:
            count, lines = len(error.errors), "\n  ".join(error.errors)
            raise CommandError(
                f"Nothing was changed; errors in {file}: {count}\n  {lines}"
            ) from None
        self.report(changes, dry_run=dry_run)

    def compare(self, text: str, *, replace: bool, dry_run: bool) -> list[Change]:
        """The changes, carried out unless it is a dry run.

        Nothing is locked while we read and compare: in a house on SQLite every door would wait.
        """
        for _ in range(ATTEMPTS):
            policies = on_record.read()
            house = House(policies, on_record.devices(), replace=replace)
            changes = compare(self.read(text, house), house)
            if dry_run or not changes:
                return changes
            with suppress(IntegrityError), transaction.atomic():
                if on_record.read(to_change=True) == policies:
                    self.apply(changes)
                    return changes
        raise CommandError("Nothing was changed: others change the house right now. Try again.")

    def apply(self, changes: list[Change]) -> None:
        # None: shown on a terminal only.
        with tqdm(total=len(changes), desc="changes", leave=False, disable=None) as bar:
            applying.apply(changes, bar.update)

    def report(self, changes: list[Change], *, dry_run: bool) -> None:
        for change in changes if dry_run else ():
            self.stdout.write(f"{SIGNS[change.kind]} {ONE[change.section]} {_told(change)}")
        counts = Counter((change.section, change.kind) for change in changes)
        for section in ONE:
            told = [f"{counts[section, k]} {k}" for k in SIGNS if counts[section, k]]
            if told:
                self.stdout.write(f"{section}: {', '.join(told)}")
        if dry_run:
            self.stdout.write(
                f"A dry run: nothing was changed. Changes in the file: {len(changes)}"
            )
        else:
            self.stdout.write(f"Changes: {len(changes)}. Every door knows them.")


def _told(change: Change) -> str:
    if change.before is None or change.after is None:
        return quoted(change.after or change.before)
    name = _name(change.after)
    return f"{quoted(name)}: " + ", ".join(
        f"{member} {quoted(change.before.get(member))} → {quoted(change.after.get(member))}"
        for member in change.before | change.after
        if change.before.get(member) != change.after.get(member)
    )


def _name(entry: Entry) -> str:
    names = (entry.get(member) for member in ("uid", "device", "date", "name"))
    return str(next((name for name in names if name), "house"))
