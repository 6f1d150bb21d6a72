"""What all pages of the console share."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.http import HttpRequest

from policies import uid
from policies.models import Card

if TYPE_CHECKING:  # the stubs' classes take parameters that Django's do not
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
else:
    ModelAdmin, TabularInline = admin.ModelAdmin, admin.TabularInline


def counted(count: int, noun: str, nouns: str = "") -> str:
    """`1 card`, `3 cards`."""
    return f"{count} {noun}" if count == 1 else f"{count} {nouns or f'{noun}s'}"


def warn_of_random(request: HttpRequest, card: Card) -> None:
    """Say so when a card was enrolled that shows another UID at every tap."""
    if uid.is_random(card.uid):
        messages.warning(request, f"{card.uid}: {uid.RANDOM_WARNING}")
