"""The access API: doors ask, people read the log."""

import time
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from access import history
from access.check import check_access
from access.models import AccessLog
from access.serializers import (
    AnswerSerializer,
    LogPageSerializer,
    LogQuerySerializer,
    LogRowSerializer,
    ScanSerializer,
)
from policies.api import DeviceRequest, DeviceView, IsDoor, LimitedView
from policies.roles import IsViewer, Role, role_of
from policies.uid import is_uid


class AccessCheckView(DeviceView):
    """A door asks whether a card opens it. A refusal is an answer, so it is 200 as well; every
    other status means: keep the door shut."""

    permission_classes = (IsDoor,)
    throttle_scope = "check"

    @extend_schema(request=ScanSerializer, responses=AnswerSerializer)
    def post(self, request: DeviceRequest) -> Response:
        started = time.perf_counter()
        scan = self.body(ScanSerializer)
        self.refuse_other_identity(request.user, scan.get("device_id"))
        answer = check_access(request.user, scan["card_uid"], scan.get("event_id"), started=started)
        return Response(answer.as_reply())


class AccessLogView(LimitedView):
    """The access log, newest first. A viewer sees no UIDs and may not search by them."""

    permission_classes = (IsViewer,)

    @extend_schema(parameters=[LogQuerySerializer], responses=LogPageSerializer)
    def get(self, request: Request) -> Response:
        query = self.query(LogQuerySerializer)
        with_uid = (role_of(request.user) or Role.VIEWER) > Role.VIEWER
        if not with_uid and ("card_uid" in query or is_uid(query.get("search", ""))):
            raise PermissionDenied("Your role does not see card numbers.")
        rows = history.filtered(query, with_uid=with_uid)
        page = self._page(query, rows)
        page["logs"] = LogRowSerializer(
            page["logs"], many=True, context={"with_uid": with_uid}
        ).data
        return Response(page)

    @staticmethod
    def _page(query: dict[str, Any], rows: QuerySet[AccessLog]) -> dict[str, Any]:
        limit, offset = query["limit"], query["offset"]
        if "cursor" in query:
            logs, following = history.page_after(rows, query["cursor"], limit)
            return {"limit": limit, "next_cursor": following, "logs": logs}
        logs = list(rows[offset : offset + limit])
        return {"total": rows.count(), "limit": limit, "offset": offset, "logs": logs}
