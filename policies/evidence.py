"""Evidence in the console: to be read, never added, changed or deleted."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import cached_property

from policies.console import ModelAdmin
from policies.windows import date_text, parse_date

MOST_COUNTED = 10_000


class NearPaginator(Paginator):  # type: ignore[type-arg]  # not generic at run time
    """Pages through the first ten thousand rows: counting millions takes seconds."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows[:MOST_COUNTED].count())


class DaysFilter(admin.ListFilter):
    """From one day to another, both included, by the building's clock."""

    title = "date"
    template = "admin/days_filter.html"
    column = "timestamp"
    parameters = ("from", "to")

    def __init__(
        self,
        request: HttpRequest,
        params: dict[str, Any],
        model: Any,
        model_admin: Any,
    ) -> None:
        super().__init__(request, params, model, model_admin)
        for name in self.parameters:
            if name in params:
                self.used_parameters[name] = params.pop(name)[-1]

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return list(self.parameters)

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        today = timezone.localdate()
        kept = {k: v for k, v in changelist.params.items() if k not in (*self.parameters, "p")}
        yield {
            "kept": kept,
            "since": self.used_parameters.get("from", ""),
            "until": self.used_parameters.get("to", ""),
        }
        for name, days in (("Any day", None), ("Today", 0), ("The last 7 days", 6)):
            since = None if days is None else date_text(today - dt.timedelta(days=days))
            chosen = {"from": since} if since else {}
            yield {
                "display": name,
                "selected": self.used_parameters == chosen,
                # Not “p”: Django would leave out whatever begins so, such as the person.
                "query_string": changelist.get_query_string(chosen, list(self.parameters)),
            }

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if since := self._day("from"):
            queryset = queryset.filter(**{f"{self.column}__gte": _midnight(since)})
        if until := self._day("to"):
            after = until + dt.timedelta(days=1)
            queryset = queryset.filter(**{f"{self.column}__lt": _midnight(after)})
        return queryset

    def _day(self, name: str) -> dt.date | None:
        text = self.used_parameters.get(name)
        if not text:
            return None
        try:
            date = parse_date(text)
        except ValueError as error:
            raise IncorrectLookupParameters(str(error)) from None
        if not dt.MINYEAR < date.year < dt.MAXYEAR:  # its days need others around them
            raise IncorrectLookupParameters("The years are 2 to 9998.")
        return date


def _midnight(date: dt.date) -> dt.datetime:
    return timezone.make_aware(dt.datetime.combine(date, dt.time()))


class EvidenceAdmin(ModelAdmin):
    """Answers False to every change, whoever asks."""

    paginator = NearPaginator

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
