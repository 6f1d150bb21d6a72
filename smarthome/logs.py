"""Logs are JSON, one line an event, whatever the input; keys, tokens and rows stay out of them."""

import datetime as dt
import json
import logging
import re
import sys
import threading
from typing import Any

# Nobody logs these on purpose, but an error's text may quote what somebody sent.
SECRETS = re.compile(
    r"""
    -----BEGIN\ [A-Z ]*PRIVATE\ KEY----- .*? (?: -----END\ [A-Z ]*PRIVATE\ KEY----- | \Z )
    | \b eyJ [\w-]+ (?: \. [\w-]* ){1,2}            # a token of ours: {" in base64
    | (?<= :// ) [^\s/@]* : [^\s/@]+ (?= @ )       # user and password of an address
    | (?<= bearer\  ) [^\s"',]+
    | (?<= otpauth:// ) [^\s"']+                    # the key of a second factor
    | (?: (?<= password["']:\ ) | (?<= password=) | (?<= otp["']:\ ) | (?<= otp=) )
      (?: "[^"]*" | '[^']*' | [^\s,;&"']+ )
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
# What PostgreSQL adds to an error holds values of the row: names.
ROWS = re.compile(r"^(DETAIL|CONTEXT|QUERY|STATEMENT|LINE \d+):.*$", re.MULTILINE)


class JsonFormatter(logging.Formatter):
    """`{"at", "level", "logger", "message"}` plus `trace` where there is an exception."""

    def format(self, record: logging.LogRecord) -> str:
        at = dt.datetime.fromtimestamp(record.created, dt.UTC)
        line = {
            "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": clean(message_of(record)),
        }
        if record.exc_info:
            line["trace"] = clean(self.formatException(record.exc_info))
        # ASCII only: half a surrogate could not be written, and U+2028 would end the line.
        return json.dumps(line)


def message_of(record: logging.LogRecord) -> str:
    """The message; the parts of one that cannot be put together, which would be no line at all."""
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001  # whatever an argument's __str__ raises
        return f"{record.msg!r} (its arguments do not fit)"


def clean(text: str) -> str:
    """The text without secrets and rows."""
    return ROWS.sub(r"\1: (left out)", SECRETS.sub("***", text))


def take_over() -> None:
    """From now on what Python would print by itself is logged too: for processes that serve."""
    logger = logging.getLogger("smarthome")

    def end(kind: Any, error: Any, trace: Any) -> None:
        if issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)
        else:
            logger.critical("ended by an error", exc_info=(kind, error, trace))

    def end_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_value:
            about = (args.exc_type, args.exc_value, args.exc_traceback)
            logger.error("a thread ended by an error", exc_info=about)

    sys.excepthook, threading.excepthook = end, end_thread
    logging.captureWarnings(True)
