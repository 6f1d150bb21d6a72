"""The access log in the console: evidence, so only to be read; and to be taken along as CSV."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, StreamingHttpResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.decorators import method_decorator
from django.utils.html import format_html
from django.utils.http import urlencode
from django.utils.safestring import SafeString
from django.views.decorators.http import require_safe

from access import history
from access.admin.enrol import EnrolByPresenting
from access.admin.filters import DoorFilter, PersonFilter
from access.models import AccessLog
from policies.evidence import DaysFilter, EvidenceAdmin
from policies.moments import utc_text
from policies.spreadsheet import as_csv

HEADER = ("time", "door", "device_id", "person", "card_uid", "granted", "reason", "rule")
ASKED = ("from", "to", "door", "person")  # by the filters
AT_ONCE = 2000  # rows read from the database


def sees_uids(request: HttpRequest) -> bool:
    """As in the API: a viewer sees who came where, and no card numbers. Cards are for operators,
    and Django remembers permissions for the length of a request, unlike the role."""
    return request.user.has_perm("policies.view_card")


@admin.register(AccessLog)
class AccessLogAdmin(EnrolByPresenting, EvidenceAdmin):
    """Who stood before which door, and what the door was told."""

    list_filter = (DaysFilter, DoorFilter, PersonFilter, "granted", "reason")
    search_fields = ("user_name",)
    change_list_template = "admin/access_log.html"

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        if sees_uids(request):
            return ("timestamp", "who_or_uid", "where", "result", "rule", "why")
        return ("timestamp", "who", "where", "result")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        shown = ("timestamp", "who", "where", "granted", "reason", "latency_ms", "log_id")
        return (*shown, "card_uid", "rule", "why") if sees_uids(request) else shown

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return self.get_fields(request, obj)

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest) -> bool:
        """Only what the filters ask: `?card_uid__startswith=` would tell a viewer numbers."""
        return lookup in ASKED or lookup.startswith(("granted__", "reason__"))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AccessLog], search_term: str
    ) -> tuple[QuerySet[AccessLog], bool]:
        if not search_term:
            return queryset, False
        found = history.matching(search_term, with_uid=sees_uids(request))
        return queryset.filter(found), False

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        number = ", or a card number in any way of writing it" if sees_uids(request) else ""
        context = {"query": request.GET.urlencode(), **(extra_context or {})}
        response = super().changelist_view(request, context)
        changelist = getattr(response, "context_data", {}).get("cl")
        if changelist:
            changelist.search_help_text = f"A person, a door{number}."
        return response

    def get_urls(self) -> list[Any]:
        own = path("csv/", self.admin_site.admin_view(self.csv_view), name="access_accesslog_csv")
        return [own, *super().get_urls()]

    @method_decorator(require_safe)
    def csv_view(self, request: HttpRequest) -> HttpResponse | StreamingHttpResponse:
        """What the list shows under the same filters, whole, newest first."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            rows = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return HttpResponseRedirect(reverse("admin:access_accesslog_changelist") + "?e=1")
        with_uid = sees_uids(request)
        header = [name for name in HEADER if with_uid or name not in ("card_uid", "rule")]
        response = StreamingHttpResponse(
            as_csv(header, _cells(rows, with_uid=with_uid)), content_type="text/csv; charset=utf-8"
        )
        name = f"access-log-{timezone.localdate()}.csv"
        response["Content-Disposition"] = f'attachment; filename="{name}"'
        return response

    @admin.display(description="person", ordering="user_name")
    def who(self, row: AccessLog) -> str:
        return row.user_name or "Unknown card"

    @admin.display(description="person", ordering="user_name")
    def who_or_uid(self, row: AccessLog) -> str:
        return row.user_name or row.card_uid

    @admin.display(description="door", ordering="device_name")
    def where(self, row: AccessLog) -> str:
        return row.device_name or row.device_id

    @admin.display(description="result", ordering="reason")
    def result(self, row: AccessLog) -> SafeString:
        tone, words = ("good", "") if row.granted else ("bad", "refused: ")
        words += row.get_reason_display()
        return format_html('<span class="result" data-tone="{}">{}</span>', tone, words)

    @admin.display(description="why?")
    def why(self, row: AccessLog) -> SafeString:
        page = reverse("admin:policies_door_entry", args=(quote(row.device_id),))
        query = urlencode({"at": utc_text(row.timestamp), "card": row.card_uid})
        return format_html('<a href="{}?{}">Why?</a>', page, query)


def _cells(rows: QuerySet[AccessLog], *, with_uid: bool) -> Iterator[list[str]]:
    for row in rows.iterator(chunk_size=AT_ONCE):
        yield [
            timezone.localtime(row.timestamp).isoformat(timespec="milliseconds"),
            row.device_name,
            row.device_id,
            row.user_name,
            *([row.card_uid] if with_uid else []),
            "yes" if row.granted else "no",
            row.get_reason_display(),
            *([row.rule] if with_uid else []),
        ]
