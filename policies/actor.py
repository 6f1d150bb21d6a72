"""Who is at work and where from, for what is written down of changes.

A request is asked only when something is written: REST framework learns late who sent it, and
then puts the user into the same request.
"""

import os
import pwd
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from enum import StrEnum

from django.conf import settings
from django.http import HttpRequest, HttpResponse


class Source(StrEnum):
    """Which way a change came."""

    CONSOLE = "console"
    API = "api"
    COMMAND = "command"
    IMPORT = "import"
    HOUSE = "house"


@dataclass(frozen=True, slots=True)
class Actor:
    """A sign-in name (of a command: the machine's user), the way, and the network address."""

    name: str
    source: Source
    address: str = ""


_at_work: ContextVar[Callable[[], Actor] | None] = ContextVar("at_work", default=None)


def current() -> Actor:
    """Who is at work in this thread: whose request it is, else whoever started the process."""
    ask = _at_work.get()
    return ask() if ask else _of_process()


@contextmanager
def at_work(ask: Callable[[], Actor]) -> Iterator[None]:
    """Everything inside is the work of whom `ask` names."""
    token = _at_work.set(ask)
    try:
        yield
    finally:
        _at_work.reset(token)


def coming_by(source: Source) -> Callable[[], Actor]:
    """Whoever is at work now, coming another way: for `at_work`."""
    ask = _at_work.get() or _of_process
    return lambda: replace(ask(), source=source)


class ActorMiddleware:
    """Requests of people are the work of who is signed in."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with at_work(lambda: _of_request(request)):
            return self.get_response(request)


def _of_request(request: HttpRequest) -> Actor:
    user = getattr(request, "user", None)
    return Actor(
        # Who is not signed in (or is a device) changes nothing but by signing in.
        name=user.get_username() if user and hasattr(user, "get_username") else "",
        source=Source.API if request.path.startswith("/api/") else Source.CONSOLE,
        address=request.META.get("REMOTE_ADDR", ""),
    )


def _of_process() -> Actor:
    if settings.SERVES:
        return Actor("", Source.HOUSE)
    number = os.getuid()
    try:
        return Actor(pwd.getpwuid(number).pw_name, Source.COMMAND)
    except KeyError:  # in a container users have numbers only
        return Actor(str(number), Source.COMMAND)
