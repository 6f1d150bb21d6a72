"""Tables for spreadsheets, as a stream of CSV in UTF-8. Pure: no Django.

A spreadsheet takes a cell that begins like a formula for one, and a name may be anything. Such a
cell gets an apostrophe in front, which makes it a text.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal

# The wide forms are formulas, too, where such letters are typed.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
MARK = "\ufeff"  # by which spreadsheets know UTF-8
TOGETHER = 200  # rows


def harmless(cell: str) -> str:
    """The cell as a text, whatever it begins with."""
    return f"'{cell}" if cell.lstrip(" ").startswith(FORMULA) else cell


class Lines:
    """What the writer of `csv` writes into, until it is taken out."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def write(self, line: str) -> None:
        self.written.append(line)

    def take(self) -> str:
        text = "".join(self.written)
        self.written.clear()
        return text


def as_csv(header: Sequence[str], rows: Iterable[Sequence[str | Decimal]]) -> Iterator[str]:
    """A table in pieces of some hundred rows. Numbers stay numbers, below zero too."""
    lines = Lines()
    writer = csv.writer(lines)
    writer.writerow(header)
    yield MARK + lines.take()
    for place, row in enumerate(rows, start=1):
        writer.writerow([harmless(cell) if isinstance(cell, str) else cell for cell in row])
        if place % TOGETHER == 0:
            yield lines.take()
    yield lines.take()
