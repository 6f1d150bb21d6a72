"""Who gains and who loses which door by a change, and when. Values only: nothing is asked.

People and doors are compared in classes: a person is the rules that let them pass, a door the
rules that open it, both as bits of a number, so that what they have in common is one AND, and what
that means is worked out once. What the rules for everyone mean is worked out once for all; only
the doors that the rules of somebody's groups open are looked at for each. Minutes are those of an
ordinary week; a change of holidays is told by its dates.
"""

import datetime as dt
import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, pairwise
from typing import Any

from policies import week
from policies.cover import Cover, Side, affected_dates, bits_of, own_hours
from policies.reach import Holder, Reach
from policies.week import ALWAYS, NEVER, Spans

MOST_TIMES = 6
FOR_EVER = dt.datetime.max.replace(tzinfo=dt.UTC)

Spell = tuple[dt.datetime, dt.datetime]
DoorClass = tuple[int, Spans, int, Spans]  # rules and when it is shut, before and after
PeopleClass = tuple[int, int, str]  # rules before and after, and in which part of time
Said = tuple[bool, str]  # gained or not, and when


@dataclass(frozen=True, slots=True)
class Change:
    """Some people gain or lose some doors at some times."""

    gains: bool
    people: tuple[str, ...]
    door_classes: tuple[tuple[str, ...], ...]
    when: str
    is_everyone: bool
    is_every_door: bool

    @property
    def doors(self) -> list[str]:
        return sorted(chain(*self.door_classes), key=str.casefold)

    @property
    def who(self) -> str:
        return f"Everyone ({len(self.people)} people)" if self.is_everyone else listed(self.people)

    @property
    def where(self) -> str:
        return "every door" if self.is_every_door else listed(self.doors)


@dataclass(frozen=True)
class Consequences:
    """All that a change means for people at doors: first doors that stay open for anybody, then
    who gains and who loses, the most people first.

    By their digest somebody who has seen these very ones can say so.
    """

    changes: tuple[Change, ...]
    digest: str

    def __bool__(self) -> bool:
        return bool(self.changes)


def compare(before: Reach, after: Reach, now: dt.datetime) -> Consequences:
    """What becomes of whom from `now` (in building time) on."""
    return _Comparison(before, after, now).consequences


def listed(names: Sequence[str], most: int = 5) -> str:
    """`Anna`, `Anna and Ben`, `Anna, Ben, Cem, Dana, Eva and 31 more`."""
    shown = list(names[:most])
    if len(names) > most:
        shown.append(f"{len(names) - most} more")
    *first, last = shown
    return f"{', '.join(first)} and {last}" if first else last


class _Comparison:
    def __init__(self, before: Reach, after: Reach, now: dt.datetime) -> None:
        rules = sorted(before.openings.keys() | after.openings.keys())
        bits = {rule: 1 << place for place, rule in enumerate(rules)}
        self.now = now
        self.dates = affected_dates(before.holidays, after.holidays, now.date())
        own = own_hours((*before.holidays, *after.holidays))
        self.old = Side(before, bits, self.dates, own)
        self.new = Side(after, bits, self.dates, own)
        self.changed = sum(
            bit
            for rule, bit in bits.items()
            if before.openings.get(rule) != after.openings.get(rule)
        )
        self.everyones = (self.old.of_group[None], self.new.of_group[None])
        classes = self._door_classes()
        self.doors = list(classes)
        self.names = [tuple(names) for names in classes.values()]
        self.opened_by: dict[int, int] = defaultdict(int)  # by the bit of a rule: classes of doors
        for place, (opened, _, opens, _) in enumerate(self.doors):
            for bit in bits_of(opened | opens):
                self.opened_by[bit] |= 1 << place
        self.touched = sum(
            1 << place
            for place, (opened, was_shut, opens, is_shut) in enumerate(self.doors)
            if opened != opens or was_shut != is_shut or opened & self.changed
        )
        self.told: dict[tuple[Cover, Cover], list[Said]] = {}
        self.common: dict[tuple[int, int], dict[Said, int]] = {}

    @cached_property
    def consequences(self) -> Consequences:
        lines: dict[tuple[Said, int], list[str]] = defaultdict(list)
        for (was, is_now, part), people in self._people_classes().items():
            for (gains, when), doors in self._lines(was, is_now).items():
                if doors:
                    lines[(gains, f"{when}, {part}" if part else when), doors] += people
        for people in lines.values():
            people.sort(key=str.casefold)
        found = sorted(lines.items(), key=_most_people_first)
        standing = self._standing()
        everyone = len(self.old.reach.holders | self.new.reach.holders)
        every_door = (1 << len(self.doors)) - 1
        return Consequences(
            standing
            + tuple(
                Change(
                    gains,
                    people=tuple(people),
                    door_classes=tuple(self.names[bit.bit_length() - 1] for bit in bits_of(doors)),
                    when=when,
                    is_everyone=1 < everyone == len(people),
                    is_every_door=doors == every_door and sum(map(len, self.names)) > 1,
                )
                for ((gains, when), doors), people in found
            ),
            hashlib.sha256(repr((self.names, found, standing)).encode()).hexdigest(),
        )

    def _standing(self) -> tuple[Change, ...]:
        """What becomes of doors that stay open by themselves."""
        found: dict[Said, list[str]] = defaultdict(list)
        entrances = self.old.reach.entrances | self.new.reach.entrances
        for door, entrance in entrances.items():
            for said in self._said(self.old.standing(door), self.new.standing(door)):
                found[said].append(entrance.name)
        return tuple(
            Change(
                gains,
                people=("Anybody",),
                door_classes=(tuple(names),),
                when=f"{when}, without a card: the door stays open",
                is_everyone=False,
                is_every_door=False,
            )
            for (gains, when), names in sorted(found.items(), key=lambda one: (not one[0][0], one))
        )

    def _lines(self, was: int, is_now: int) -> dict[Said, int]:
        """What becomes of people whom these rules let pass: by what is said, the classes of doors
        as bits."""
        common = (was & self.everyones[0], is_now & self.everyones[1])
        if common not in self.common:
            self.common[common] = self._said_of((1 << len(self.doors)) - 1, *common)
        own = 0
        for bit in bits_of((was ^ common[0]) | (is_now ^ common[1])):
            own |= self.opened_by[bit]
        found = {said: doors & ~own for said, doors in self.common[common].items()}
        if was == is_now and not self.dates:
            own &= self.touched
        for said, doors in self._said_of(own, was, is_now).items():
            found[said] = found.get(said, 0) | doors
        return found

    def _said_of(self, doors: int, was: int, is_now: int) -> dict[Said, int]:
        found: dict[Said, int] = defaultdict(int)
        for bit in bits_of(doors):
            opened, was_shut, opens, is_shut = self.doors[bit.bit_length() - 1]
            left, right = was & opened, is_now & opens
            if left == right and was_shut == is_shut and not (self.dates or left & self.changed):
                continue
            for said in self._said(self.old.cover(left, was_shut), self.new.cover(right, is_shut)):
                found[said] |= bit
        return found

    def _said(self, was: Cover, is_now: Cover) -> list[Said]:
        if (was, is_now) not in self.told:
            both = ((True, is_now, was), (False, was, is_now))
            self.told[was, is_now] = [
                (gains, words)
                for gains, more, less in both
                if (words := _week_words(more, less) or self._date_words(more, less))
            ]
        return self.told[was, is_now]

    def _date_words(self, more: Cover, less: Cover) -> str:
        """`Fri 25 Dec 2026 09:00–17:00`, and that it comes again when it does."""
        found: dict[str, list[str]] = {}
        for date, with_it, without_it in zip(self.dates, more.dates, less.dates, strict=True):
            if spans := week.without(with_it, without_it):
                found.setdefault(f"{date:%m-%d}", []).append(
                    f"{date:%a} {date.day} {date:%b %Y} {week.ranges(spans)}"
                )
        return "; ".join(
            f"{first} and in later years" if later else first for first, *later in found.values()
        )

    def _door_classes(self) -> dict[DoorClass, list[str]]:
        """Doors that the same rules open and that are shut at the same times."""
        found: dict[DoorClass, list[str]] = defaultdict(list)
        entrances = self.old.reach.entrances | self.new.reach.entrances
        for door, entrance in entrances.items():
            found[
                self.old.of_door[door],
                self.old.shut(door),
                self.new.of_door[door],
                self.new.shut(door),
            ].append(entrance.name)
        return found

    def _people_classes(self) -> dict[PeopleClass, list[str]]:
        """People whom the same rules let pass; one whose validity changes is in several."""
        found: dict[PeopleClass, list[str]] = defaultdict(list)
        old, new = self.old.reach.holders, self.new.reach.holders
        for pk, holder in (old | new).items():
            was, is_now = (self._spell(side.get(pk)) for side in (old, new))
            left = self.old.rules_of(old[pk]) if was else 0
            right = self.new.rules_of(new[pk]) if is_now else 0
            if was == is_now:
                found[left, right, ""].append(holder.name)
                continue
            for (start, end), before, after in _parts(was, is_now):
                words = _spell_words(start, end, self.now)
                found[left if before else 0, right if after else 0, words].append(holder.name)
        return found

    def _spell(self, holder: Holder | None) -> Spell | None:
        """From when to when a person is valid, of the time that is still to come."""
        if holder is None or not holder.active:
            return None
        start = max(holder.valid_from or self.now, self.now)
        end = holder.valid_until or FOR_EVER
        return (start, end) if start < end else None


def _most_people_first(line: tuple[tuple[Said, int], list[str]]) -> Any:
    ((gains, when), doors), people = line
    return (-len(people), not gains, people, when, doors)


def _week_words(more: Cover, less: Cover) -> str:
    """What is in the one and not in the other: `Mon–Fri 09:00–17:00 (40 hours a week)`."""
    spans = week.without(more.spans, less.spans)
    on_holidays = more.is_always and week.without(more.holidays, less.holidays) != NEVER
    if spans == ALWAYS and on_holidays:
        return "always"
    if not spans:
        own = week.without(more.holidays, less.holidays)
        return "on holidays" if on_holidays else "on holidays, in their own hours" if own else ""
    holidays = ", on holidays too" if on_holidays else ""
    return f"{_times_words(spans)} ({week.hours(spans)} a week){holidays}"


def _times_words(spans: Spans) -> str:
    """By what is in, or when that is most of the week, by what is out."""
    rest = week.without(ALWAYS, spans)
    is_most = rest != NEVER and 2 * sum(end - start for start, end in rest) < week.WEEK
    words = week.in_words(rest if is_most else spans)
    if len(words) > MOST_TIMES:
        words[MOST_TIMES:] = [f"{len(words) - MOST_TIMES} more times"]
    return f"all week but {'; '.join(words)}" if is_most else "; ".join(words)


def _parts(was: Spell | None, is_now: Spell | None) -> Iterator[tuple[Spell, bool, bool]]:
    """The parts of time in which one is valid before, after, or both."""
    cuts = sorted({*(was or ()), *(is_now or ())})
    for start, end in pairwise(cuts):
        before, after = (bool(one and one[0] <= start < one[1]) for one in (was, is_now))
        if before or after:
            yield (start, end), before, after


def _spell_words(start: dt.datetime, end: dt.datetime, now: dt.datetime) -> str:
    """`from 1 Aug 2026, 00:00`, `until 31 Jul 2026, 18:00`; nothing when it is all time to come."""
    words = [] if start <= now else [f"from {_moment_words(start, now)}"]
    return " ".join(words if end == FOR_EVER else [*words, f"until {_moment_words(end, now)}"])


def _moment_words(moment: dt.datetime, now: dt.datetime) -> str:
    local = moment.astimezone(now.tzinfo)
    return f"{local.day} {local:%b %Y, %H:%M}"
