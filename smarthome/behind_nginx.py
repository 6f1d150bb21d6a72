"""What nginx says of a connection, for the WSGI side (`smarthome.live` has the sockets')."""

from collections.abc import Callable, Iterable
from typing import Any

from policies.authentication import CERTIFICATE_KEY
from smarthome import faces
from smarthome.errors import envelope_bytes

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]

FACE, CERTIFICATE, METRICS = (
    "HTTP_" + name.upper().replace("-", "_")
    for name in (faces.FACE_HEADER, faces.CERTIFICATE_HEADER, faces.METRICS_HEADER)
)


def behind_nginx(application: Wsgi) -> Wsgi:
    """Turn what nginx says of a connection into what `serve` says of it."""

    def translated(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            translate(environ)
        except faces.NotFromNginx:
            body = envelope_bytes(401, "This door is for nginx.")
            start_response(
                "401 Unauthorized",
                [("Content-Type", "application/json"), ("Content-Length", str(len(body)))],
            )
            return [body]
        return application(environ, start_response)

    return translated


def translate(environ: Environ) -> None:
    """Move nginx's headers into keys that no header can reach.

    A unix socket has no address. Whoever has one came another way and is not believed.
    """
    values = {key: environ.pop(key, "") for key in (FACE, CERTIFICATE, METRICS)}
    if environ.get("REMOTE_ADDR"):
        raise faces.NotFromNginx
    given = [[values[key]] if values[key] else [] for key in (FACE, CERTIFICATE)]
    environ[faces.FACE_KEY], der = faces.said_by_nginx(*given)
    environ["REMOTE_ADDR"] = environ.pop("HTTP_X_FORWARDED_FOR", "")
    environ["wsgi.url_scheme"] = "https"
    if der:
        environ[CERTIFICATE_KEY] = der
        environ["HTTP_HOST"] = "localhost"  # its certificate is checked, not the name it uses
    if values[METRICS] == "open":
        environ[faces.METRICS_KEY] = True
