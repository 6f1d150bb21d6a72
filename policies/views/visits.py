"""Visitors by API."""

from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from policies import admission, uid
from policies.api import Conflict, LimitedView
from policies.edits import write
from policies.models import CardExists, Visit
from policies.roles import ReadsAsOperator
from policies.serializers.pages import PageQuerySerializer
from policies.serializers.visits import (
    DeletedVisitSerializer,
    NewVisitSerializer,
    VisitAddSerializer,
    VisitChangeSerializer,
    VisitPageSerializer,
    VisitSerializer,
)
from policies.views.collection import stored


class VisitListView(LimitedView):
    """All visits, those over included, and new ones."""

    permission_classes = (ReadsAsOperator,)
    throttle_scope = "policies"

    @extend_schema(
        operation_id="api_policies_visits_list",
        parameters=[PageQuerySerializer],
        responses=VisitPageSerializer,
    )
    def get(self, request: Request) -> Response:
        query = self.query(PageQuerySerializer)
        visits = Visit.objects.matching(query["search"])
        page = visits.with_state()[query["offset"] : query["offset"] + query["limit"]]
        return Response({"count": visits.count(), "visits": VisitSerializer(page, many=True).data})

    @extend_schema(request=VisitAddSerializer, responses={201: NewVisitSerializer})
    def post(self, request: Request) -> Response:
        new = self.body(VisitAddSerializer)
        who = {name: new.pop(name) for name in ("card_uid", "user_name", "groups") if name in new}
        visit = Visit(**new)
        try:
            with stored():
                admission.admit(visit, **who)
        except CardExists:
            raise Conflict("This card is on record. Without a name, it is admitted.") from None
        answer: dict[str, Any] = dict(VisitSerializer(_find(visit.pk)).data)
        if {"card_uid", "user_name"} <= who.keys():
            if uid.is_random(who["card_uid"]):
                answer["warning"] = uid.RANDOM_WARNING
        elif visit.is_only():
            answer["warning"] = admission.bound(visit)
        return Response(answer, status=status.HTTP_201_CREATED)


class VisitView(LimitedView):
    """One visit."""

    permission_classes = (ReadsAsOperator,)
    throttle_scope = "policies"

    @extend_schema(responses=VisitSerializer)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(VisitSerializer(_find(id)).data)

    @extend_schema(request=VisitChangeSerializer, responses=VisitSerializer)
    def patch(self, request: Request, id: UUID) -> Response:
        """Whoever changes a visit whose count was lost says that `entries_used` is right."""
        changes = self.body(VisitChangeSerializer)
        with stored():
            write(_find(id, lock=True), changes)
        return Response(VisitSerializer(_find(id)).data)

    @extend_schema(responses={200: DeletedVisitSerializer})
    def delete(self, request: Request, id: UUID) -> Response:
        """To keep a visitor out, set `ends_at` instead: who has no visit left is no visitor."""
        with stored():
            visit = _find(id, lock=True)
            warning = {"warning": admission.freed(visit)} if visit.is_only() else {}
            visit.delete()
        return Response({"status": "deleted", "id": str(id)} | warning)


def _find(id: UUID, *, lock: bool = False) -> Visit:
    """The visit of that id, locked until the transaction ends if wanted; NotFound."""
    visits = Visit.objects.select_for_update() if lock else Visit.objects.with_state()
    visit = visits.filter(pk=id).first()
    if visit is None:
        raise NotFound("There is no such visit.")
    return visit
