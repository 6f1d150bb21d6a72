"""One error shape on every API path, whoever produces the error."""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any

from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from realtime.streams import NotRecorded

logger = logging.getLogger(__name__)

CODES = {
    400: "MALFORMED_REQUEST",
    401: "AUTHENTICATION_ERROR",
    403: "AUTHORIZATION_ERROR",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    409: "CONFLICT",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    422: "VALIDATION_ERROR",
    429: "RATE_LIMIT_EXCEEDED",
    500: "INTERNAL_ERROR",
    503: "SERVICE_UNAVAILABLE",
}
MESSAGES = {
    400: "The request could not be read.",
    403: "This is not allowed.",
    404: "There is nothing here.",
    405: "This method is not allowed here.",
    413: "The body is too large.",
    422: "A field is wrong.",
    500: "Something went wrong on our side. It is in the log.",
    503: "The house cannot do this right now. Try again shortly.",
}
RETRY_SECONDS = "1"
API_PREFIXES = ("/api/", "/health", "/metrics")


def envelope(
    status: int, message: str = "", details: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """`{"error": {"code", "message", "details"}}` for an HTTP status."""
    text = message or MESSAGES.get(status, "The request failed.")
    return {
        "error": {"code": CODES.get(status, "ERROR"), "message": text, "details": details or {}}
    }


def envelope_bytes(status: int, message: str = "") -> bytes:
    """The envelope for those who speak bytes: the server itself."""
    return json.dumps(envelope(status, message)).encode()


def answer(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """REST framework's exception handler: exceptions in, the contract's answers out."""
    if isinstance(error, NotRecorded | OperationalError | InterfaceError):
        # No trace: formatting one takes 70 ms of 150, and that a store is away is no riddle.
        logger.error("answered 503: %s: %s", type(error).__name__, error)
        return Response(envelope(503), status=503, headers={"Retry-After": RETRY_SECONDS})
    response = exception_handler(error, dict(context))
    if response is None:
        return None
    if isinstance(error, exceptions.ValidationError):
        response.status_code = 422
        response.data = envelope(422, details=flat(error.detail))
        return response
    detail = getattr(error, "detail", "")
    message = detail if isinstance(detail, str) else ""
    response.data = envelope(response.status_code, message, getattr(error, "details", None))
    return response


def describe(error: Exception) -> dict[str, Any]:
    """The envelope of an exception, for those who have no response: sockets."""
    response = answer(error, {})
    if response is None:
        logger.error("answered 500", exc_info=error)
        return envelope(500)
    described: dict[str, Any] = response.data
    return described


def flat(detail: Any, path: str = "") -> dict[str, list[str]]:
    """Nested validation errors as one map of dotted field → list of messages."""
    if isinstance(detail, dict):
        found: dict[str, list[str]] = {}
        for name, inner in detail.items():
            found |= flat(inner, f"{path}.{name}" if path else str(name))
        return found
    if isinstance(detail, list) and any(isinstance(item, dict) for item in detail):
        return flat({str(index): item for index, item in enumerate(detail) if item}, path)
    messages = detail if isinstance(detail, list) else [detail]
    return {writable(path) or "body": [writable(str(message)) for message in messages]}


def writable(text: str) -> str:
    """A message may repeat what was sent, and JSON can send half surrogates: no UTF-8 has those."""
    return text.encode("utf-8", "replace").decode()


def not_found(request: HttpRequest, exception: Exception) -> JsonResponse:
    """The device face has no pages: 404 in our shape on every path."""
    return JsonResponse(envelope(404), status=404)


class ErrorShapeMiddleware:
    """Django's own refusals (unknown URL, bad host, CSRF, a crash) in our shape on API paths."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if response.status_code < 400 or not request.path.startswith(API_PREFIXES):
            return response
        if response.headers.get("Content-Type", "").startswith("application/json"):
            return response
        response.content = envelope_bytes(response.status_code)
        response.headers["Content-Type"] = "application/json"
        response.headers["Content-Length"] = str(len(response.content))
        return response

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """A database that is away is 503 on pages too, not a crash."""
        if isinstance(error, DatabaseError) and request.path.startswith(API_PREFIXES):
            logger.error("answered 503", exc_info=error)
            return JsonResponse(envelope(503), status=503, headers={"Retry-After": RETRY_SECONDS})
        return None
