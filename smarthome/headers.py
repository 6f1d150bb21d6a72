"""Response headers that every page carries."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

STRICT = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; img-src 'self' data:"
)
# Swagger UI and ReDoc write style attributes; ReDoc searches in a worker made from a blob.
API_PAGES = STRICT + "; style-src 'self' 'unsafe-inline'; worker-src blob:"


class ContentSecurityPolicyMiddleware:
    """Nothing but our own files: no inline script, no other host."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        policy = API_PAGES if request.path in ("/docs", "/redoc") else STRICT
        response.headers.setdefault("Content-Security-Policy", policy)
        if request.path.startswith("/api/"):  # tokens, names and card numbers: for nobody to keep
            response.headers.setdefault("Cache-Control", "no-store")
        return response
