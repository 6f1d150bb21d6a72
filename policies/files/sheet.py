"""Cards from a spreadsheet: CSV with a header line, which becomes what a policy file says."""

import csv
import io
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from policies.files.document import Entry
from policies.files.place import Place, WrongFile, quoted
from policies.files.reading import Given, House, PolicyFile
from policies.models import folded
from policies.rules import CardStatus

# By person, the groups that rows put them into: as compared, and as written.
Memberships = defaultdict[str, dict[str, str]]

# As the API names them, and as the policy file and `add_card` do.
COLUMNS = {
    "card_uid": "card_uid",
    "uid": "card_uid",
    "user_name": "user_name",
    "person": "user_name",
    "holder": "user_name",
    "label": "label",
    "status": "status",
    "valid_from": "valid_from",
    "expires_at": "expires_at",
    "valid_until": "expires_at",
    "groups": "groups",
}
REQUIRED = ("card_uid", "user_name")
GROUP_SEPARATOR = "|"  # neither separates cells

READ: dict[str, Callable[[Place], Any]] = {
    "card_uid": Place.card_uid,
    "user_name": Place.person_name,
    "label": Place.label,
    "status": lambda place: place.one_of([str(status) for status in CardStatus]),
    "valid_from": Place.moment,
    "expires_at": Place.moment,
    "groups": lambda place: _groups(place),
}


def read(text: str, house: House) -> PolicyFile:
    """The rows as entries of people and cards; WrongFile with every error and its line.

    An empty cell says nothing: what is on record stays. People keep the groups they are in.
    """
    errors: list[str] = []
    file = PolicyFile()
    memberships: Memberships = defaultdict(dict)
    for number, row in _rows(text, errors):
        _take(file, memberships, house, f"line {number}", row)
    if not errors:
        _add_people(file, memberships, house)
    if errors:
        raise WrongFile(errors)
    return file


def _take(
    file: PolicyFile,
    memberships: Memberships,
    house: House,
    line: str,
    row: dict[str, Place],
) -> None:
    """A row: its card, and of the person what there is to say so far."""
    said: Entry = {name: READ[name](place) for name, place in row.items()}
    uid, name = said.pop("card_uid"), said.pop("user_name")
    cards = file.sections["cards"]
    if uid in cards and uid:
        row["card_uid"].wrong(f"{uid} stands twice, first in {cards[uid].path}.")
    recorded = house.policies["cards"].get(uid, {})
    if recorded.get("status") == CardStatus.BLOCKED != said.get("status", CardStatus.BLOCKED):
        row["status"].wrong(f"{uid} is blocked (lost or stolen). Only the console unblocks a card.")
    memberships[folded(name)] |= {folded(group): group for group in said.pop("groups", ())}
    cards.setdefault(uid, Given(line, {"uid": uid, "person": name} | said))
    file.sections["people"].setdefault(folded(name), Given(line, {"name": name}))


def _add_people(file: PolicyFile, memberships: Memberships, house: House) -> None:
    """Who is on record is not renamed, and stays in the groups he is in."""
    people, groups = file.sections["people"], file.sections["groups"]
    for key, joined in memberships.items():
        given, known = people[key], house.policies["people"].get(key)
        if known:
            given.members["name"] = known["name"]
        spelled = {folded(name): name for name in known["groups"]} if known and joined else {}
        for group, name in joined.items():
            recorded = house.policies["groups"].get(group, {"name": name})
            groups.setdefault(group, Given(given.path, {"name": recorded["name"]}))
            spelled[group] = groups[group].members["name"]
        if joined:
            given.members["groups"] = sorted(spelled.values())


def _rows(text: str, errors: list[str]) -> Iterator[tuple[int, dict[str, Place]]]:
    """Line numbers and the cells that are not empty, by column."""
    lines = io.StringIO(text, newline="")
    first = lines.readline()
    lines.seek(0)
    reader = csv.reader(lines, delimiter=";" if ";" in first else ",", strict=True)
    try:
        columns = _columns(next(reader, []))
        begins = reader.line_num + 1
        for cells in reader:
            number, begins = begins, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(columns):
                errors.append(
                    f"line {number}: Has {len(cells)} cells, the first line {len(columns)}. "
                    f'A cell with a separator in it stands in quotes: "Miller, Ann".'
                )
                continue
            row = {
                name: Place(cell.strip(), f"line {number}, {name}", errors)
                for name, cell in zip(columns, cells, strict=True)
                if cell.strip() or name in REQUIRED
            }
            yield number, row
    except csv.Error as error:
        errors.append(f"line {reader.line_num}: {error}.")


def _columns(cells: list[str]) -> list[str]:
    """What the columns hold; WrongFile when that is not clear."""
    names = [cell.strip().lower() for cell in cells]
    errors = [
        f"line 1: There is no column {quoted(name)}; known are {', '.join(dict.fromkeys(COLUMNS))}."
        for name in names
        if name not in COLUMNS
    ]
    columns = [COLUMNS[name] for name in names if name in COLUMNS]
    errors += [f"line 1: {name} is missing." for name in REQUIRED if name not in columns]
    errors += [f"line 1: {name} stands twice." for name in READ if columns.count(name) > 1]
    if errors:
        raise WrongFile(errors)
    return columns


def _groups(place: Place) -> list[str]:
    names = [name.strip() for name in place.value.split(GROUP_SEPARATOR)]
    return [Place(name, place.path, place.errors).short_name() for name in names if name]
