"""Doors: what they are set to, what they do now, who was there last, and who may enter."""

import datetime as dt
from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.contrib.admin.views.main import ChangeList
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from access import clock, history
from access.entry import Entry, explain_cards, who_may_enter
from access.models import AccessLog, DoorEvent
from policies.admin.lockdown import LockableAdmin
from policies.admin.preview import PreviewedAdmin
from policies.consequences import listed
from policies.door_states import states_of
from policies.models import Device, Door
from policies.moments import parse_query_moment
from policies.rules import DoorState

MOST_SHOWN = 200
YEARS = range(1970, 2200)  # in which clocks are worth asking about
LOCAL_TIME = "%Y-%m-%dT%H:%M"


class Doors(ChangeList):
    """A page of doors, each with its state and its last event: a fixed number of queries."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        doors: list[Any] = list(self.result_list)
        look_at(doors)
        self.result_list = doors


def look_at(doors: Sequence[Any]) -> None:
    """Note at each door what it does now and what happened there last."""
    states = states_of(doors)
    devices = Device.objects.filter(pk__in=[door.device_id for door in doors])
    last: dict[str, AccessLog | DoorEvent] = {}
    for model in (AccessLog, DoorEvent):
        for row in history.newest_by_door(model, devices):
            known = last.get(row.device_id)
            if known is None or known.timestamp <= row.timestamp:
                last[row.device_id] = row
    for door in doors:
        door.now, door.last = states[door.device_id], last.get(door.device_id)


def state_words(door: Door, state: DoorState, at: dt.datetime) -> tuple[str, str]:
    """What a door does now: a tone (`good`, `warn`, `bad`), and words."""
    if not door.device.enabled:
        return "bad", "suspended: the device is refused"
    if not door.switched_on:
        return "bad", "switched off: every card is refused"
    if state.is_locked(at):
        return "bad", f"locked now by “{door.always_locked}”"
    if state.lockdown:
        return "bad", "locked down"
    if state.stays_open(at):
        return "warn", f"stays open now by “{door.always_unlocked}”"
    return "good", "opens by the rules"


@admin.register(Door)
class DoorAdmin(LockableAdmin, PreviewedAdmin):
    """What a door does when it may open. It comes and goes with its device."""

    list_display = ("device", "state", "last_event", "zone_list", "entry_link")
    list_filter = ("lockdown", "switched_on", "device__zones")
    list_select_related = ("device", "always_locked", "always_unlocked")
    search_fields = ("device__name", "device__device_id")
    search_help_text = "A part of the name or the id."
    fieldsets = (
        (None, {"fields": ("device", "state", "last_event")}),
        ("Always", {"fields": ("switched_on", "unlock_seconds")}),
        ("By the clock", {"fields": ("always_locked", "always_unlocked")}),
    )
    readonly_fields = ("device", "state", "last_event")
    change_form_template = "admin/door.html"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return Doors

    def get_queryset(self, request: HttpRequest) -> QuerySet[Door]:
        return (
            super()
            .get_queryset(request)
            .select_related("device", "always_locked", "always_unlocked")
            .prefetch_related("device__zones")
        )

    def get_urls(self) -> list[Any]:
        own = path(
            "<path:object_id>/entry/",
            self.admin_site.admin_view(self.entry_view),
            name="policies_door_entry",
        )
        return [own, *super().get_urls()]

    @method_decorator(require_safe)
    def entry_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Who may enter here, when? Asks the decision and records nothing."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        door = self.get_object(request, unquote(object_id))
        if door is None:
            raise Http404("There is no such door any more.")
        form = EntryForm(request.GET)
        form.is_valid()
        asked, term = form.cleaned_data.get("at"), form.cleaned_data.get("card", "")
        at = asked or timezone.localtime()
        doubt = "" if asked else clock.problem(timezone.now())
        is_there = door.device.enabled  # else it is not even asked
        entry = who_may_enter(door, at, clock_trusted=not doubt) if is_there else Entry([], [])
        context = {
            **self.admin_site.each_context(request),
            "title": "Who may enter here, when?",
            "opts": self.opts,
            "original": door,
            "form": form,
            "at": at,
            "at_text": f"{at:{LOCAL_TIME}}",
            "term": term,
            "state": state_words(door, door.state(), at),
            "names": entry.names[:MOST_SHOWN],
            "count": len(entry.names),
            "refused": entry.refused,
            "doubt": doubt,
            "explanations": explain_cards(door, at, term, clock_trusted=not doubt)
            if term and is_there
            else [],
        }
        return TemplateResponse(request, "admin/entry.html", context)

    @admin.display(description="now")
    def state(self, door: Any) -> SafeString:
        _seen(door)
        tone, words = state_words(door, door.now, timezone.localtime())
        return format_html('<span class="door-state" data-tone="{}">{}</span>', tone, words)

    @admin.display(description="last")
    def last_event(self, door: Any) -> str:
        _seen(door)
        row = door.last
        if row is None:
            return "nothing yet"
        at = date_format(timezone.localtime(row.timestamp), "D j M, H:i")
        if isinstance(row, DoorEvent):
            return f"{row.get_event_display()}, {at}"
        return f"{row.user_name or 'Unknown card'}, {at}, {row.get_reason_display()}"

    @admin.display(description="zones")
    def zone_list(self, door: Door) -> str:
        zones = [str(zone) for zone in door.device.zones.all()]
        return listed(zones, most=3) if zones else ""

    @admin.display(description="who?")
    def entry_link(self, door: Door) -> SafeString:
        page = reverse("admin:policies_door_entry", args=(quote(door.pk),))
        return format_html('<a href="{}">Who may enter?</a>', page)


def _seen(door: Any) -> None:
    """On its own page a door is looked at when first asked."""
    if not hasattr(door, "now"):
        look_at([door])


class EntryForm(forms.Form):
    """The moment, now if absent, and a card or a name."""

    at = forms.CharField(required=False, max_length=40)
    card = forms.CharField(required=False, max_length=200)

    def clean_at(self) -> dt.datetime | None:
        """As a browser sends it, in building time, or as the API writes it."""
        text = self.cleaned_data["at"].strip()
        if not text:
            return None
        moment = _moment(text)
        if moment is None or moment.year not in YEARS:
            raise forms.ValidationError("A day and a time, such as 2026-11-23 08:30.")
        return timezone.localtime(moment)


def _moment(text: str) -> dt.datetime | None:
    try:
        return parse_query_moment(text)
    except ValueError:
        pass
    try:
        # By way of UTC: a time that spring leaves out becomes the one that a clock then shows.
        return timezone.make_aware(dt.datetime.fromisoformat(text)).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None
