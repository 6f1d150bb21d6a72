"""The sockets in production: `serve`'s Daphne on one unix socket behind nginx."""

from pathlib import Path
from typing import Any

from policies import cache
from policies.authentication import CERTIFICATE_KEY
from smarthome import faces
from smarthome.errors import envelope_bytes
from smarthome.serve import DaphneServer, House
from smarthome.threads import Receive, Scope, Send

NOT_SIGNED_IN = 4401


class Server(DaphneServer):
    """Every connection comes from nginx, which says whose it is."""

    def __init__(self, socket: Path) -> None:
        # Daphne would lock the path by a process number, which in a container comes again.
        socket.unlink(missing_ok=True)
        path = str(socket).replace("\\", r"\\").replace(":", r"\:")
        super().__init__(NginxsHouse(), [f"unix:{path}:mode=660:lockfile=0"], self.ready)

    def ready(self) -> None:
        # Whoever keeps nginx sees by itself that there is a new certificate.
        self.settle(lambda: None)
        cache.warm_up()

    def recognise(self, protocol: Any, scope: Scope) -> None:
        def values(name: str) -> list[str]:
            wanted = name.lower().encode()
            return [value.decode("latin-1") for key, value in scope["headers"] if key == wanted]

        try:
            face, der = faces.said_by_nginx(
                values(faces.FACE_HEADER), values(faces.CERTIFICATE_HEADER)
            )
        except faces.NotFromNginx:
            return
        scope[faces.FACE_KEY] = face
        if der:
            scope[CERTIFICATE_KEY] = der
        scope["scheme"] = "wss" if scope["type"] == "websocket" else "https"
        scope["client"] = [*values("X-Forwarded-For"), 0][:2]


class NginxsHouse(House):
    """Answers nobody who did not come through nginx."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if faces.FACE_KEY in scope:
            await super().__call__(scope, receive, send)
        elif scope["type"] == "http":
            body = envelope_bytes(401)
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(body)).encode()),
            ]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body", "body": body})
        else:
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close", "code": NOT_SIGNED_IN})
