"""Logs are JSON, one line an event, whatever the input."""

import datetime as dt
import json
import logging


class JsonFormatter(logging.Formatter):
    """`{"at", "level", "logger", "message"}` plus `trace` where there is an exception."""

    def format(self, record: logging.LogRecord) -> str:
        at = dt.datetime.fromtimestamp(record.created, dt.UTC)
        line = {
            "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)
