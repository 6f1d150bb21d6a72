"""Who is asking: a certificate is a device, a token is a user."""

import datetime as dt
import hashlib
from typing import Any

from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.request import Request

from policies import memory, tokens
from policies.models import Certificate, Device

# Where the TLS ending puts the verified client certificate (DER bytes) in request.META.
# Headers arrive as HTTP_*, so no request can put anything here.
CERTIFICATE_KEY = "smarthome.client_certificate"


def fingerprint(der: bytes) -> str:
    """SHA-256 of a certificate's DER bytes, lower-case hex."""
    return hashlib.sha256(der).hexdigest()


def identify(der: bytes, at: dt.datetime) -> Device:
    """The device a certificate belongs to.

    Asked on every request and every frame, so that a revocation ends an open connection's
    rights too. AuthenticationFailed (401) when we do not know the certificate or its time is
    not now; PermissionDenied (403) when it was revoked or its device is suspended.
    """
    known = Certificate.objects.select_related("device__door")
    digest = fingerprint(der)
    certificate = memory.recall(digest, known.filter(fingerprint=digest).first)
    if certificate is None:
        raise AuthenticationFailed("This certificate is not on record.")
    if certificate.revoked_at:
        raise PermissionDenied("This certificate is revoked.")
    if not certificate.not_before <= at < certificate.not_after:
        raise AuthenticationFailed("This certificate is not valid now.")
    if not certificate.device.enabled:
        raise PermissionDenied("This device is suspended.")
    return certificate.device


class DeviceCertificate(BaseAuthentication):
    """The verified client certificate of the connection is the identity; nothing else is."""

    def authenticate(self, request: Request) -> tuple[Device, None] | None:
        der = request.META.get(CERTIFICATE_KEY)
        return (identify(der, timezone.now()), None) if der else None

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
