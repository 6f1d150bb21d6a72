"""Reading the access log: filters, pages by offset and pages by cursor."""

import base64
import binascii
import datetime as dt
from typing import Any

from django.db.models import OuterRef, Q, QuerySet
from rest_framework.exceptions import ValidationError

from access.models import AccessLog
from policies.models import Device
from policies.moments import parse_moment, utc_text
from policies.uid import fragment

FILTERS = {
    "device_id": "device_id",
    "card_uid": "card_uid",
    "granted": "granted",
    "start_time": "timestamp__gte",
    "end_time": "timestamp__lte",
}


def filtered(query: dict[str, Any], *, with_uid: bool) -> QuerySet[AccessLog]:
    """The rows a query asks for, newest first. Both ends of the interval are included."""
    rows = AccessLog.objects.filter(**{FILTERS[k]: v for k, v in query.items() if k in FILTERS})
    if term := query.get("search", ""):
        rows = rows.filter(matching(term, with_uid=with_uid))
    return rows


def page_after(
    rows: QuerySet[AccessLog], cursor: str, limit: int
) -> tuple[list[AccessLog], str | None]:
    """`limit` rows after a cursor (empty: from the newest) and the cursor of the next page.

    A cursor names the last row seen, so rows that arrive meanwhile shift nothing.
    """
    if cursor:
        at, number = _decode(cursor)
        rows = rows.filter(Q(timestamp__lt=at) | Q(timestamp=at, number__lt=number))
    page = list(rows[: limit + 1])
    if len(page) <= limit:
        return page, None
    return page[:limit], _encode(page[limit - 1])


def newest_by_door(model: Any, doors: QuerySet[Device]) -> QuerySet[Any]:
    """The newest row of each of these doors; `model` is AccessLog or DoorEvent."""
    newest = model.objects.filter(device_id=OuterRef("pk")).order_by("-timestamp", "-number")
    rows: QuerySet[Any] = model.objects.filter(pk__in=doors.values(newest=newest.values("pk")[:1]))
    return rows


def matching(term: str, *, with_uid: bool) -> Q:
    """Rows whose person, door or UID contains the term."""
    found = (
        Q(user_name__icontains=term) | Q(device_id__icontains=term) | Q(device_name__icontains=term)
    )
    if not with_uid:
        return found
    part = fragment(term)
    return found | Q(card_uid__contains=part) if part else found


def _encode(row: AccessLog) -> str:
    return base64.urlsafe_b64encode(f"{utc_text(row.timestamp)}/{row.number}".encode()).decode()


def _decode(cursor: str) -> tuple[dt.datetime, int]:
    try:
        at, _, number = base64.urlsafe_b64decode(cursor.encode()).decode().partition("/")
        if not (number.isascii() and number.isdigit() and len(number) < 19):
            raise ValueError("not a row number")
        return parse_moment(at), int(number)
    except (ValueError, binascii.Error):
        raise ValidationError({"cursor": ["This cursor did not come from here."]}) from None
