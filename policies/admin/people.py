"""People, the groups they are in, and their cards on one page."""

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from policies import uid
from policies.admin.visits import listed
from policies.console import ModelAdmin, TabularInline, warn_of_random
from policies.models import Card, PeopleGroup, Person, folded


class CardInline(TabularInline):
    """The cards of a person; new ones are given here, known ones are changed on their own page.

    A UID is the key of its row, and a formset cannot follow a key that is edited.
    """

    model = Card
    fields = ("uid", "label", "status", "valid_from", "valid_until")
    extra = 1
    show_change_link = True

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Person)
class PersonAdmin(ModelAdmin):
    """Somebody who was given cards."""

    list_display = ("name", "card_list", "active", "valid_from", "valid_until")
    list_filter = ("active", "groups")
    search_fields = ("name",)
    search_help_text = "A name, or a card number in any way of writing it."
    filter_horizontal = ("groups",)
    readonly_fields = ("visits",)
    inlines = (CardInline,)
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Person]:
        return super().get_queryset(request).prefetch_related("cards")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Person], search_term: str
    ) -> tuple[QuerySet[Person], bool]:
        found = Q(folded_name__contains=folded(search_term))
        if part := uid.fragment(search_term):
            found |= Q(cards__uid__contains=part)
        return queryset.filter(found), True

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        for card in formset.new_objects:
            warn_of_random(request, card)

    @admin.display(description="visits")
    def visits(self, person: Person) -> str:
        mine = Q(person=person.pk) | Q(card__person=person.pk)
        return listed(mine) if person.pk else "none"

    @admin.display(description="cards")
    def card_list(self, person: Person) -> str:
        return ", ".join(str(card) for card in person.cards.all())


@admin.register(PeopleGroup)
class PeopleGroupAdmin(ModelAdmin):
    """People who share rules."""

    list_display = ("name", "exempt_from_lockdown")
    search_fields = ("name",)
