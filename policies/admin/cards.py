"""Cards: physical tokens, and whom they were given to."""

from collections.abc import Callable, Iterable
from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.views.decorators.http import require_POST

from policies.admin.until import UntilForm, ask
from policies.admin.visits import visit_list
from policies.console import ModelAdmin, counted, spell, warn_of_expired, warn_of_random
from policies.models import Card
from policies.rules import CardStatus

# What a button does, what is said of it afterwards, and what it is called.
VERBS: dict[str, tuple[Callable[[Card], None], str, str]] = {
    "block": (Card.block, "blocked as lost or stolen", "Lost or stolen: block"),
    "revoke": (Card.revoke, "revoked", "Revoke"),
    "reactivate": (Card.reactivate, "active again", "Reactivate"),
}
OFFERED = {
    CardStatus.ACTIVE: ("block", "revoke"),
    CardStatus.INACTIVE: ("reactivate", "block"),
    CardStatus.BLOCKED: ("reactivate",),
}


def card_buttons(card: Card, back: str) -> SafeString:
    """What can be done to a card now. Buttons of the page's own form, sent elsewhere."""
    verbs = OFFERED[CardStatus(card.status)]
    return format_html_join(
        " ",
        '<button class="verb {}" formaction="{}?back={}" formnovalidate>{}</button>',
        (
            (verb, reverse("admin:policies_card_verb", args=(quote(card.pk), verb)), back, name)
            for verb, (_, _, name) in VERBS.items()
            if verb in verbs
        ),
    )


@admin.register(Card)
class CardAdmin(ModelAdmin):
    """A physical token and whom it was given to."""

    list_display = ("uid", "person", "label", "status", "valid", "added_at")
    list_filter = ("status",)
    list_select_related = ("person",)
    search_fields = ("uid",)
    search_help_text = "A name, or a card number in any way of writing it."
    autocomplete_fields = ("person",)
    fields = ("uid", "person", "label", "status", ("valid_from", "valid_until"), "visits")
    actions = ("revoke", "block", "reactivate", "reactivate_until")

    def get_readonly_fields(self, request: HttpRequest, obj: Card | None = None) -> tuple[str, ...]:
        """The status of a card on record has its buttons: a page that was opened before the card
        was reported stolen must not open it again when it is saved."""
        return ("uid", "status", "added_at", "buttons", "visits") if obj else ("visits",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj and self.has_change_permission(request, obj):
            return (("uid", "buttons"), *self.fields[1:], "added_at")
        return self.fields

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Card], search_term: str
    ) -> tuple[QuerySet[Card], bool]:
        return (queryset & Card.objects.matching(search_term) if search_term else queryset), False

    def save_model(self, request: HttpRequest, obj: Card, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if not change:
            warn_of_random(request, obj)

    @admin.display(description="visits")
    def visits(self, card: Card) -> str:
        mine = Q(card=card.pk) | Q(person=card.person_id)
        return visit_list(mine) if card.person_id else "none"

    def get_urls(self) -> list[Any]:
        own = path(
            "<path:object_id>/status/<str:verb>/",
            self.admin_site.admin_view(self.verb_view),
            name="policies_card_verb",
        )
        return [own, *super().get_urls()]

    @method_decorator(require_POST)
    def verb_view(self, request: HttpRequest, object_id: str, verb: str) -> HttpResponse:
        """One button for a lost card; back to the page on which it was pressed."""
        card = self.get_object(request, unquote(object_id))
        if not self.has_change_permission(request, card):
            raise PermissionDenied
        if card is None or verb not in VERBS:
            raise Http404
        act, done, _ = VERBS[verb]
        self._each(request, [card.pk], act, done)
        if request.GET.get("back") == "person":
            return HttpResponseRedirect(
                reverse("admin:policies_person_change", args=(card.person_id,))
            )
        return HttpResponseRedirect(reverse("admin:policies_card_change", args=(quote(card.pk),)))

    @admin.display(description="valid", ordering="valid_until")
    def valid(self, card: Card) -> str:
        return spell(card.valid_from, card.valid_until)

    @admin.display(description="lost, found")
    def buttons(self, card: Card) -> SafeString:
        return card_buttons(card, "card")

    @admin.action(description="Revoke: the card opens nothing any more", permissions=["change"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Card]) -> None:
        self._each(request, queryset.values("pk"), Card.revoke, "revoked")

    @admin.action(description="Block: lost or stolen, raise an alert", permissions=["change"])
    def block(self, request: HttpRequest, queryset: QuerySet[Card]) -> None:
        self._each(request, queryset.values("pk"), Card.block, "blocked as lost or stolen")

    @admin.action(description="Reactivate: the card opens again", permissions=["change"])
    def reactivate(self, request: HttpRequest, queryset: QuerySet[Card]) -> None:
        self._each(request, queryset.values("pk"), Card.reactivate, "active again")

    @admin.action(description="Reactivate until a day…", permissions=["change"])
    def reactivate_until(
        self, request: HttpRequest, queryset: QuerySet[Card]
    ) -> HttpResponse | None:
        form = UntilForm.of(request, queryset)
        if not form.is_valid():
            return ask(self, request, queryset, form, "reactivate_until")
        until = form.cleaned_data["until"]
        keys = queryset.values("pk")
        self._each(request, keys, lambda card: card.reactivate(until), form.done())
        return None

    def _each(
        self,
        request: HttpRequest,
        keys: Iterable[Any],
        verb: Callable[[Card], None],
        done: str,
    ) -> None:
        with transaction.atomic():
            cards = list(Card.objects.select_for_update().filter(pk__in=keys))
            for card in cards:
                verb(card)
                self.log_change(request, card, done)
        warn_of_expired(request, cards)
        count = len(cards)
        self.message_user(
            request, f"{counted(count, 'card')} {'is' if count == 1 else 'are'} {done}."
        )
