"""Groups: people who share rules."""

from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.widgets import AutocompleteSelectMultiple
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from policies.admin.preview import PreviewedAdmin
from policies.consequences import listed
from policies.models import Card, PeopleGroup, Person

MOST_MEMBERS = 100


class GroupForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    """Members come and go one by one, so that two who edit a group undo nothing of each other's,
    and a group of thousands is no form of thousands."""

    newcomers = forms.ModelMultipleChoiceField(
        Person.objects.all(),
        required=False,
        label="Add people",
        widget=AutocompleteSelectMultiple(Card._meta.get_field("person"), admin.site),
    )
    leavers = forms.ModelMultipleChoiceField(
        Person.objects.all(),
        required=False,
        label="Take out",
        widget=AutocompleteSelectMultiple(Card._meta.get_field("person"), admin.site),
    )


@admin.register(PeopleGroup)
class PeopleGroupAdmin(PreviewedAdmin):
    """People who share rules."""

    list_display = ("name", "member_count", "rule_list", "exempt_from_lockdown")
    search_fields = ("name",)
    search_help_text = "A part of the name."
    form = GroupForm
    fields = ("name", "exempt_from_lockdown", "members", "newcomers", "leavers")
    readonly_fields = ("members",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[PeopleGroup]:
        groups: QuerySet[PeopleGroup] = super().get_queryset(request)
        return groups.annotate(members_in_all=Count("people")).prefetch_related("rules")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if not self.has_change_permission(request, obj):
            return ("name", "exempt_from_lockdown", "members")
        return self.fields if obj else ("name", "exempt_from_lockdown", "newcomers")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        obj.people.remove(*form.cleaned_data.get("leavers", ()))
        obj.people.add(*form.cleaned_data.get("newcomers", ()))

    @admin.display(description="people", ordering="members_in_all")
    def member_count(self, group: Any) -> int:
        count: int = group.members_in_all
        return count

    @admin.display(description="rules")
    def rule_list(self, group: PeopleGroup) -> str:
        rules = [str(rule) for rule in group.rules.all()]
        return listed(rules, most=3) if rules else "none yet"

    @admin.display(description="people")
    def members(self, group: PeopleGroup) -> SafeString | str:
        people = group.people.all()
        links = format_html_join(
            ", ",
            '<a href="{}">{}</a>',
            (
                (reverse("admin:policies_person_change", args=(one.pk,)), one.name)
                for one in people[:MOST_MEMBERS]
            ),
        )
        count = people.count()
        if count <= MOST_MEMBERS:
            return links or "nobody yet"
        every = f"{reverse('admin:policies_person_changelist')}?groups__id__exact={group.pk}"
        return format_html('{} … <a href="{}">all {} people</a>', links, every, count)
