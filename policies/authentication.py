"""Who is asking: a certificate is a device, a token is a user."""

import datetime as dt
import hashlib
from typing import Any

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from policies import cache, throttling, tokens
from policies.models import Certificate, Device
from policies.rules import Identity
from policies.throttling import Verdict

# Where the TLS ending puts the verified client certificate (DER bytes) in request.META.
# Headers arrive as HTTP_*, so no request can put anything here.
CERTIFICATE_KEY = "smarthome.client_certificate"


def fingerprint(der: bytes) -> str:
    """SHA-256 of a certificate's DER bytes, lower-case hex."""
    return hashlib.sha256(der).hexdigest()


def admit(der: bytes, at: dt.datetime, scope: str = "") -> tuple[Device, Verdict | None]:
    """The device a certificate belongs to, and what its rate limit in that scope says.

    Asked on every request and every frame, so that a revocation ends an open connection's
    rights too. AuthenticationFailed (401) when we do not know the certificate or its time is
    not now; PermissionDenied (403) when it was revoked or its device is suspended.
    """
    by = cache.answer_by()
    mark = fingerprint(der)
    found = cache.look_up(
        Identity,
        f"certificate:{mark}",
        lambda: Certificate.objects.find_identity(mark),
        scope=scope,
        by=by,
    )
    identity = found.value
    if identity is None:
        raise AuthenticationFailed("This certificate is not on record.")
    if identity.revoked:
        raise PermissionDenied("This certificate is revoked.")
    if not identity.not_before <= at < identity.not_after:
        raise AuthenticationFailed("This certificate is not valid now.")
    if not identity.enabled:
        raise PermissionDenied("This device is suspended.")
    device = Device.known_as(identity)
    device.answer_by = by
    if found.verdict or not scope:
        return device, found.verdict
    return device, throttling.take(scope, device.device_id)


def identify(der: bytes, at: dt.datetime) -> Device:
    """The device a certificate belongs to, as `admit` finds it, without counting a request."""
    return admit(der, at)[0]


class DeviceCertificate(BaseAuthentication):
    """The verified client certificate of the connection is the identity; nothing else is.

    What the view's rate limit says comes with it, as `request.auth`.
    """

    def authenticate(self, request: Request) -> tuple[Device, Verdict | None] | None:
        der = request.META.get(CERTIFICATE_KEY)
        view = request.parser_context["view"]
        return admit(der, timezone.now(), view.throttle_scope) if der else None

    def authenticate_header(self, request: Request) -> str:
        return "Certificate"


class BearerToken(BaseAuthentication):
    """`Authorization: Bearer <access token>`."""

    def authenticate(self, request: Request) -> tuple[Any, None] | None:
        scheme, _, token = request.META.get("HTTP_AUTHORIZATION", "").partition(" ")
        if scheme.lower() != "bearer":
            return None
        user = tokens.user_of(token.strip())
        if user is None:
            raise AuthenticationFailed("The token is not valid.")
        return user, None

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"
