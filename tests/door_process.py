"""A process that answers doors in production mode, told by a test line by line what to do.

`python -m tests.door_process`, one JSON object a line on stdin, one answer a line on stdout. So a
test can freeze a server for a while and see what the people at the door would see.
"""

import json
import os
import sys
import time
from typing import Any

import django

DOOR_CERTIFICATE = b"door certificate"
MANAGER = "the-manager"


def main() -> None:
    """Answer until stdin ends."""
    os.environ["DJANGO_SETTINGS_MODULE"] = "smarthome.settings"
    django.setup()
    from django.test.utils import setup_test_environment

    from policies import cache

    setup_test_environment()
    clients = cast()
    cache.warm_up()
    print(json.dumps("ready"), flush=True)  # noqa: T201  # the protocol
    for line in sys.stdin:
        print(json.dumps(answer(clients, json.loads(line))), flush=True)  # noqa: T201


def cast() -> dict[str, Any]:
    """Clients of a door and of a manager, both made if missing."""
    from django.contrib.auth.models import Group, User

    from policies.models import Certificate, Device, Door
    from tests.conftest import JsonClient, certify, device_client

    door, made = Device.objects.get_or_create(device_id="front-door", kind="door")
    if made:
        Door.objects.create(device=door)
    if not Certificate.objects.exists():
        certify(door, DOOR_CERTIFICATE)
    user, _ = User.objects.get_or_create(username=MANAGER)
    user.groups.add(Group.objects.get(name="manager"))
    manager = JsonClient()
    manager.force_login(user)
    return {"door": device_client(DOOR_CERTIFICATE), "manager": manager}


def answer(clients: dict[str, Any], order: dict[str, Any]) -> Any:
    """What a request was answered, and after how many milliseconds; or what is asked about."""
    from django.db import close_old_connections

    from policies import cache

    if order.get("do") == "repair":
        return cache.repair()
    if order.get("do") == "metrics":
        from prometheus_client import generate_latest

        return generate_latest().decode()
    close_old_connections()  # as a server does before each request, and the test's client does not
    begun = time.perf_counter()
    response = clients[order["as"]].send(order["method"], order["path"], order.get("body"))
    return {
        "status": response.status_code,
        "body": response.json(),
        "ms": (time.perf_counter() - begun) * 1000,
    }


if __name__ == "__main__":
    main()
