"""What all pages of the console share: typed bases, and fields as phones know them."""

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.db import models
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format

from policies import uid
from policies.models import Card, Person

if TYPE_CHECKING:  # the stubs' classes take parameters that Django's do not
    Base = admin.ModelAdmin[Any]
    Stacked = admin.StackedInline[Any, Any]
    TabularInline = admin.TabularInline[Any, Any]
else:
    Base, Stacked, TabularInline = admin.ModelAdmin, admin.StackedInline, admin.TabularInline


class TimeOfDay(forms.TimeInput):
    """The browser's own. Seconds are shown where there are some, or saving would cut them off."""

    input_type = "time"

    def format_value(self, value: Any) -> str | None:
        if not isinstance(value, dt.time):
            return value or None
        return f"{value:%H:%M:%S}" if value.second else f"{value:%H:%M}"


class Day(forms.DateInput):
    """The browser's own."""

    input_type = "date"

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        super().__init__(attrs, format="%Y-%m-%d")


class DayAndTime(forms.SplitDateTimeWidget):
    """A moment in building time."""

    def __init__(self, attrs: dict[str, Any] | None = None) -> None:
        widgets = (Day({"aria-label": "day"}), TimeOfDay({"aria-label": "time"}))
        forms.MultiWidget.__init__(self, widgets, attrs)


BROWSERS_OWN: dict[Any, dict[str, Any]] = {
    models.DateTimeField: {"widget": DayAndTime},
    models.DateField: {"widget": Day},
    models.TimeField: {"widget": TimeOfDay},
}


class ModelAdmin(Base):
    """A page of the console. Nothing is counted that nobody asked for."""

    formfield_overrides = BROWSERS_OWN
    show_facets = admin.ShowFacets.NEVER
    show_full_result_count = False


class StackedInline(Stacked):
    formfield_overrides = BROWSERS_OWN


def counted(count: int, noun: str, nouns: str = "") -> str:
    """`1 card`, `3 cards`."""
    return f"{count} {noun}" if count == 1 else f"{count} {nouns or f'{noun}s'}"


def warn_of_random(request: HttpRequest, card: Card) -> None:
    """Say so when a card was enrolled that shows another UID at every tap."""
    if uid.is_random(card.uid):
        messages.warning(request, f"{card.uid}: {uid.RANDOM_WARNING}")


def warn_of_expired(request: HttpRequest, opened: Iterable[Card | Person]) -> None:
    """Say so when what is active again opens nothing all the same."""
    now = timezone.now()
    late = [str(one) for one in opened if one.active and one.valid_until and one.valid_until <= now]
    if late:
        names = f"{len(late)} of them" if len(late) > 1 else late[0]
        messages.warning(
            request, f"{names} expired all the same. “Reactivate until a day…” changes that."
        )


def spell(start: dt.datetime | None, end: dt.datetime | None) -> str:
    """`from 1 Aug 2026, 00:00 until 31 Aug 2026, 12:00`; empty when it is for ever."""
    parts = (("from", start), ("until", end))
    return " ".join(f"{word} {_moment(at)}" for word, at in parts if at)


def _moment(at: dt.datetime) -> str:
    return date_format(timezone.localtime(at), "j M Y, H:i")
