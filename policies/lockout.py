"""Wrong passwords and codes: five lock a name for a quarter of an hour, at their address.

The pair is locked, not the name: otherwise anybody could keep the owner out by guessing. An address
that tries many names is locked as a whole. django-axes counts, in the database: for all processes
together, and across restarts. `manage.py end_lockout` ends it before its time.
"""

import datetime as dt
import ipaddress
from typing import Any

from axes.handlers.database import AxesDatabaseHandler
from axes.handlers.proxy import AxesProxyHandler
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.signals import user_login_failed
from django.db.models import Max, QuerySet, Sum
from django.http import HttpRequest
from django.utils import timezone

TRIES_OF_AN_ADDRESS = 50
IPV6_BITS_OF_A_HOUSEHOLD = 64


class Attempts(AxesDatabaseHandler):
    """Also counts an address, and keeps no more of an attempt than name, address and time."""

    def is_locked(self, request: HttpRequest, credentials: dict[str, Any] | None = None) -> bool:
        if super().is_locked(request, credentials):
            return True
        tries = _recent(request).aggregate(tries=Sum("failures_since_start"))["tries"] or 0
        return bool(tries >= TRIES_OF_AN_ADDRESS)

    def user_login_failed(
        self, sender: Any, credentials: dict[str, Any], request: Any = None, **kwargs: Any
    ) -> None:
        if request is None:  # a command asked, and nobody waits at an address
            return
        # One row a pair, however often a program changes what it calls itself; and what no
        # database takes (NUL) never gets there.
        request.axes_user_agent = request.axes_http_accept = request.axes_path_info = ""
        super().user_login_failed(sender, credentials, request, **kwargs)
        _recent(request).exclude(get_data="", post_data="").update(get_data="", post_data="")


def address(request: HttpRequest) -> str | None:
    """Whose attempts count together: an IPv4 address, or the network of an IPv6 household."""
    try:
        found = ipaddress.ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return None
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped:
        return str(found.ipv4_mapped)
    network = (int(found), IPV6_BITS_OF_A_HOUSEHOLD)
    return str(ipaddress.IPv6Network(network, strict=False).network_address)


def is_locked(request: HttpRequest, username: str) -> bool:
    """Whether a name is locked where this request comes from; then the request is marked so."""
    credentials = {"username": username}
    if AxesProxyHandler.is_allowed(request, credentials):
        return False
    request.axes_locked_out = True  # type: ignore[attr-defined]  # read by axes' middleware
    request.axes_credentials = credentials  # type: ignore[attr-defined]
    return True


def count_failure(request: HttpRequest, username: str) -> None:
    """Count what was wrong like a wrong password; the fifth marks the request as locked."""
    user_login_failed.send(__name__, credentials={"username": username}, request=request)


def seconds_locked(request: HttpRequest) -> int:
    """How long the sign-in that this request tried stays locked; 0 when it is not."""
    if not getattr(request, "axes_locked_out", False):
        return 0
    tries = _recent(request)
    name = (getattr(request, "axes_credentials", None) or {}).get("username")
    pair = tries.filter(username=name)
    newest = pair.aggregate(at=Max("attempt_time"))["at"]
    newest = newest or tries.aggregate(at=Max("attempt_time"))["at"] or timezone.now()
    left: dt.timedelta = newest + settings.AXES_COOLOFF_TIME - timezone.now()
    return max(1, round(left.total_seconds()))


def end(username: str) -> int:
    """Forget what was wrong for a name (all names: ""); returns at how many addresses."""
    attempts = AccessAttempt.objects.all()
    count, _ = (attempts.filter(username=username) if username else attempts).delete()
    return int(count)


def _recent(request: HttpRequest) -> QuerySet[Any]:
    since = timezone.now() - settings.AXES_COOLOFF_TIME
    found: QuerySet[Any] = AccessAttempt.objects.filter(
        ip_address=address(request), attempt_time__gte=since
    )
    return found
