"""One JSON object from a text, strictly. Used for HTTP bodies and WebSocket frames alike."""

import json
from typing import Any

MAX_DEPTH = 8
MAX_INTEGER_DIGITS = 400  # more than any double holds; int() of millions of digits takes minutes


class Malformed(ValueError):
    """The text is not the JSON object we take; the message says why in words."""


def parse_object(text: str, what: str = "The body") -> dict[str, Any]:
    """One JSON object, or Malformed, which calls the text what it is.

    Refused: anything but an object, duplicate keys, nesting deeper than 8, `NaN` and friends.
    A number too large for a double becomes infinity, which every field then refuses by name.
    """
    try:
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_int=_integer,
        )
    except RecursionError:
        raise Malformed(f"The JSON is nested deeper than {MAX_DEPTH}.") from None
    except ValueError as error:
        raise Malformed(f"{what} is not JSON: {error}.") from None
    if not isinstance(value, dict):
        raise Malformed(f"{what} must be a JSON object.")
    if _deeper_than(value, MAX_DEPTH):
        raise Malformed(f"The JSON is nested deeper than {MAX_DEPTH}.")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a key stands twice")
    return members


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON number")


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= MAX_INTEGER_DIGITS else float(digits)


def _deeper_than(value: Any, depth: int) -> bool:
    level = [value]
    for _ in range(depth):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return False
    return True
