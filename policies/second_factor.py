"""The second factor: beside the password a code, of an authenticator app or a recovery code.

Offered, never forced: it is asked of who has set it up, wherever a password signs in. django-otp
keeps keys and codes, takes each code once and makes a guesser wait longer and longer; wrong codes
count as wrong passwords do (`policies.lockout`). No session and no token begins before the code:
`refuse_half_sign_in` sees to it at Django's own signal, whichever way somebody signs in.
"""

import datetime as dt
import logging
import math
import re
from typing import Any

from django.contrib.auth.models import User
from django.contrib.auth.signals import user_logged_in
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django_otp.plugins.otp_static.models import StaticDevice, StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from policies import lockout

logger = logging.getLogger(__name__)

RECOVERY_CODES = 10
OF_APP = re.compile(r"[0-9]{6}", re.ASCII)
RECOVERY = re.compile(r"[a-z2-7]{8}", re.ASCII)
MAX_CODE = 32  # characters, blanks and hyphens included
# So long a key that was shown is shown again: a phone that went to its app for the code may have
# to load the page anew.
KEY_AGE = dt.timedelta(minutes=30)
# From here on the wait after a wrong code (1, 2, 4 … seconds) no longer doubles: half an hour, or
# who knows the password could keep the owner out for years.
MOST_FAILURES = 12


class NotPassed(Exception):
    """Somebody whose password was right does not pass; the text says why."""


class CodeNeeded(NotPassed):
    def __init__(self) -> None:
        super().__init__("A code of the second factor is needed.")


class WrongCode(NotPassed):
    def __init__(self) -> None:
        super().__init__("The code is wrong, or was used already.")


class TooSoon(NotPassed):
    def __init__(self, seconds: int) -> None:
        number, unit = (seconds, "second") if seconds < 90 else (-(-seconds // 60), "minute")
        wait = f"{number} {unit}" if number == 1 else f"{number} {unit}s"
        super().__init__(f"Too many wrong codes. Try again in {wait}.")
        self.seconds = seconds


def is_on(user: Any) -> bool:
    """Whether the user has set up a second factor."""
    return bool(_apps_of(user).filter(confirmed=True).exists())


def let_pass(request: HttpRequest, user: Any, code: str) -> None:
    """Let a user whose password was right go on, or NotPassed.

    A wrong code counts as a wrong password, and like one it may lock the name at this address:
    then `lockout.seconds_locked(request)` says for how long.
    """
    if not is_on(user):
        return
    name = user.get_username()
    if lockout.is_locked(request, name):
        raise WrongCode
    if not code:
        raise CodeNeeded
    try:
        user.otp_device = _verify(user, code)  # django-otp's own name for it
    except WrongCode:
        logger.warning("user %s: right password, wrong code of the second factor", user.pk)
        lockout.count_failure(request, name)
        raise


def refuse_half_sign_in(sender: Any, request: HttpRequest, user: Any, **kwargs: Any) -> None:
    """The wall behind `let_pass`: a sign-in that left it out ends here, with its session."""
    if getattr(user, "otp_device", None) is None and is_on(user):
        if hasattr(request, "session"):
            request.session.flush()
        raise PermissionDenied("A code of the second factor is needed.")


def watch() -> None:
    """Refuse sign-ins without the second factor. Called once, at start."""
    user_logged_in.connect(refuse_half_sign_in, dispatch_uid="policies.second_factor")


def begin(user: Any) -> Any:
    """The user's app, not in use yet: its `config_url` goes into a QR code. None when it is on."""
    with transaction.atomic():
        _lock(user)
        if is_on(user):
            return None
        app = begun(user)
        if app is None:
            _apps_of(user).delete()
            app = TOTPDevice.objects.create(user_id=user.pk, name="App", confirmed=False)
    return app


def begun(user: Any) -> Any:
    """The app that `begin` made a while ago and nobody confirmed; None when there is none."""
    since = timezone.now() - KEY_AGE
    return _apps_of(user).filter(confirmed=False, created_at__gt=since).first()


def confirm(user: Any, code: str) -> list[str]:
    """Turn the second factor on by the first code of the app; the recovery codes.

    NotPassed when the code is wrong.
    """
    plain, codes = _plain(code), []
    with transaction.atomic():
        _lock(user)
        app = begun(user)
        if app is not None and OF_APP.fullmatch(plain) and _takes(app, plain):
            app.confirmed = True
            app.save(update_fields=["confirmed"])
            codes = _new_recovery_codes(user)
    if not codes:
        raise WrongCode
    logger.info("user %s: the second factor is on", user.pk)
    return codes


def renew_recovery_codes(user: Any) -> list[str]:
    """New recovery codes; the old ones end. NotPassed where there is nothing to recover."""
    with transaction.atomic():
        _lock(user)
        if not is_on(user):
            raise NotPassed("The second factor is off.")
        codes = _new_recovery_codes(user)
    logger.info("user %s: new recovery codes", user.pk)
    return codes


def recovery_codes_left(user: Any) -> int:
    return int(StaticToken.objects.filter(device__user_id=user.pk).count())


def end(user: Any) -> bool:
    """From now on the password alone signs in; whether there was a second factor."""
    with transaction.atomic():
        _lock(user)
        was_on = is_on(user)
        _apps_of(user).delete()
        StaticDevice.objects.filter(user_id=user.pk).delete()
    if was_on:
        logger.info("user %s: the second factor is off", user.pk)
    return was_on


def end_waiting(username: str) -> None:
    """Forget the wrong codes of a name (all names: "")."""
    for model in (TOTPDevice, StaticDevice):
        devices = model.objects.all()
        devices = devices.filter(user__username=username) if username else devices
        devices.update(throttling_failure_count=0, throttling_failure_timestamp=None)


def _verify(user: Any, code: str) -> Any:
    """The app or set of recovery codes that took the code, which is used up; NotPassed."""
    plain = _plain(code)
    with transaction.atomic():
        device = _device_for(user, plain)
        right = device is not None and _takes(device, plain)
    if not right:  # said only now: raising inside would undo that it was counted
        raise WrongCode
    return device


def _plain(code: str) -> str:
    """The code as it is kept: apps and people group it."""
    return re.sub(r"[\s-]", "", code).lower()


def _device_for(user: Any, code: str) -> Any:
    """What may take a code of this shape, locked: of two who show one at once, one passes."""
    if OF_APP.fullmatch(code):
        devices = _apps_of(user).filter(confirmed=True)
    elif RECOVERY.fullmatch(code):
        devices = StaticDevice.objects.filter(user_id=user.pk)
    else:
        return None
    return devices.select_for_update().first()


def _takes(device: Any, code: str) -> bool:
    """Whether the code is right; TooSoon while a wrong one before it makes everybody wait."""
    now = timezone.now()
    if device.throttling_failure_timestamp and device.throttling_failure_timestamp > now:
        device.throttle_reset(commit=False)  # the clock was set back: do not wait for it
    device.throttling_failure_count = min(device.throttling_failure_count, MOST_FAILURES)
    allowed, why = device.verify_is_allowed()
    if not allowed:
        left = (why["locked_until"] - now).total_seconds()
        raise TooSoon(max(1, math.ceil(left)))
    return bool(device.verify_token(code))


def _apps_of(user: Any) -> Any:
    return TOTPDevice.objects.filter(user_id=user.pk)


def _lock(user: Any) -> None:
    """One change of a user's second factor at a time."""
    User.objects.select_for_update().filter(pk=user.pk).first()


def _new_recovery_codes(user: Any) -> list[str]:
    StaticDevice.objects.filter(user_id=user.pk).delete()
    device = StaticDevice.objects.create(user_id=user.pk, name="Recovery codes")
    codes = [StaticToken.random_token() for _ in range(RECOVERY_CODES)]
    StaticToken.objects.bulk_create(StaticToken(device=device, token=code) for code in codes)
    return codes
