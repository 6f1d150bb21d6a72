"""Visitors: admitting them, and how far their visits have got."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join

from policies import admission, uid
from policies.console import ModelAdmin, counted, warn_of_random
from policies.models import Card, PeopleGroup, Visit, checked_name
from policies.rules import VisitState

WORDS = {
    VisitState.TO_COME: "to come",
    VisitState.RUNNING: "running",
    VisitState.USED_UP: "entries used up",
    VisitState.COUNT_LOST: "shut: the count of entries was lost",
    VisitState.OVER: "over",
}
MOST_LISTED = 20
COUNT_LOST = (
    "The stream Redis has lost its memory since this visit began, and entries may be missing here."
    " Nobody is let in until you save the visit: then what is shown here counts."
)


class AdmitForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """Who is admitted: exactly one of a card, a person, and somebody new with a card."""

    new_name = forms.CharField(
        label="or somebody new", required=False, help_text="A name. The card comes below."
    )
    new_uid = forms.CharField(
        label="with this card",
        required=False,
        help_text="A card that nobody has yet: 4 to 10 bytes of hex, such as 04:A3:2B:F2:1C:80.",
    )
    groups = forms.ModelMultipleChoiceField(
        PeopleGroup.objects.all(),
        required=False,
        help_text="Joined for their rules: without a rule, a visit opens no door.",
    )

    class Meta:
        model = Visit
        fields = ("card", "person", "starts_at", "ends_at", "max_entries")

    def clean_new_name(self) -> str:
        name: str = self.cleaned_data["new_name"]
        return checked_name(name) if name else ""

    def clean_new_uid(self) -> str:
        text: str = self.cleaned_data["new_uid"]
        if not text:
            return ""
        try:
            known = uid.canonical(text)
        except ValueError as error:
            raise ValidationError(str(error)) from None
        if Card.objects.filter(uid=known).exists():
            raise ValidationError("This card is on record. Choose it as “card” instead.")
        return known

    def clean(self) -> dict[str, Any] | None:
        found = super().clean() or self.cleaned_data
        new = [bool(found.get("new_name")), bool(found.get("new_uid"))]
        if any(new) and not all(new) and not self.errors:
            missing = "new_uid" if new[0] else "new_name"
            self.add_error(missing, "Somebody new has a name and a card.")
        if [bool(found.get("card")), bool(found.get("person")), any(new)].count(True) != 1:
            self.add_error(None, "Choose one: a card, a person, or somebody new with a card.")
        return found

    def _get_validation_exclusions(self) -> set[str]:
        """Somebody new is on record only when the visit is saved, which then is the card's."""
        exclusions: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]  # not in the stubs
        new = self.cleaned_data.get("new_uid")
        return exclusions | {"card", "person"} if new else exclusions


class RunningFilter(admin.SimpleListFilter):
    """Those that are over are many, and seldom wanted."""

    title = "time"
    parameter_name = "time"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("now", "running"), ("later", "to come"), ("past", "over")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        now = timezone.now()
        if self.value() == "now":
            return queryset.filter(starts_at__lte=now, ends_at__gt=now)
        if self.value() == "later":
            return queryset.filter(starts_at__gt=now)
        return queryset.filter(ends_at__lte=now) if self.value() == "past" else queryset


def entries_used(visit: Visit) -> str:
    """`1 of 3 entries`."""
    if visit.max_entries is None:
        return "any number of entries"
    return f"{visit.used} of {counted(visit.max_entries, 'entry', 'entries')}"


def progress(visit: Visit) -> str:
    return WORDS[visit.state(timezone.now())]


def visit_list(whose: Q) -> str:
    """The visits of a card or a person for its page, the newest first; each leads to its own."""
    lines = format_html_join(
        "",
        '<li><a href="{}">{}</a>: {}, {}</li>',
        (
            (reverse("admin:policies_visit_change", args=[visit.pk]), visit, *_told(visit))
            for visit in Visit.objects.with_state().filter(whose)[:MOST_LISTED]
        ),
    )
    return format_html("<ul>{}</ul>", lines) if lines else "none"


def _told(visit: Visit) -> tuple[str, str]:
    return entries_used(visit), progress(visit)


@admin.register(Visit)
class VisitAdmin(ModelAdmin):
    """Somebody who may come in for a while and so many times; a visit ends by itself."""

    list_display = ("whose", "starts_at", "ends_at", "entries", "progress")
    list_filter = (RunningFilter,)
    search_fields = ("card__uid",)
    search_help_text = "A name, or a card number in any way of writing it."
    autocomplete_fields = ("card", "person")
    actions = ("end",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Visit]:
        return Visit.objects.with_state()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Visit], search_term: str
    ) -> tuple[QuerySet[Visit], bool]:
        return queryset.filter(pk__in=Visit.objects.matching(search_term).values("pk")), False

    def get_fieldsets(self, request: HttpRequest, obj: Visit | None = None) -> Any:
        when = ("When", {"fields": ("starts_at", "ends_at", "max_entries")})
        if obj:
            return [
                ("Who", {"fields": ("whose",)}),
                when,
                ("So far", {"fields": ("progress", "entries", "times")}),
            ]
        who = ("card", "person", "new_name", "new_uid", "groups")
        return [("Who", {"fields": who}), when]

    def get_readonly_fields(self, request: HttpRequest, obj: Visit | None = None) -> Any:
        return ("whose", "progress", "entries", "times") if obj else ()

    def get_form(
        self, request: HttpRequest, obj: Visit | None = None, change: bool = False, **kwargs: Any
    ) -> Any:
        if obj is None:
            kwargs["form"] = AdmitForm
        return super().get_form(request, obj, change, **kwargs)

    def save_model(self, request: HttpRequest, obj: Visit, form: Any, change: bool) -> None:
        if change:
            obj.save()
            return
        chosen = form.cleaned_data
        person, card = chosen["person"], chosen["card"]
        admission.admit(
            obj,
            card_uid=chosen["new_uid"] or (card.uid if card else ""),
            user_name=chosen["new_name"] or (person.name if person else ""),
            groups=chosen["groups"],
        )
        if chosen["new_uid"] and obj.card:
            warn_of_random(request, obj.card)
        elif obj.is_only():
            messages.warning(request, admission.bound(obj))

    def change_view(self, request: HttpRequest, object_id: str, *args: Any, **kw: Any) -> Any:
        visit = self.get_object(request, object_id)
        if request.method == "GET" and visit and self._is_shut(visit):
            messages.warning(request, COUNT_LOST)
        return super().change_view(request, object_id, *args, **kw)

    def delete_view(self, request: HttpRequest, object_id: str, *args: Any) -> HttpResponse:
        visit = self.get_object(request, object_id)
        if request.method == "GET" and visit and visit.is_only():
            messages.warning(request, admission.freed(visit))
        return super().delete_view(request, object_id, *args)

    def get_actions(self, request: HttpRequest) -> Any:
        """Visits are deleted one by one, because with the last one a visitor becomes a resident."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    @admin.action(description="End now: let in no more", permissions=["change"])
    def end(self, request: HttpRequest, queryset: QuerySet[Visit]) -> None:
        visits = list(queryset)
        with transaction.atomic():
            for visit in visits:
                visit.end()
                self.log_change(request, visit, "ended")
        self.message_user(request, f"{counted(len(visits), 'visit')} ended.")

    @admin.display(description="visitor", ordering="starts_at")
    def whose(self, visit: Visit) -> str:
        return admission.whose(visit)

    @admin.display(description="entries")
    def entries(self, visit: Visit) -> str:
        return entries_used(visit)

    @admin.display(description="state")
    def progress(self, visit: Visit) -> str:
        return progress(visit)

    @admin.display(description="came in")
    def times(self, visit: Visit) -> str:
        return ", ".join(str(entry) for entry in visit.entries.all()) or "not counted, or not yet"

    @staticmethod
    def _is_shut(visit: Visit) -> bool:
        return visit.state(timezone.now()) is VisitState.COUNT_LOST
