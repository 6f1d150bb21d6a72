"""What settings need from a machine that has never run the house before."""

import os
import secrets
import zoneinfo
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def kept_secret(data_dir: Path) -> str:
    """The `SECRET_KEY` of this house: made once in `data_dir/secret_key`, mode 0600.

    Two processes that start at the same moment agree: the file appears complete, by a hard
    link, and the one that comes second reads the first one's.
    """
    path = data_dir / "secret_key"
    try:
        if not path.exists():
            data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
            draft = data_dir / f".secret_key.{os.getpid()}"
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_urlsafe(50))
            try:
                path.hardlink_to(draft)
            except FileExistsError:
                pass
            finally:
                draft.unlink()
        return path.read_text().strip()
    except OSError as error:
        raise ImproperlyConfigured(
            f"cannot keep the secret key in {path}: {error.strerror}. Free some space or give this "
            f"user the folder, set DATA_DIR to another one, or set SECRET_KEY."
        ) from error


def machine_time_zone() -> str:
    """The machine's IANA zone as its operating system names it, else UTC."""
    for name in (os.environ.get("TZ", ""), _zone_file(), _zone_link()):
        if name in zoneinfo.available_timezones():
            return name
    return "UTC"


def _zone_file() -> str:
    try:
        return Path("/etc/timezone").read_text().strip()
    except OSError:
        return ""


def _zone_link() -> str:
    return str(Path("/etc/localtime").resolve()).partition("zoneinfo/")[2]
