"""What all pages of the console share."""

from typing import TYPE_CHECKING, Any

from django.contrib import admin

if TYPE_CHECKING:  # the stubs' classes take parameters that Django's do not
    ModelAdmin = admin.ModelAdmin[Any]
    TabularInline = admin.TabularInline[Any, Any]
else:
    ModelAdmin, TabularInline = admin.ModelAdmin, admin.TabularInline


def counted(count: int, noun: str) -> str:
    """`1 card`, `3 cards`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
