"""Who watches, and whether that still holds.

Everything here asks the database and runs on a thread.
"""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.contrib.auth import get_user
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.http import HttpRequest
from django.http.cookie import parse_cookie
from django.utils import timezone

from policies import tokens
from policies.models import TokenFamily
from policies.roles import Role, role_of

NOT_SIGNED_IN, NOT_ALLOWED = 4401, 4403


@dataclass(frozen=True, slots=True)
class Identity:
    """A signed-in viewer: by a session of the browser or by a token of a family."""

    user_id: int
    role: Role | None
    secret: str  # changes with the password
    expires_at: dt.datetime
    session_key: str = ""
    family_id: str = ""

    def is_same_viewer(self, other: object) -> bool:
        """Whether `other` may be prolonged by this: the same user in the same role."""
        return isinstance(other, Identity) and (other.user_id, other.role) == (
            self.user_id,
            self.role,
        )


def by_cookie(header: str) -> Identity | None:
    """Who the session cookie belongs to."""
    key = parse_cookie(header).get(settings.SESSION_COOKIE_NAME, "")
    if not key:
        return None
    request = HttpRequest()
    request.session = SessionStore(key)
    user = get_user(request)
    if not isinstance(user, User) or not user.is_active:
        return None
    secret = user.get_session_auth_hash()
    return Identity(
        user.pk, role_of(user), secret, request.session.get_expiry_date(), session_key=key
    )


def by_token(token: str) -> Identity | None:
    """Who an access token belongs to."""
    try:
        signed = tokens.read(token)
    except tokens.InvalidToken:
        return None
    user = signed.user
    secret = user.get_session_auth_hash()
    return Identity(
        user.pk, role_of(user), secret, signed.expires_at, family_id=str(signed.family_id)
    )


def ended(identities: Iterable[Identity]) -> dict[Identity, int]:
    """Those of the identities that do not hold any more, with the code to close with.

    A fixed number of queries, however many watch.
    """
    now = timezone.now()
    ids = {identity.user_id for identity in identities}
    users = {u.pk: u for u in User.objects.filter(pk__in=ids).prefetch_related("groups")}
    sessions = set(
        Session.objects.filter(
            session_key__in={i.session_key for i in identities}, expire_date__gt=now
        ).values_list("session_key", flat=True)
    )
    families = {
        str(pk)
        for pk in TokenFamily.objects.filter(
            pk__in={i.family_id for i in identities if i.family_id}, revoked_at=None
        ).values_list("pk", flat=True)
    }

    def code(identity: Identity) -> int | None:
        user = users.get(identity.user_id)
        if user is None or not user.is_active or identity.expires_at <= now:
            return NOT_SIGNED_IN
        if identity.session_key not in sessions and identity.family_id not in families:
            return NOT_SIGNED_IN
        if user.get_session_auth_hash() != identity.secret:
            return NOT_SIGNED_IN
        return None if role_of(user) == identity.role else NOT_ALLOWED

    found = {identity: code(identity) for identity in identities}
    return {identity: why for identity, why in found.items() if why}
