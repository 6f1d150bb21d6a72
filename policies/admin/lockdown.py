"""Lockdown by button: a door, a zone, the whole house. For operators, too.

Locking down one door or zone takes one press; the whole house, and ending that, asks first.
"""

from typing import Any

from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.decorators import method_decorator
from django.views.decorators.http import require_POST

from policies.console import ModelAdmin, counted
from policies.lockdown import Lockdown
from policies.models import Door, House, Zone
from policies.roles import Role, role_of

DONE = {True: "locked down", False: "no longer locked down"}


def may_lock_down(request: HttpRequest) -> bool:
    role = role_of(request.user)
    return role is not None and role >= Role.OPERATOR


class LockableAdmin(ModelAdmin):
    """Actions on a list, and a button on the page of each."""

    change_form_template = "admin/lockable_form.html"
    actions = ("lock_down", "end_lockdown")

    def has_lockdown_permission(self, request: HttpRequest) -> bool:
        return may_lock_down(request)

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], *arguments: Any, **options: Any
    ) -> HttpResponse:
        context["may_lock_down"] = may_lock_down(request)
        return super().render_change_form(request, context, *arguments, **options)

    @admin.action(description="Lock down: every card is refused", permissions=["lockdown"])
    def lock_down(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._set(request, queryset, on=True)

    @admin.action(description="End the lockdown", permissions=["lockdown"])
    def end_lockdown(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        self._set(request, queryset, on=False)

    def get_urls(self) -> list[Any]:
        own = path(
            "<path:object_id>/lockdown/<str:state>/",
            self.admin_site.admin_view(self.lockdown_view),
            name=f"policies_{self.opts.model_name}_lockdown",
        )
        return [own, *super().get_urls()]

    @method_decorator(require_POST)
    def lockdown_view(self, request: HttpRequest, object_id: str, state: str) -> HttpResponse:
        if not may_lock_down(request):
            raise PermissionDenied
        found = self.get_object(request, unquote(object_id))
        if state not in ("on", "off") or found is None:
            raise Http404
        chosen = self.model.objects.filter(pk=found.pk)
        self._set(request, chosen, on=state == "on")
        if "house" in request.GET:  # where the button was
            return HttpResponseRedirect(reverse("admin:policies_house_changelist"))
        page = f"admin:policies_{self.opts.model_name}_change"
        return HttpResponseRedirect(reverse(page, args=(quote(unquote(object_id)),)))

    def _set(self, request: HttpRequest, chosen: QuerySet[Any], *, on: bool) -> None:
        keys = list(chosen.values_list("pk", flat=True))
        with transaction.atomic():
            for one in self.model.objects.select_for_update().filter(pk__in=keys):
                one.set_lockdown(on)
                self.log_change(request, one, DONE[on])
        noun = str(self.opts.verbose_name)
        self.message_user(
            request, f"{counted(len(keys), noun)} {'is' if len(keys) == 1 else 'are'} {DONE[on]}."
        )


@admin.register(House)
class HouseAdmin(ModelAdmin):
    """One page: everything that can be locked down."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_urls(self) -> list[Any]:
        own = path(
            "lockdown/<str:state>/",
            self.admin_site.admin_view(self.lockdown_view),
            name="policies_house_lockdown",
        )
        return [own, *super().get_urls()]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": "Lockdown",
            "opts": self.opts,
            "lockdown": Lockdown.now(),
            "may_lock_down": may_lock_down(request),
            "zones": Zone.objects.all(),
            "doors": Door.objects.select_related("device"),
        }
        return TemplateResponse(request, "admin/lockdown.html", context)

    @method_decorator(require_POST)
    def lockdown_view(self, request: HttpRequest, state: str) -> HttpResponse:
        """The whole house: the first press asks, the second does it."""
        if not may_lock_down(request):
            raise PermissionDenied
        if state not in ("on", "off"):
            raise Http404
        if "sure" not in request.POST:
            context = {
                **self.admin_site.each_context(request),
                "title": "The whole house",
                "opts": self.opts,
                "state": state,
                "doors": Door.objects.count(),
            }
            return TemplateResponse(request, "admin/lockdown_house.html", context)
        on = state == "on"
        with transaction.atomic():
            House.current()
            house = House.objects.select_for_update().get()
            house.set_lockdown(on)
            self.log_change(request, house, DONE[on])
        self.message_user(request, f"The whole house is {DONE[on]}.")
        return HttpResponseRedirect(reverse("admin:policies_house_changelist"))
