"""The two faces: devices with a certificate on one side, people on the other.

Which face a request came through is the server's word, never a client's: the listener in `serve`,
nginx in production. nginx says it in headers that it sets itself at every location, whatever the
client sent; the app listens on unix sockets alone, which only nginx's group can open.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from django.http import HttpRequest, HttpResponse

FACE_KEY = "smarthome.face"  # in request.META
METRICS_KEY = "smarthome.metrics"  # true where nginx lets an address read /metrics without a login
DEVICE, PEOPLE = "device", "people"

FACE_HEADER = "X-House-Face"  # `device` or `people`
CERTIFICATE_HEADER = "X-House-Certificate"  # PEM, percent-encoded: $ssl_client_escaped_cert
METRICS_HEADER = "X-House-Metrics"  # `open` or absent


class NotFromNginx(Exception):
    """Headers that our nginx would not send."""


class FaceMiddleware:
    """Give the device face its own, much smaller, table of URLs."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.META.get(FACE_KEY) == DEVICE:
            request.urlconf = "smarthome.device_urls"
        return self.get_response(request)


def said_by_nginx(face: Sequence[str], certificate: Sequence[str]) -> tuple[str, bytes | None]:
    """The face and the certificate's DER bytes, from all values of the two headers.

    NotFromNginx unless it is exactly `people` without a certificate or `device` with one.
    """
    if len(face) == 1 and face[0] == PEOPLE and not certificate:
        return PEOPLE, None
    if len(face) == 1 and face[0] == DEVICE and len(certificate) == 1:
        return DEVICE, _der(certificate[0])
    raise NotFromNginx


# A house has few devices, and each sends its one certificate with every request. Only nginx, which
# has verified it, gets this far, so nobody can fill this with others.
@lru_cache(maxsize=1024)
def _der(escaped: str) -> bytes:
    """The DER bytes of exactly one certificate, written as OpenSSL writes it."""
    pem = unquote_to_bytes(escaped)
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise NotFromNginx from None
    if certificate.public_bytes(Encoding.PEM) != pem:
        raise NotFromNginx
    return certificate.public_bytes(Encoding.DER)
