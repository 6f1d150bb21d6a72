"""JSON in, strictly; JSON out, whatever the Accept header says.

REST framework's own parser takes duplicate keys and `NaN`, and two kilobytes of `[[[[` make
it raise a RecursionError, which is a 500.
"""

from collections.abc import Mapping
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from policies.strict_json import Malformed, parse_object


class StrictJSONParser(BaseParser):
    """`application/json` in UTF-8, one object."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        try:
            return parse_object(stream.read().decode())
        except UnicodeDecodeError:
            raise ParseError("The body is not UTF-8.") from None
        except Malformed as error:
            raise ParseError(str(error)) from None


class AlwaysJSON(BaseContentNegotiation):
    """Devices send odd Accept headers; there is one representation, so there is no 406."""

    def select_parser(self, request: Request, parsers: Any) -> BaseParser | None:
        content_type = (request.content_type or "").partition(";")[0].strip().lower()
        return next((p for p in parsers if p.media_type == content_type), None)

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], renderers[0].media_type
