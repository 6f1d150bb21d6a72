"""A policy is saved in two steps: first it is shown who gains and who loses which door.

The change is made, looked at, and taken back, so what is shown is what will be, whatever the form.
The second step sends the digest of what was shown: should the house have changed in between, the
page shows what is new instead of saving.
"""

from collections.abc import Callable
from typing import Any

from django.contrib.admin.actions import delete_selected
from django.db import transaction
from django.db.models import ProtectedError, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone

from policies.consequences import Consequences, compare
from policies.console import ModelAdmin
from policies.reach import Reach

SEEN = "_seen"


class Unseen(Exception):
    """Something changes for somebody, and nobody has seen it yet. Takes the change back."""

    def __init__(self, context: dict[str, Any]) -> None:
        super().__init__("not shown yet")
        self.context = context


def consequences_since(before: Reach) -> Consequences:
    """What has become of whom since `before`."""
    return compare(before, Reach.read(), timezone.localtime())


def consequences_of(change: Callable[[], Any]) -> Consequences | None:
    """What a change would mean; it is made and taken back. None when it cannot be made."""
    with transaction.atomic():
        before = Reach.read()
        try:
            change()
        except ProtectedError:
            return None
        consequences = consequences_since(before)
        transaction.set_rollback(True)
    return consequences


class PreviewedAdmin(ModelAdmin):
    """Adds the first step to adding, changing and deleting."""

    change_form_template = "admin/previewed_form.html"
    delete_confirmation_template = "admin/previewed_delete.html"
    delete_selected_confirmation_template = "admin/previewed_delete_selected.html"

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except Unseen as unseen:
            asked: Any = request
            asked.is_preview = True
            context = {**(extra_context or {}), **unseen.context}
            return super().changeform_view(request, object_id, form_url, context)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any
    ) -> Any:
        form = super().get_form(request, obj, change, **options)
        if not getattr(request, "is_preview", False):
            return form
        # Filled in as it was, and not saved.
        return type("ShownForm", (form,), {"is_valid": _not_yet})

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        form.reach_before = Reach.read()
        super().save_model(request, obj, form, change)

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        consequences = consequences_since(form.reach_before)
        if consequences and request.POST.get(SEEN) != consequences.digest:
            raise Unseen({"consequences": consequences, **self.preview_context(form.instance)})

    def preview_context(self, saved: Any) -> dict[str, Any]:
        """What else to show of an object as it will be. Asked before it is taken back."""
        return {}

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        doomed = self.get_object(request, object_id) if request.method == "GET" else None
        if doomed and self.has_delete_permission(request, doomed):
            consequences = consequences_of(lambda: self.delete_model(request, doomed))
            extra_context = {**(extra_context or {}), "consequences": consequences}
        return super().delete_view(request, object_id, extra_context)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        actions: dict[str, Any] = super().get_actions(request)
        if known := actions.get("delete_selected"):
            actions["delete_selected"] = (delete_previewed, *known[1:])
        return actions


def _not_yet(form: Any) -> bool:
    return False


def delete_previewed(
    modeladmin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Any]
) -> HttpResponse | None:
    """Django's own, whose page also says who loses which door."""
    response = delete_selected(modeladmin, request, queryset)
    if isinstance(response, TemplateResponse) and response.context_data is not None:
        response.context_data["consequences"] = consequences_of(
            lambda: modeladmin.delete_queryset(request, queryset.all())
        )
    return response
