"""The access page: who was at which door, as it happens, and why a door stayed shut."""

import datetime as dt
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.conf import settings
from django.contrib.admin.utils import quote
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import path, reverse
from django.utils import timezone
from rest_framework.exceptions import ValidationError

from access import history
from access.models import AccessLog
from policies.models import Device
from policies.moments import to_milliseconds, utc_text
from policies.roles import Role
from realtime import feed
from smarthome.guard import page_for, with_bar
from smarthome.now import event
from smarthome.words import clock

ROWS = 50
RESULTS = [("", "all"), ("true", "allowed"), ("false", "refused")]
DAY = dt.timedelta(days=1)


class DayField(forms.DateField):
    """A day of the building's calendar; the moment at which it begins."""

    widget = forms.DateInput(format="%Y-%m-%d", attrs={"type": "date"})

    def clean(self, value: Any) -> Any:
        day = super().clean(value)
        if day is None:
            return None
        if not dt.date(2, 1, 1) <= day <= dt.date(9998, 12, 31):
            raise forms.ValidationError("Choose a year between 2 and 9998.")
        return timezone.make_aware(dt.datetime.combine(day, dt.time()))


class PassagesForm(forms.Form):
    """Which rows are shown."""

    door = forms.ChoiceField(required=False)
    who = forms.CharField(required=False, max_length=200)
    result = forms.ChoiceField(choices=RESULTS, required=False)
    since = DayField(required=False)
    until = DayField(required=False)  # the day included

    def __init__(self, data: Any, doors: dict[str, Device]) -> None:
        super().__init__(data, label_suffix="")
        self.fields["door"].choices = [("", "all"), *((key, str(d)) for key, d in doors.items())]  # type: ignore[attr-defined]  # a field of choices

    def as_query(self) -> dict[str, Any]:
        """As the log is asked. What cannot be understood is left out, and the form says so."""
        given = {name: value for name, value in self.cleaned_data.items() if value}
        query: dict[str, Any] = {"search": given.get("who", "")}
        if "door" in given:
            query["device_id"] = given["door"]
        if "result" in given:
            query["granted"] = given["result"] == "true"
        if "since" in given:
            query["start_time"] = given["since"]
        if "until" in given:
            query["end_time"] = given["until"] + DAY - dt.timedelta(milliseconds=1)
        return query


@page_for(Role.VIEWER)
def passages(request: HttpRequest, role: Role) -> HttpResponse:
    """A page of rows, newest first. Its script asks for them again when something happens."""
    now, with_uid = timezone.now(), role >= Role.OPERATOR
    where = feed.position()  # first: what happens meanwhile is told again
    doors = {one.pk: one for one in Device.objects.filter(kind=Device.Kind.DOOR)}
    form = PassagesForm(request.GET, doors)
    form.is_valid()
    rows = history.filtered(form.as_query(), with_uid=with_uid)
    cursor = request.GET.get("before", "")
    try:
        found, following = history.page_after(rows, cursor, ROWS)
    except ValidationError:  # an old link, perhaps: begin with the newest
        return redirect("passages")
    asked = {name: value for name, value in request.GET.items() if name != "before" and value}
    context = {
        "form": form,
        "as_of": clock(now, now),
        "rows": [
            {
                "event": event(row, now, with_uid=with_uid),
                "rule": row.rule if with_uid else "",
                "why": why(row) if with_uid and request.user.is_staff else "",
            }
            for row in found
        ],
        "asked": urlencode(asked),
        "is_newest": not cursor,
        "older": following and urlencode(asked | {"before": following}),
        "house": {
            "zone": settings.TIME_ZONE,
            "now": utc_text(to_milliseconds(now)),
            "feed": where.feed_id,
            "seq": where.seq,
        },
    }
    return render(request, "passages.html", with_bar(role, context))


def why(row: AccessLog) -> str:
    """The page that explains who may enter there at that time."""
    page = reverse("admin:policies_door_entry", args=(quote(row.device_id),))
    return f"{page}?{urlencode({'at': utc_text(row.timestamp), 'card': row.card_uid})}"


urlpatterns = [path("access", passages, name="passages")]
