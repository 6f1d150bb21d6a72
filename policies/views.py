"""The people side of the API: sign-in by token, cards, devices."""

from typing import Any

from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in
from django.db import transaction
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import status
from rest_framework.exceptions import AuthenticationFailed, NotFound, Throttled
from rest_framework.request import Request
from rest_framework.response import Response

from policies import lockout, tokens, uid
from policies.api import Conflict, LimitedView
from policies.models import Card, CardBlocked, CardExists, Device
from policies.roles import IsViewer, ReadsAsOperator
from policies.rules import CardStatus
from policies.serializers import (
    CardAddSerializer,
    CardChangeSerializer,
    CardPageSerializer,
    CardQuerySerializer,
    CardSerializer,
    DeletedCardSerializer,
    DeviceListSerializer,
    DeviceSerializer,
    NewCardSerializer,
    RefreshSerializer,
    SignInSerializer,
    TokenPairSerializer,
)


class SignInView(LimitedView):
    """Who asks here shows a password or a token in the body; cookies and headers say nothing."""

    authentication_classes = ()
    permission_classes = ()

    def get_authenticate_header(self, request: Request) -> str:
        """Without this REST framework answers 403 where it has no authentication class."""
        return "Bearer"


class TokenView(SignInView):
    """A name and a password for an access and a refresh token. 429 after five wrong ones."""

    @extend_schema(request=SignInSerializer, responses=TokenPairSerializer)
    def post(self, request: Request) -> Response:
        user = authenticate(request._request, **self.body(SignInSerializer))
        if wait := lockout.seconds_locked(request._request):
            raise Throttled(wait, "Too many wrong passwords.")
        if user is None:
            raise AuthenticationFailed("The name or the password is wrong.")
        user_logged_in.send(type(user), request=request._request, user=user)
        return Response(tokens.sign_in(user))


class TokenRefreshView(SignInView):
    """A refresh token for the next pair. An old one presented again ends the whole family."""

    @extend_schema(request=RefreshSerializer, responses=TokenPairSerializer)
    def post(self, request: Request) -> Response:
        try:
            return Response(tokens.refresh(self.body(RefreshSerializer)["refresh"]))
        except tokens.InvalidToken:
            raise AuthenticationFailed("The token is not valid.") from None


class TokenRevokeView(SignInView):
    """Sign out: the token's whole family ends, access tokens included."""

    @extend_schema(request=RefreshSerializer, responses={204: None})
    def post(self, request: Request) -> Response:
        try:
            tokens.revoke(self.body(RefreshSerializer)["refresh"])
        except tokens.InvalidToken:
            raise AuthenticationFailed("The token is not valid.") from None
        return Response(status=status.HTTP_204_NO_CONTENT)


class CardListView(LimitedView):
    """All cards, and new ones."""

    permission_classes = (ReadsAsOperator,)
    throttle_scope = "policies"

    @extend_schema(
        operation_id="api_policies_cards_list",
        parameters=[CardQuerySerializer],
        responses=CardPageSerializer,
    )
    def get(self, request: Request) -> Response:
        query = self.query(CardQuerySerializer)
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


class DeviceListView(LimitedView):
    """All devices, doors and sensors, and whether they are there."""

    permission_classes = (IsViewer,)

    @extend_schema(responses=DeviceListSerializer)
    def get(self, request: Request) -> Response:
        rows = DeviceSerializer(Device.objects.with_status(), many=True).data
        return Response({"count": len(rows), "devices": rows})


def _find(text: str, *, lock: bool = False) -> Card:
    """The card with that UID, locked until the transaction ends if wanted; NotFound."""
    cards = Card.objects.select_related("person")
    if lock:
        cards = cards.select_for_update(of=("self",))
    card = cards.filter(uid=uid.canonical(text)).first() if uid.is_uid(text) else None
    if card is None:
        raise NotFound("There is no such card.")
    return card
