"""Django's WSGI handler behind ASGI, on threads that live as long as the process.

Django's own ASGI handler starts a thread, a database connection and a hop per middleware for
every request: at 20 checks/s and 50 readings/s that saturates one process. A long-lived thread
keeps its SQLite connection. More threads on one face are slower (they share one interpreter
lock), so each face has its own few, and an admin page never delays a door.
"""

import asyncio
import io
import sys
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.core.handlers.wsgi import WSGIHandler
from django.http.response import HttpResponseBase

from smarthome import faces

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

# What `serve` knows of a connection and no header can say; it goes to request.META as it is.
SERVER_KEYS = ("smarthome.face", "smarthome.client_certificate")


class ThreadedWsgi:
    """An ASGI application for `http` scopes: the WSGI handler on `threads` own threads."""

    def __init__(
        self,
        handler: WSGIHandler,
        name: str,
        threads: int,
        initializer: Callable[[], None] | None = None,
    ) -> None:
        self.handler = handler
        self.executor = ThreadPoolExecutor(threads, name, initializer)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read(receive)
        loop = asyncio.get_running_loop()
        start, response = await loop.run_in_executor(self.executor, self._handle, scope, body)
        await send(start)
        if response.streaming:
            await loop.run_in_executor(self.executor, _stream, response, send, loop)
        else:
            await send({"type": "http.response.body", "body": response.content})  # type: ignore[attr-defined]  # not streaming

    def _handle(self, scope: Scope, body: bytes) -> tuple[dict[str, Any], HttpResponseBase]:
        start: dict[str, Any] = {"type": "http.response.start"}

        def start_response(status: str, headers: Iterable[tuple[str, str]]) -> None:
            start["status"] = int(status.partition(" ")[0])
            start["headers"] = [(k.encode("latin-1"), v.encode("latin-1")) for k, v in headers]

        response: HttpResponseBase = self.handler(environ(scope, body), start_response)  # type: ignore[arg-type]  # ours ignores exc_info
        if not response.streaming:
            response.close()
        return start, response


def environ(scope: Scope, body: bytes) -> dict[str, Any]:
    """The WSGI environment of an ASGI `http` scope.

    Daphne has already dropped header names with an underscore, which WSGI could not tell from
    those with a hyphen.
    """
    values: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("ascii"),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "SERVER_NAME": str(scope["server"][0]) if scope.get("server") else "localhost",
        "SERVER_PORT": str(scope["server"][1]) if scope.get("server") else "0",
        "REMOTE_ADDR": str(scope["client"][0]) if scope.get("client") else "",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for raw_name, raw_value in scope["headers"]:
        name, value = (
            raw_name.decode("latin-1").upper().replace("-", "_"),
            raw_value.decode("latin-1"),
        )
        key = name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{name}"
        joiner = "; " if key == "HTTP_COOKIE" else ","
        values[key] = f"{values[key]}{joiner}{value}" if key in values else value
    values["CONTENT_LENGTH"] = str(len(body))  # what arrived; a chunked body has no header
    if scope["smarthome.face"] == faces.DEVICE:
        # A device may call the house by any name its owner gave it: its certificate is checked,
        # not the name, which for people guards against other sites' pages.
        values["HTTP_HOST"] = "localhost"
    values |= {key: scope[key] for key in SERVER_KEYS if key in scope}
    return values


async def _read(receive: Receive) -> bytes:
    chunks = []
    more = True
    while more:
        message = await receive()
        chunks.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(chunks)


def _stream(response: HttpResponseBase, send: Send, loop: asyncio.AbstractEventLoop) -> None:
    """Send a streaming response chunk by chunk, each before the next is made."""

    def hand_over(chunk: bytes, *, more: bool) -> None:
        message = {"type": "http.response.body", "body": chunk, "more_body": more}
        asyncio.run_coroutine_threadsafe(send(message), loop).result()  # type: ignore[arg-type]  # a coroutine in fact

    try:
        for chunk in response:
            hand_over(chunk, more=True)
    finally:
        response.close()
        hand_over(b"", more=False)
