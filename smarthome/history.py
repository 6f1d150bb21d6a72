"""The history page: what sensors measured in any range, drawn, and as CSV.

The page asks `/history/data` for columns instead of the API: several sensors at once, in the
resolution that a screen can show.
"""

import datetime as dt
from decimal import Decimal
from typing import Any

from django import forms
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.http import StreamingHttpResponse as Stream
from django.shortcuts import render
from django.urls import path
from django.utils import timezone
from rest_framework.exceptions import ValidationError

from policies.models import Device
from policies.moments import parse_moment, parse_query_moment, to_milliseconds, utc_text
from policies.roles import Role
from policies.spreadsheet import as_csv
from sensors import history
from sensors.models import METRICS
from sensors.serializers import LONGEST_RANGE_OF_DAYS
from smarthome.guard import page_for, with_bar
from smarthome.now import DRAWN

MOST_SENSORS = 8
MOST_POINTS = 2100  # of a sensor: a week of five minutes; a screen has about as many columns
RAW_UP_TO, FINEST = dt.timedelta(minutes=5), "1m"
SHORTEST, LONGEST = dt.timedelta(minutes=1), LONGEST_RANGE_OF_DAYS
AT_FIRST = dt.timedelta(days=1)
# The ranges that one press chooses, in hours.
SPANS = {"hour": 1, "day": 24, "week": 7 * 24, "month": 30 * 24, "year": 366 * 24}

Points = list[history.Point]


class MomentField(forms.CharField):
    """A time with its offset."""

    def clean(self, value: Any) -> Any:
        text = super().clean(value)
        if not text:
            return None
        try:
            return parse_query_moment(text)
        except ValueError as error:
            raise forms.ValidationError(str(error)) from None


class HistoryForm(forms.Form):
    """What is asked: which sensors, which metric, from when to when."""

    sensor = forms.MultipleChoiceField(required=False)
    metric = forms.ChoiceField(choices=[(name, name) for name in METRICS], required=False)
    start = MomentField(required=False)
    end = MomentField(required=False)

    def __init__(self, data: Any, sensors: dict[str, Device]) -> None:
        super().__init__(data)
        self.sensors = sensors
        self.fields["sensor"].choices = [(key, str(one)) for key, one in sensors.items()]  # type: ignore[attr-defined]  # a field of choices

    def clean_sensor(self) -> list[str]:
        chosen = list(dict.fromkeys(self.cleaned_data["sensor"])) or [*self.sensors][:1]
        if len(chosen) > MOST_SENSORS:
            raise forms.ValidationError(f"At most {MOST_SENSORS} sensors at once.")
        return chosen

    def clean(self) -> None:
        end = self.cleaned_data.get("end") or to_milliseconds(timezone.now())
        try:
            start = self.cleaned_data.get("start") or end - AT_FIRST
        except OverflowError:
            raise forms.ValidationError("There is nothing before the year 1.") from None
        if not SHORTEST <= end - start <= LONGEST:
            raise forms.ValidationError("A range is a minute at least and ten years at most.")
        metric = self.cleaned_data.get("metric") or METRICS[0]
        self.cleaned_data |= {"start": start, "end": end, "metric": metric}


@page_for(Role.VIEWER)
def page(request: HttpRequest, role: Role) -> HttpResponse:
    """The frame of the page; its script asks for what is drawn."""
    sensors = sensors_on_record()
    form = HistoryForm(request.GET, sensors)
    if not form.is_valid():  # an old link, perhaps: begin anew
        form = HistoryForm({}, sensors)
        form.full_clean()
    chosen = form.cleaned_data
    context = {
        "sensors": [(one.pk, str(one), one.pk in chosen["sensor"]) for one in sensors.values()],
        "metrics": [(name, name == chosen["metric"]) for name in METRICS],
        "spans": SPANS,
        "house": {
            "zone": settings.TIME_ZONE,
            "now": utc_text(to_milliseconds(timezone.now())),
            "longest": LONGEST.total_seconds(),
            "shortest": SHORTEST.total_seconds(),
            "metrics": DRAWN,
        },
    }
    return render(request, "history.html", with_bar(role, context))


@page_for(Role.VIEWER)
def data(request: HttpRequest, role: Role) -> HttpResponse:
    """`{start, end, interval, width, series: [{id, times, mean, least, most}]}`: times in epoch
    seconds, width in seconds (0: single readings, which have no least and most)."""
    form = HistoryForm(request.GET, sensors_on_record())
    if not form.is_valid():
        return JsonResponse({"errors": form.errors.get_json_data()}, status=400)
    interval, found = read(form.cleaned_data)
    metric = form.cleaned_data["metric"]
    width = history.INTERVALS[interval].width.total_seconds() if interval else 0
    return JsonResponse(
        {
            "start": utc_text(form.cleaned_data["start"]),
            "end": utc_text(form.cleaned_data["end"]),
            "interval": interval,
            "width": width,
            "series": [columns(key, metric, points) for key, points in found.items()],
        }
    )


@page_for(Role.VIEWER)
def table(request: HttpRequest, role: Role) -> HttpResponseBase:
    """What the page shows, as CSV."""
    sensors = sensors_on_record()
    form = HistoryForm(request.GET, sensors)
    if not form.is_valid():
        return HttpResponse(form.errors.as_text(), status=400, content_type="text/plain")
    interval, found = read(form.cleaned_data)
    metric = form.cleaned_data["metric"]
    values = [f"{metric}_{kind}" for kind in ("avg", "min", "max")] if interval else [metric]
    rows = (
        [one["timestamp"], key, str(sensors[key]), *(_cell(one[name]) for name in values)]
        for key, points in found.items()
        for one in points
        if one[values[0]] is not None
    )
    response = Stream(
        as_csv(["time", "device_id", "name", *values], rows), content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="{metric}-{timezone.localdate()}.csv"'
    return response


def sensors_on_record() -> dict[str, Device]:
    """By id, in the order of their ids."""
    return {one.pk: one for one in Device.objects.filter(kind=Device.Kind.SENSOR)}


def read(asked: dict[str, Any]) -> tuple[str | None, dict[str, Points]]:
    """The interval that fits the range, and the points of each sensor."""
    start, end = asked["start"], asked["end"]
    length = end - start
    interval = None if length <= RAW_UP_TO else history.interval_for(length, MOST_POINTS)
    try:
        return interval, _points(asked["sensor"], start, end, interval)
    except ValidationError:  # more single readings than the API tells at once
        return FINEST, _points(asked["sensor"], start, end, FINEST)


def _points(
    sensors: list[str], start: dt.datetime, end: dt.datetime, interval: str | None
) -> dict[str, Points]:
    return {key: history.readings(key, start, end, interval) for key in sensors}


def columns(key: str, metric: str, points: Points) -> dict[str, Any]:
    """The points as the chart takes them, without those that have no such value."""
    mean = metric if points and metric in points[0] else f"{metric}_avg"
    kept = [one for one in points if one[mean] is not None]
    return {
        "id": key,
        "times": [parse_moment(one["timestamp"]).timestamp() for one in kept],
        "mean": [round(one[mean], 3) for one in kept],
        "least": [one.get(f"{metric}_min") for one in kept],
        "most": [one.get(f"{metric}_max") for one in kept],
    }


def _cell(value: float | None) -> Decimal | str:
    return "" if value is None else Decimal(f"{value:.6g}")


urlpatterns = [
    path("history", page, name="history"),
    path("history/data", data, name="history-data"),
    path("history.csv", table, name="history-csv"),
]
