"""Does a process of a production house work? `python -m smarthome.alive web|live|worker`.

For those who keep processes (compose.yaml): exit status 0 when it does. No Django, because it is
asked every few seconds.
"""

import os
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from socket import AF_UNIX, socket
from typing import Any

import redis

SECONDS = 3
AS_NGINX = {"X-House-Face": "people"}  # smarthome/faces.py
# As the worker's command writes it through Django's cache: for a minute, every second.
HEARTBEAT, HEARTBEAT_SECONDS, FRESH_SECONDS = ":1:worker:seen", 60, 15


class UnixConnection(HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=SECONDS)
        self.path = path

    def connect(self) -> None:
        self.sock = socket(AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(str(self.path))


def answers(path: Path) -> bool:
    """Whether `/health/live` answers on a unix socket."""
    connection = UnixConnection(path)
    try:
        connection.request("GET", "/health/live", headers=AS_NGINX)
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def works(cache_url: str) -> bool:
    """Whether some worker said in the last seconds that it is there."""
    client = redis.Redis.from_url(cache_url, socket_timeout=SECONDS)
    try:
        left: Any = client.ttl(HEARTBEAT)
        return bool(left > HEARTBEAT_SECONDS - FRESH_SECONDS)
    except redis.RedisError:
        return False
    finally:
        client.close()


def main(name: str) -> int:
    if name == "worker":
        return 0 if works(os.environ["CACHE_REDIS_URL"]) else 1
    return 0 if answers(Path(os.environ["RUN_DIR"]) / f"{name}.sock") else 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
