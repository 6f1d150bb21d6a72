"""Cards by API."""

from typing import Any

from django.db import transaction
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from policies import uid
from policies.api import Conflict, LimitedView
from policies.models import Card, CardBlocked, CardExists
from policies.roles import ReadsAsOperator
from policies.rules import CardStatus
from policies.serializers.cards import (
    CardAddSerializer,
    CardChangeSerializer,
    CardPageSerializer,
    CardSerializer,
    DeletedCardSerializer,
    NewCardSerializer,
)
from policies.serializers.pages import PageQuerySerializer


class CardListView(LimitedView):
    """All cards, and new ones."""

    permission_classes = (ReadsAsOperator,)
    throttle_scope = "policies"

    @extend_schema(
        operation_id="api_policies_cards_list",
        parameters=[PageQuerySerializer],
        responses=CardPageSerializer,
    )
    def get(self, request: Request) -> Response:
        query = self.query(PageQuerySerializer)
        cards = Card.objects.matching(query["search"]).select_related("person")
        page = cards[query["offset"] : query["offset"] + query["limit"]]
        return Response({"count": cards.count(), "cards": CardSerializer(page, many=True).data})

    @extend_schema(request=CardAddSerializer, responses={201: NewCardSerializer})
    def post(self, request: Request) -> Response:
        new = self.body(CardAddSerializer)
        try:
            card = Card.objects.give(
                new["card_uid"],
                new["user_name"],
                valid_until=new.get("expires_at"),
                status=CardStatus.ACTIVE if new["active"] else CardStatus.INACTIVE,
            )
        except CardExists:
            raise Conflict("This card is on record already.") from None
        answer: dict[str, Any] = dict(CardSerializer(card).data)
        if uid.is_random(card.uid):
            answer["warning"] = uid.RANDOM_WARNING
        return Response(answer, status=status.HTTP_201_CREATED)


@extend_schema(
    parameters=[
        OpenApiParameter("card_uid", str, OpenApiParameter.PATH, description="Any way of writing.")
    ]
)
class CardView(LimitedView):
    """One card. What is no UID at all names no card: 404."""

    permission_classes = (ReadsAsOperator,)
    throttle_scope = "policies"

    @extend_schema(responses=CardSerializer)
    def get(self, request: Request, card_uid: str) -> Response:
        return Response(CardSerializer(_find(card_uid)).data)

    @extend_schema(request=CardChangeSerializer, responses=CardSerializer)
    def patch(self, request: Request, card_uid: str) -> Response:
        changes = self.body(CardChangeSerializer)
        try:
            with transaction.atomic():
                card = _find(card_uid, lock=True)
                card.change(changes)
        except CardBlocked:
            raise Conflict("This card is blocked; only its status can open it again.") from None
        return Response(CardSerializer(card).data)

    @extend_schema(responses={200: DeletedCardSerializer})
    def delete(self, request: Request, card_uid: str) -> Response:
        with transaction.atomic():
            card = _find(card_uid, lock=True)
            deleted = card.uid
            card.delete()
        return Response({"status": "deleted", "card_uid": deleted})


def _find(text: str, *, lock: bool = False) -> Card:
    """The card with that UID, locked until the transaction ends if wanted; NotFound."""
    cards = Card.objects.select_related("person")
    if lock:
        cards = cards.select_for_update(of=("self",))
    card = cards.filter(uid=uid.canonical(text)).first() if uid.is_uid(text) else None
    if card is None:
        raise NotFound("There is no such card.")
    return card
