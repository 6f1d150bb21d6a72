"""People and their cards on one page."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.safestring import SafeString

from policies import uid
from policies.admin.cards import card_buttons
from policies.admin.preview import PreviewedAdmin
from policies.admin.until import UntilForm, ask
from policies.admin.visits import visit_list
from policies.consequences import listed
from policies.console import StackedInline, counted, spell, warn_of_expired, warn_of_random
from policies.models import Card, Device, Person, folded


class CardInline(StackedInline):
    """The cards that a person has. Their UIDs stay: a UID is the key of its row."""

    model = Card
    fields = (("uid", "buttons"), ("label", "status"), ("valid_from", "valid_until"))
    # The status has its buttons: a page that was opened before a card was reported stolen must not
    # open it again when it is saved.
    readonly_fields = ("uid", "status", "buttons")
    extra = 0
    show_change_link = True
    verbose_name_plural = "cards"

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        may_change = self.has_change_permission(request, obj)
        return self.fields if may_change else ("uid", *self.fields[1:])

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @admin.display(description="lost, found")
    def buttons(self, card: Card) -> SafeString:
        return card_buttons(card, "person") if card.pk else SafeString("")


class NewCardInline(StackedInline):
    """A card that a person is given."""

    model = Card
    fields = (("uid", "label"), ("valid_from", "valid_until"))
    extra = 1
    verbose_name = "new card"
    verbose_name_plural = "give another card"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Card]:
        return super().get_queryset(request).none()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_add_permission(request, obj)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_add_permission(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(Person)
class PersonAdmin(PreviewedAdmin):
    """Somebody who was given cards."""

    list_display = ("name", "card_list", "group_list", "active", "valid")
    list_filter = ("active", "groups")
    search_fields = ("name",)
    search_help_text = "A name, or a card number in any way of writing it."
    fieldsets = (
        (None, {"fields": ("name", "groups")}),
        ("How long", {"fields": ("active", ("valid_from", "valid_until"), "visits")}),
    )
    readonly_fields = ("visits",)
    actions = ("suspend", "block_cards", "reactivate", "reactivate_until")
    change_form_template = "admin/person.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Person]:
        return super().get_queryset(request).prefetch_related("cards", "groups")

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return (CardInline, NewCardInline) if obj else (NewCardInline,)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Person], search_term: str
    ) -> tuple[QuerySet[Person], bool]:
        found = Q(folded_name__contains=folded(search_term))
        if part := uid.fragment(search_term):
            found |= Q(pk__in=Card.objects.filter(uid__contains=part).values("person"))
        return queryset.filter(found), False

    def formfield_for_manytomany(self, db_field: Any, request: Any, **options: Any) -> Any:
        options["widget"] = forms.CheckboxSelectMultiple
        return super().formfield_for_manytomany(db_field, request, **options)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *arguments: Any, **options: Any
    ) -> HttpResponse:
        if options.get("change") and self.has_change_permission(request):
            context["doors"] = Device.objects.filter(kind=Device.Kind.DOOR)
        return super().render_change_form(request, context, *arguments, **options)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        super().save_formset(request, form, formset, change)
        for card in formset.new_objects:
            warn_of_random(request, card)

    @admin.display(description="visits")
    def visits(self, person: Person) -> str:
        mine = Q(person=person.pk) | Q(card__person=person.pk)
        return visit_list(mine) if person.pk else "none"

    @admin.display(description="cards")
    def card_list(self, person: Person) -> str:
        cards = [
            str(card) if card.active else f"{card} · {card.status}" for card in person.cards.all()
        ]
        return listed(cards, most=3) if cards else "none yet"

    @admin.display(description="valid", ordering="valid_until")
    def valid(self, person: Person) -> str:
        return spell(person.valid_from, person.valid_until)

    @admin.display(description="groups")
    def group_list(self, person: Person) -> str:
        groups = [str(group) for group in person.groups.all()]
        return listed(groups, most=3) if groups else ""

    @admin.action(description="Suspend: none of their cards opens anything", permissions=["change"])
    def suspend(self, request: HttpRequest, queryset: QuerySet[Person]) -> None:
        self._each(request, queryset, Person.suspend, "suspended")

    @admin.action(
        description="Block all their cards: lost or stolen, raise an alert", permissions=["change"]
    )
    def block_cards(self, request: HttpRequest, queryset: QuerySet[Person]) -> None:
        with transaction.atomic():
            cards = list(Card.objects.select_for_update().filter(person__in=queryset))
            for card in cards:
                card.block()
            for person in queryset:
                self.log_change(request, person, "all cards blocked as lost or stolen")
        self.message_user(request, f"{counted(len(cards), 'card')} blocked as lost or stolen.")

    @admin.action(description="Reactivate: their cards open again", permissions=["change"])
    def reactivate(self, request: HttpRequest, queryset: QuerySet[Person]) -> None:
        self._each(request, queryset, Person.reactivate, "active again")

    @admin.action(description="Reactivate until a day…", permissions=["change"])
    def reactivate_until(
        self, request: HttpRequest, queryset: QuerySet[Person]
    ) -> HttpResponse | None:
        form = UntilForm.of(request, queryset)
        if not form.is_valid():
            return ask(self, request, queryset, form, "reactivate_until")
        until = form.cleaned_data["until"]
        self._each(request, queryset, lambda person: person.reactivate(until), form.done())
        return None

    def _each(
        self,
        request: HttpRequest,
        queryset: QuerySet[Person],
        verb: Callable[[Person], None],
        done: str,
    ) -> None:
        with transaction.atomic():
            people = list(Person.objects.select_for_update().filter(pk__in=queryset.values("pk")))
            for person in people:
                verb(person)
                self.log_change(request, person, done)
        warn_of_expired(request, people)
        count = len(people)
        noun = "person is" if count == 1 else "people are"
        self.message_user(request, f"{count} {noun} {done}.")
