"""What comes in over a socket: one JSON object a text frame."""

from typing import Any

from rest_framework.exceptions import ParseError

from policies.strict_json import Malformed, parse_object


def parsed(text: str | None) -> dict[str, Any]:
    """The object in a text frame; ParseError for anything else (None: a binary frame)."""
    if text is None:
        raise ParseError("Send text frames.")
    try:
        return parse_object(text)
    except Malformed as error:
        raise ParseError(str(error)) from None
