"""Access and refresh tokens of the API (PyJWT signs them; this says when they hold).

A sign-in starts a family. Each refresh replaces the family's one good refresh token; an old one
presented again means that somebody copied it, so the whole family ends, access tokens included.
"""

import datetime as dt
import uuid
from dataclasses import dataclass
from typing import Any

import jwt
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, User
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from policies.models import TokenFamily

ALGORITHM = "HS256"
ACCESS, REFRESH = "access", "refresh"
# What claims of another type, or times that no calendar has, make of reading a token.
UNREADABLE = (
    jwt.InvalidTokenError,
    KeyError,
    ValueError,
    AttributeError,
    TypeError,
    OverflowError,
    OSError,
)


class InvalidToken(Exception):
    """The token is forged, expired, of the wrong type, or its family has ended."""


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a good access token says."""

    user: User
    family_id: uuid.UUID
    expires_at: dt.datetime


def sign_in(user: AbstractBaseUser) -> dict[str, str]:
    """A new family: `{access, refresh}`."""
    now = timezone.now()
    TokenFamily.objects.filter(expires_at__lt=now).delete()
    family = TokenFamily.objects.create(
        id=uuid.uuid4(),
        user_id=user.pk,
        current_token=uuid.uuid4(),
        password_digest=user.get_session_auth_hash(),
        expires_at=now + settings.REFRESH_TOKEN_AGE,
    )
    return _pair(family)


def refresh(token: str) -> dict[str, str]:
    """The next `{access, refresh}` of the family; the given refresh token is used up."""
    claims = _claims(token, REFRESH)
    family = _living_family(claims)
    family.current_token = uuid.uuid4()
    family.expires_at = timezone.now() + settings.REFRESH_TOKEN_AGE
    # One statement decides who wins when the same token is presented twice at once.
    replaced = TokenFamily.objects.filter(
        pk=family.pk, current_token=claims["jti"], revoked_at=None
    ).update(current_token=family.current_token, expires_at=family.expires_at)
    if not replaced:
        _end(family.pk)
        raise InvalidToken
    return _pair(family)


def revoke(token: str) -> None:
    """End the family of a refresh token."""
    _end(_claims(token, REFRESH)["family"])


def user_of(token: str) -> User | None:
    """The user of an access token; None when it does not hold (any more)."""
    try:
        return read(token).user
    except InvalidToken:
        return None


def read(token: str) -> SignedIn:
    """What an access token says, if it holds; InvalidToken otherwise."""
    claims = _claims(token, ACCESS)
    family = _living_family(claims)
    return SignedIn(family.user, family.pk, claims["exp"])


def _pair(family: TokenFamily) -> dict[str, str]:
    return {
        "access": _sign(family, ACCESS, uuid.uuid4()),
        "refresh": _sign(family, REFRESH, family.current_token),
    }


def _sign(family: TokenFamily, kind: str, token_id: uuid.UUID) -> str:
    now = timezone.now()
    age = settings.ACCESS_TOKEN_AGE if kind == ACCESS else settings.REFRESH_TOKEN_AGE
    return jwt.encode(
        {
            "type": kind,
            "family": str(family.pk),
            "jti": str(token_id),
            "iat": now,
            "exp": now + age,
        },
        settings.SECRET_KEY,
        algorithm=ALGORITHM,
    )


def _claims(token: str, kind: str) -> dict[str, Any]:
    """What a token of this kind says, `exp` as a time; InvalidToken when it is not ours."""
    try:
        claims = jwt.decode(
            token,
            settings.SECRET_KEY,
            algorithms=[ALGORITHM],
            options={"require": ["exp", "iat", "jti"]},
        )
        uuid.UUID(claims["jti"])
        uuid.UUID(claims["family"])
        claims["exp"] = dt.datetime.fromtimestamp(claims["exp"], dt.UTC)
    except UNREADABLE:
        raise InvalidToken from None
    if claims.get("type") != kind:
        raise InvalidToken
    return claims


def _living_family(claims: dict[str, Any]) -> TokenFamily:
    family = TokenFamily.objects.select_related("user").filter(pk=claims["family"]).first()
    if family is None or family.revoked_at or not family.user.is_active:
        raise InvalidToken
    if not constant_time_compare(family.password_digest, family.user.get_session_auth_hash()):
        raise InvalidToken
    return family


def _end(family_id: uuid.UUID | str) -> None:
    TokenFamily.objects.filter(pk=family_id, revoked_at=None).update(revoked_at=timezone.now())
