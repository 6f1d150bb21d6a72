"""Sign-in by token."""

from typing import Any

from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import APIException, AuthenticationFailed, Throttled
from rest_framework.request import Request
from rest_framework.response import Response

from policies import lockout, second_factor, tokens
from policies.api import LimitedView
from policies.serializers.sign_in import RefreshSerializer, SignInSerializer, TokenPairSerializer


class SignInView(LimitedView):
    """Who asks here shows a password or a token in the body; cookies and headers say nothing."""

    authentication_classes = ()
    permission_classes = ()

    def get_authenticate_header(self, request: Request) -> str:
        """Without this REST framework answers 403 where it has no authentication class."""
        return "Bearer"


class OtpRefused(AuthenticationFailed):
    """The password was right, the code was not: `details` names the field, so that a client can
    ask for it. Somebody who does not know the password never hears this."""

    def __init__(self, refusal: second_factor.NotPassed) -> None:
        super().__init__(str(refusal))
        self.details = {"otp": [str(refusal)]}


class TokenView(SignInView):
    """A name and a password for an access and a refresh token, and `otp` from who has set up a
    second factor. 429 after five wrong ones."""

    @extend_schema(request=SignInSerializer, responses=TokenPairSerializer)
    def post(self, request: Request) -> Response:
        given = self.body(SignInSerializer)
        code = given.pop("otp")
        user: Any = authenticate(request._request, **given)
        refusal = _refusal(request._request, user, code)
        if wait := lockout.seconds_locked(request._request):
            raise Throttled(wait, "Too many wrong passwords or codes.")
        if refusal:
            raise refusal
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


def _refusal(request: HttpRequest, user: Any, code: str) -> APIException | None:
    """Why a sign-in ends here; None when it goes on."""
    if user is None:
        return AuthenticationFailed("The name or the password is wrong.")
    try:
        second_factor.let_pass(request, user, code)
    except second_factor.TooSoon as refusal:
        return Throttled(refusal.seconds, "Too many wrong codes.")
    except second_factor.NotPassed as refusal:
        return OtpRefused(refusal)
    return None
