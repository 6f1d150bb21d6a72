"""Files that commands read and write; `-` is the standard stream."""

import os
import sys
import tempfile
from pathlib import Path

from django.core.management.base import CommandError


def read_text(name: str) -> str:
    """The whole file, which is UTF-8, with or without a byte order mark."""
    try:
        content = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return content.decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise CommandError(f"{name} cannot be read: {error}.") from None


def write_text(name: str, text: str) -> None:
    """The whole file or, when that fails, what was there before. Only its owner may read it."""
    path = Path(name)
    try:
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")  # mode 0600
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="") as file:
                file.write(text)
            Path(draft).replace(path)
        except BaseException:
            Path(draft).unlink()
            raise
    except (OSError, ValueError) as error:
        raise CommandError(f"{name} cannot be written: {error}.") from None
