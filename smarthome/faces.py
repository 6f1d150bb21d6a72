"""The two faces: devices with a certificate on one side, people on the other.

Which face a request came through is the server's word (`serve`'s listener), never a header's.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

FACE_KEY = "smarthome.face"  # in request.META
DEVICE, PEOPLE = "device", "people"


class FaceMiddleware:
    """Give the device face its own, much smaller, table of URLs."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.META.get(FACE_KEY) == DEVICE:
            request.urlconf = "smarthome.device_urls"
        return self.get_response(request)
