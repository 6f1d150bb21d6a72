"""Enrol by presenting: the next unknown card at a door is offered with one question, whose it is.

The access log is looked at, nothing else: a door needs no other mode for it.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, OuterRef
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.http import urlencode
from django.views.decorators.http import require_POST, require_safe

from access.decision import Reason
from access.models import AccessLog
from policies import uid
from policies.console import ModelAdmin, warn_of_random
from policies.models import MAX_NAME, Card, CardExists, Device, Person, checked_name, folded
from policies.moments import to_milliseconds

WAIT = dt.timedelta(seconds=60)
OFFERED_FOR = dt.timedelta(minutes=10)  # what came in time waits for an answer
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MILLISECOND = dt.timedelta(milliseconds=1)
MOST_NAMES = 200  # that are offered while typing


@dataclass(frozen=True, slots=True)
class Waiting:
    """Somebody waits for a card at a door, since a moment."""

    door: Device
    since: dt.datetime
    now: dt.datetime

    @property
    def seconds_left(self) -> int:
        return max(0, -int(-(self.since + WAIT - self.now).total_seconds() // 1))

    @property
    def state(self) -> str:
        """`found`, `waiting` or `over`."""
        if self.card_uid:
            return "found"
        return "waiting" if self.seconds_left and self.since <= self.now else "over"

    @property
    def card_uid(self) -> str:
        """The first UID presented in time that nobody has, and still has not."""
        if self.now >= self.since + OFFERED_FOR:
            return ""
        known = Card.objects.filter(uid=OuterRef("card_uid"))
        rows = AccessLog.objects.filter(
            ~Exists(known),
            device_id=self.door.device_id,
            reason=Reason.UNKNOWN_CARD,
            timestamp__gte=self.since,
            timestamp__lt=self.since + WAIT,
        ).order_by("timestamp", "number")
        return rows.values_list("card_uid", flat=True).first() or ""


class WhoseForm(forms.Form):
    card_uid = forms.CharField(widget=forms.HiddenInput)
    holder = forms.CharField(
        label="Whose is it?",
        max_length=MAX_NAME,
        help_text="A name. Somebody who is not on record yet is added.",
        widget=forms.TextInput(attrs={"list": "people", "autocomplete": "off", "autofocus": True}),
    )

    def clean_holder(self) -> str:
        return checked_name(self.cleaned_data["holder"])


class EnrolByPresenting(ModelAdmin):
    """The pages of it, beside the access log's own."""

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        own = [
            path("wait/", wrap(self.start_view), name="access_accesslog_start"),
            path("wait/<path:door>/state/", wrap(self.state_view), name="access_accesslog_state"),
            path("wait/<path:door>/", wrap(self.wait_view), name="access_accesslog_wait"),
        ]
        return [*own, *super().get_urls()]

    @method_decorator(require_POST)
    def start_view(self, request: HttpRequest) -> HttpResponse:
        """From now on: the button on a person's page."""
        self._check(request)
        door = _door(request.POST.get("door", ""))
        since = (to_milliseconds(timezone.now()) - EPOCH) // MILLISECOND
        query = {"since": str(since), "person": request.POST.get("person", "")}
        page = reverse("admin:access_accesslog_wait", args=(quote(door.device_id),))
        return HttpResponseRedirect(f"{page}?{urlencode(query)}")

    @method_decorator(require_safe)
    def state_view(self, request: HttpRequest, door: str) -> HttpResponse:
        """What the page's script asks every second; no number leaves by it."""
        self._check(request)
        waiting = _waiting(request, door)
        return JsonResponse({"state": waiting.state, "seconds_left": waiting.seconds_left})

    def wait_view(self, request: HttpRequest, door: str) -> HttpResponse:
        self._check(request)
        waiting = _waiting(request, door)
        person = _person(request.GET.get("person", ""))
        form = WhoseForm(
            request.POST if request.method == "POST" else None,
            initial={"card_uid": waiting.card_uid, "holder": person.name if person else ""},
        )
        if form.is_valid():
            return self._enrol(request, waiting, **form.cleaned_data)
        names = Person.objects.values_list("name", flat=True)[: MOST_NAMES + 1]
        state_page = reverse("admin:access_accesslog_state", args=(door,))
        context = {
            **self.admin_site.each_context(request),
            "title": "Wait for a card",
            "waiting": waiting,
            "person": person,
            "form": form,
            "names": names if len(names) <= MOST_NAMES else [],
            "warning": uid.RANDOM_WARNING if uid.is_random(waiting.card_uid) else "",
            "state_page": f"{state_page}?{request.GET.urlencode()}",
        }
        return TemplateResponse(request, "admin/wait.html", context)

    def _enrol(
        self, request: HttpRequest, waiting: Waiting, card_uid: str, holder: str
    ) -> HttpResponse:
        again = request.get_full_path()
        if card_uid != waiting.card_uid:
            messages.error(request, "That card is not waiting any more. Present it once more.")
            return HttpResponseRedirect(again)
        is_new = not Person.objects.filter(folded_name=folded(holder)).exists()
        try:
            card = Card.objects.give(card_uid, holder)
        except CardExists:
            messages.error(request, "Somebody has just been given this card.")
            return HttpResponseRedirect(again)
        self.log_addition(request, card, "enrolled by presenting")
        added = f" {card.person} is new on record." if is_new else ""
        messages.success(request, f"{card.uid} is a card of {card.person} now.{added}")
        warn_of_random(request, card)
        return HttpResponseRedirect(reverse("admin:policies_person_change", args=(card.person_id,)))

    def _check(self, request: HttpRequest) -> None:
        if not request.user.has_perm("policies.add_card"):
            raise PermissionDenied


def _door(device_id: str) -> Device:
    door = Device.objects.filter(kind=Device.Kind.DOOR, device_id=device_id.replace("\0", ""))
    found = door.first()
    if found is None:
        raise Http404
    return found


def _waiting(request: HttpRequest, door: str) -> Waiting:
    text = request.GET.get("since", "")
    if not (text.isascii() and text.isdigit() and len(text) <= 14):
        raise Http404
    return Waiting(_door(unquote(door)), EPOCH + int(text) * MILLISECOND, timezone.now())


def _person(text: str) -> Person | None:
    """The person whose page it began on, if it began on one."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        return None
    return Person.objects.filter(pk=int(text)).first()
