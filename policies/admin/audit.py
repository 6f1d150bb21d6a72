"""The audit log in the console: evidence, so only to be read."""

from collections.abc import Iterable
from typing import Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.safestring import SafeString

from policies import audit, uid
from policies.change_words import in_short, kind_in_words
from policies.evidence import DaysFilter, EvidenceAdmin
from policies.models import PolicyChange


class ActorFilter(admin.SimpleListFilter):
    """Whoever may sign in: the log itself is too long to ask whom it names."""

    title = "who"
    parameter_name = "actor"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        names = User.objects.order_by("username").values_list("username", flat=True)
        return [(name, name) for name in names]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        actor = (self.value() or "").replace("\0", "")
        return queryset.filter(actor=actor) if actor else queryset


class KindFilter(admin.SimpleListFilter):
    """What was changed, in words."""

    title = "what"
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        hidden = hidden_kinds(request)
        found = [(name, str(kind)) for name, kind in audit.kinds().items() if name not in hidden]
        return sorted(found, key=lambda pair: pair[1])

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        kind = (self.value() or "").replace("\0", "")
        return queryset.filter(kind=kind) if kind else queryset


@admin.register(PolicyChange)
class PolicyChangeAdmin(EvidenceAdmin):
    """Who changed what, and when. Only owners see changes of who may sign in."""

    list_display = ("timestamp", "actor", "way", "what", "short")
    list_display_links = ("timestamp", "what")
    list_filter = (DaysFilter, ActorFilter, KindFilter, "action", "source")
    search_fields = ("label",)
    search_help_text = "A person, a name of what was changed, a card number, or who changed it."
    fields = ("timestamp", "actor", "way", "what", "key", "action", "details", "number")
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[PolicyChange]:
        changes: QuerySet[PolicyChange] = super().get_queryset(request)
        return changes.exclude(kind__in=hidden_kinds(request))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[PolicyChange], search_term: str
    ) -> tuple[QuerySet[PolicyChange], bool]:
        if not search_term:
            return queryset, False
        found = Q(label__icontains=search_term) | Q(person__icontains=search_term)
        found |= Q(actor__iexact=search_term) | Q(key__iexact=search_term)
        if part := uid.fragment(search_term):
            found |= Q(kind="card", key__contains=part)
        return queryset.filter(found), False

    @admin.display(description="way", ordering="source")
    def way(self, change: PolicyChange) -> str:
        source = change.get_source_display()
        return f"{source}, {change.address}" if change.address else source

    @admin.display(description="what", ordering="label")
    def what(self, change: PolicyChange) -> str:
        whose = f", {change.person}" if change.person not in ("", change.label) else ""
        return f"{kind_in_words(change.kind)} {change.label}{whose}: {change.action}"

    @admin.display(description="before and after")
    def short(self, change: PolicyChange) -> str:
        return in_short(change)

    @admin.display(description="before and after")
    def details(self, change: PolicyChange) -> SafeString:
        return render_to_string("admin/differences.html", {"change": change})


def hidden_kinds(request: HttpRequest) -> list[str]:
    """What somebody may not see changes of: who may sign in is for owners."""
    if request.user.has_perm("auth.view_user"):
        return []
    return [name for name, kind in audit.kinds().items() if kind.is_of_users]
