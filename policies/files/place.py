"""A value of a file and where it stands, so that every error says where to look."""

import json
from collections.abc import Callable, Collection, Iterator
from datetime import MAXYEAR, MINYEAR
from typing import Any, TypeVar

from django.core.exceptions import ValidationError

from policies import uid, windows
from policies.models import checked_name
from policies.models.names import MAX_SHORT_NAME
from policies.moments import parse_moment, utc_text

T = TypeVar("T")


class WrongFile(Exception):
    """What is wrong with a file: every error with its place, and nothing was changed."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


def quoted(text: Any) -> str:
    """The text in quotes, without anything that a terminal would obey."""
    return json.dumps(text, ensure_ascii=False)


class Place:
    """`rules[3].doors[0]` and what stands there.

    What is asked of it is returned in its canonical form. Where it is something else, that is
    noted among the errors and the answer means nothing: the file will not be used.
    """

    __slots__ = ("errors", "path", "value")

    def __init__(self, value: Any, path: str, errors: list[str]) -> None:
        self.value, self.path, self.errors = value, path, errors

    def wrong(self, words: str) -> None:
        self.errors.append(f"{self.path}: {words}" if self.path else words)

    def members(
        self, known: Collection[str], keeps_null: Collection[str] = ()
    ) -> dict[str, "Place"]:
        """What an object holds. `null` is the same as absent, but for some members.

        A member that is not known is an error: a misspelled `valid_until` would admit for ever.
        """
        if not isinstance(self.value, dict):
            self.wrong("Must be an object.")
            return {}
        found = {}
        for name, value in self.value.items():
            if name not in known:
                self.wrong(f"There is no member {quoted(name)}; known are {', '.join(known)}.")
            elif value is not None or name in keeps_null:
                path = f"{self.path}.{name}" if self.path else name
                found[name] = Place(value, path, self.errors)
        return found

    def items(self) -> Iterator["Place"]:
        if not isinstance(self.value, list):
            self.wrong("Must be a list.")
            return
        for number, value in enumerate(self.value):
            yield Place(value, f"{self.path}[{number}]", self.errors)

    def flag(self) -> bool:
        if not isinstance(self.value, bool):
            self.wrong("Must be true or false.")
        return bool(self.value)

    def person_name(self) -> str:
        return self._read(checked_name) or ""

    def short_name(self) -> str:
        name = self.person_name()
        if len(name) > MAX_SHORT_NAME:
            self.wrong(f"A name has 1 to {MAX_SHORT_NAME} characters.")
        return name

    def label(self) -> str:
        """A name that may be empty."""
        return "" if self.value == "" else self.short_name()

    def card_uid(self) -> str:
        return self._read(uid.canonical) or ""

    def moment(self) -> str:
        """A time that exists in every time zone, as it is written out."""
        return self._read(_moment, "Must be a time such as 2026-11-23T07:37:01+01:00.") or ""

    def moment_or_none(self) -> str | None:
        return None if self.value is None else self.moment()

    def one_of(self, words: Collection[str]) -> str:
        if self.value not in words:
            self.wrong(f"Must be one of {', '.join(words)}.")
        return str(self.value)

    def date(self) -> str:
        return self._read(lambda text: windows.date_text(windows.parse_date(text))) or ""

    def clock(self) -> str:
        return self._read(lambda text: windows.clock_text(windows.parse_clock(text))) or ""

    def days(self) -> list[str]:
        try:
            return windows.day_names(windows.parse_days(self.value))
        except ValueError as error:
            self.wrong(str(error))
            return []

    def _read(self, parse: Callable[[str], T], words: str = "") -> T | None:
        """What a parser makes of a text; what it says against it is noted, or the words given."""
        try:
            if isinstance(self.value, str):
                return parse(self.value)
            self.wrong(words or "Must be a text.")
        except ValidationError as error:
            self.wrong(words or " ".join(error.messages))
        except ValueError as error:
            self.wrong(words or str(error))
        return None


def _moment(text: str) -> str:
    moment = parse_moment(text)
    if not MINYEAR < moment.year < MAXYEAR:  # pages show it in the building's time zone
        raise ValueError("outside the years 2 to 9998")
    return utc_text(moment)
