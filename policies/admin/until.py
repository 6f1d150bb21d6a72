"""The page between choosing “reactivate until” and doing it: until when?"""

import datetime as dt
from typing import Any

from django import forms
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from policies.console import DayAndTime, ModelAdmin, spell


class UntilForm(forms.Form):
    until = forms.SplitDateTimeField(
        label="Until",
        widget=DayAndTime,
        help_text="By the clock of the building; that minute is not included any more.",
    )

    @classmethod
    def of(cls, request: HttpRequest, chosen: QuerySet[Any]) -> "UntilForm":
        """As it was sent, or empty when it was not shown yet."""
        form = cls(request.POST if "until_0" in request.POST else None)
        form.chosen = chosen
        return form

    chosen: QuerySet[Any]

    def clean_until(self) -> dt.datetime:
        until: dt.datetime = self.cleaned_data["until"]
        if until.year >= dt.MAXYEAR:  # which does not exist in every time zone
            raise forms.ValidationError("Must lie in the years 2 to 9998.")
        if until <= timezone.now():
            raise forms.ValidationError("That is over. Choose a time to come.")
        late = self.chosen.filter(valid_from__gte=until).first()
        if late:
            raise forms.ValidationError(f"{late} is not valid before that. Choose a later time.")
        return until

    def done(self) -> str:
        """`active until 31 Jul 2026, 18:00`."""
        return f"active {spell(None, self.cleaned_data['until'])}"


def ask(
    modeladmin: ModelAdmin,
    request: HttpRequest,
    queryset: QuerySet[Any],
    form: UntilForm,
    action: str,
) -> HttpResponse:
    """The question, with what was chosen kept in its form."""
    context = {
        **modeladmin.admin_site.each_context(request),
        "title": "Reactivate until",
        "opts": modeladmin.opts,
        "form": form,
        "action": action,
        "chosen": queryset,
        "keys": request.POST.getlist(ACTION_CHECKBOX_NAME),
        "across": request.POST.get("select_across", "0"),
        "checkbox": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, "admin/until.html", context)
