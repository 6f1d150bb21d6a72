"""Sign-in by token."""

from django.contrib.auth import authenticate
from django.contrib.auth.signals import user_logged_in
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.request import Request
from rest_framework.response import Response

from policies import lockout, tokens
from policies.api import LimitedView
from policies.serializers.sign_in import RefreshSerializer, SignInSerializer, TokenPairSerializer


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
