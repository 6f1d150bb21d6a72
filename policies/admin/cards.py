"""Cards: physical tokens, and whom they were given to."""

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from policies.admin.visits import listed
from policies.console import ModelAdmin, counted, warn_of_random
from policies.models import Card


@admin.register(Card)
class CardAdmin(ModelAdmin):
    """A physical token and whom it was given to."""

    list_display = ("uid", "person", "label", "status", "valid_from", "valid_until", "added_at")
    list_filter = ("status",)
    list_select_related = ("person",)
    search_fields = ("uid",)
    search_help_text = "A name, or a card number in any way of writing it."
    autocomplete_fields = ("person",)
    fields = ("uid", "person", "label", "status", "valid_from", "valid_until", "visits")
    actions = ("revoke", "block", "reactivate")
    show_full_result_count = False

    def get_readonly_fields(self, request: HttpRequest, obj: Card | None = None) -> tuple[str, ...]:
        return ("uid", "added_at", "visits") if obj else ("visits",)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Card], search_term: str
    ) -> tuple[QuerySet[Card], bool]:
        return queryset & Card.objects.matching(search_term), False

    def save_model(self, request: HttpRequest, obj: Card, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            warn_of_random(request, obj)

    @admin.display(description="visits")
    def visits(self, card: Card) -> str:
        mine = Q(card=card.pk) | Q(person=card.person_id)
        return listed(mine) if card.person_id else "none"

    @admin.action(description="Revoke: the card opens nothing any more", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Card]) -> None:
        self._each(request, queryset, Card.revoke, "revoked")

    @admin.action(description="Block: lost or stolen, raise an alert", permissions=["change"])
    def block(self, request: HttpRequest, queryset: QuerySet[Card]) -> None:
        self._each(request, queryset, Card.block, "blocked as lost or stolen")

    @admin.action(description="Reactivate: the card opens again", permissions=["change"])
    def reactivate(self, request: HttpRequest, queryset: QuerySet[Card]) -> None:
        self._each(request, queryset, Card.reactivate, "active again")

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[Card],
        verb: Callable[[Card], None],
        done: str,
    ) -> None:
        with transaction.atomic():
            cards = list(Card.objects.select_for_update().filter(pk__in=queryset.values("pk")))
            for card in cards:
                verb(card)
                self.log_change(request, card, done)
        count = len(cards)
        self.message_user(
            request, f"{counted(count, 'card')} {'is' if count == 1 else 'are'} {done}."
        )
