"""A viewer's socket: sign in, `hello`, `snapshot`, then live frames."""

import asyncio
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host
from rest_framework.exceptions import ParseError, ValidationError

from policies.roles import Role
from realtime import feed
from realtime.consumers import identity, snapshot
from realtime.consumers.frames import parsed
from realtime.consumers.identity import NOT_ALLOWED, NOT_SIGNED_IN, Identity
from realtime.consumers.patience import PatientConsumer
from realtime.consumers.threads import on_thread
from realtime.hub import Encoded, Hub, Viewer
from realtime.subscription import EVERYTHING, Subscription, zones_now

SIGN_IN_SECONDS = 5
PAGE_PAUSE = 0.01  # seconds; doors share the interpreter with a long replay
CHECK_SECONDS = 0.5  # that an identity still holds; the contract promises a second

Describe = Callable[[Exception], dict[str, Any]]


class ViewerConsumer(PatientConsumer):
    """One viewer's socket."""

    viewer: Viewer | None = None
    deadline: asyncio.Task[None] | None = None

    def __init__(self, hub: Hub, describe: Describe) -> None:
        super().__init__()
        self.hub, self.describe = hub, describe

    async def connect(self) -> None:
        await self.accept()
        headers = dict(self.scope["headers"])
        origin = headers.get(b"origin", b"").decode("latin-1")
        if "token" in parse_qs(self.scope["query_string"].decode(), keep_blank_values=True):
            await self.close(NOT_SIGNED_IN)  # addresses end up in logs; tokens must not
            return
        if origin and not allowed_origin(origin, headers.get(b"host", b"").decode("latin-1")):
            await self.close(NOT_ALLOWED)
            return
        self.deadline = asyncio.create_task(self._close_unless_signed_in())
        # Without an Origin it is no browser, and a cookie proves nothing.
        cookie = headers.get(b"cookie", b"").decode("latin-1") if origin else ""
        found = await on_thread(self.scope, identity.by_cookie, cookie)
        if found:
            await self._sign_in(found)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            if self.deadline:
                self.deadline.cancel()
            if self.viewer:
                self.hub.viewers.discard(self.viewer)

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        try:
            await self._handle(parsed(text_data))
        except (ParseError, ValidationError) as error:
            if self.viewer is None:
                await self.close(NOT_SIGNED_IN)
            else:
                await self.say({"type": "error", **self.describe(error)})

    async def _handle(self, frame: dict[str, Any]) -> None:
        kind = frame.get("type")
        if kind == "auth":
            await self._authenticate(frame)
        elif self.viewer is None:
            await self.close(NOT_SIGNED_IN)
        elif kind == "options":
            self.viewer.batch = _flag(frame, "batch", self.viewer.batch)
            await self._subscribe(self.viewer, frame)
        elif kind == "resume":
            await self._resume(self.viewer, frame)
        else:
            raise ValidationError({"type": ["Must be auth, options or resume."]})

    async def _authenticate(self, frame: dict[str, Any]) -> None:
        """The first `auth` signs in, a later one of the same user prolongs."""
        batch = _flag(frame, "batch", self.viewer.batch if self.viewer else False)
        token = frame.get("token")
        found = await on_thread(
            self.scope, identity.by_token, token if isinstance(token, str) else ""
        )
        if found is None:
            await self.close(NOT_SIGNED_IN)
        elif self.viewer is None:
            await self._sign_in(found, batch=batch, frame=frame)
        elif found.is_same_viewer(self.viewer.identity):
            self.viewer.identity = found
            self.viewer.batch = batch
            await self._subscribe(self.viewer, frame)
        else:
            await self.close(NOT_ALLOWED)

    async def _subscribe(self, viewer: Viewer, frame: dict[str, Any]) -> None:
        """From now on it hears of what the frame asks for, and begins with how that is now."""
        if frame.get("subscribe") is None:
            return
        viewer.subscription = await self._wanted(frame)
        before = viewer.seq
        reached = await self._send_snapshot(viewer)
        # What was on its way, an alert perhaps, is in no snapshot: it still comes, or is said lost.
        if viewer.let_go_to:
            await self.say({"type": "gap", "from": before, "to": reached})
            before = reached
        self.hub.release(viewer, after=before)

    async def _wanted(self, frame: dict[str, Any]) -> Subscription:
        wanted = Subscription.parse(frame["subscribe"])
        return wanted.resolved(await on_thread(self.scope, zones_now)) if wanted.zones else wanted

    async def _sign_in(
        self, found: Identity, *, batch: bool = False, frame: dict[str, Any] | None = None
    ) -> None:
        if found.role is None:
            await self.close(NOT_ALLOWED)
            return
        wanted, wrong = EVERYTHING, None
        if frame and frame.get("subscribe") is not None:
            try:
                wanted = await self._wanted(frame)
            except ValidationError as error:  # it has signed in all the same
                wrong = error
        outlet = self.scope.get("smarthome.outlet")
        self.viewer = Viewer(self.send, self.close, outlet, found)
        self.viewer.masked = found.role < Role.OPERATOR
        self.viewer.batch, self.viewer.subscription = batch, wanted
        self.hub.add(self.viewer)
        where = await on_thread(self.scope, feed.position)
        await self.say({"type": "hello", "feed": where.feed_id, "seq": where.seq})
        self.hub.release(self.viewer, after=await self._send_snapshot(self.viewer))
        if wrong:
            raise wrong

    async def _send_snapshot(self, viewer: Viewer) -> int:
        """The number up to which it says all; what comes meanwhile is held."""
        viewer.hold_from_now()
        while True:
            state = await on_thread(
                self.scope, snapshot.snapshot, viewer.subscription, with_uid=not viewer.masked
            )
            await self.say(state)
            if viewer.let_go_to <= state["seq"]:  # else it took so long that it says too little
                reached: int = state["seq"]
                return reached

    async def _resume(self, viewer: Viewer, frame: dict[str, Any]) -> None:
        """Replay what was missed, or say what is lost and begin afresh."""
        name, after = frame.get("feed"), frame.get("seq")
        if not isinstance(name, str) or isinstance(after, bool) or not isinstance(after, int):
            raise ValidationError({"resume": ["feed is a text and seq a number."]})
        viewer.hold_from_now()
        reached = await self._replay(viewer, name, after)
        if reached is None:
            where = await on_thread(self.scope, feed.position)
            await self.say({"type": "gap", "from": after, "to": where.seq})
            self.hub.release(viewer, after=await self._send_snapshot(viewer))
        else:
            await self.say({"type": "resumed", "seq": reached})
            self.hub.release(viewer, after=reached)

    async def _replay(self, viewer: Viewer, name: str, after: int) -> int | None:
        """Send what came after a number, each page when the one before it has left.

        The number up to which nothing is missing now; None when the feed cannot say.
        """
        while page := await on_thread(self.scope, snapshot.missed, name, after):
            wanted = Encoded(page.frames).part(viewer.subscription)
            if wanted.frames:
                for text in wanted.for_viewer(viewer):
                    await self.say_text(text)
            if page.is_last and page.seq >= viewer.let_go_to:
                return page.seq
            after = page.seq
            await asyncio.sleep(PAGE_PAUSE)
        return None

    async def _close_unless_signed_in(self) -> None:
        await asyncio.sleep(SIGN_IN_SECONDS)
        if self.viewer is None:
            await self.close(NOT_SIGNED_IN)


def allowed_origin(origin: str, host: str) -> bool:
    """The request's own origin, or one of ALLOWED_ORIGINS.

    The Host must be one of ours: a name that an attacker points at us would be its own origin.
    """
    if origin in settings.ALLOWED_ORIGINS:
        return True
    domain, _ = split_domain_port(host)
    scheme = "http" if settings.EMBEDDED else "https"
    parts = urlsplit(origin)
    own = (parts.scheme, parts.netloc.lower()) == (scheme, host.lower())
    return own and validate_host(domain, settings.ALLOWED_HOSTS)


def _flag(frame: dict[str, Any], name: str, default: bool) -> bool:
    value = frame.get(name)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise ValidationError({name: ["Must be true or false."]})
    return value
