"""Answers doors from a cache of some design: `python -m tests.faults.door DESIGN UID`.

Told line by line on stdin, answers one JSON value a line. The two wrong designs are put in from
outside; the product has only its own.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import django

SLOW = 1.0  # seconds between having read a card and going on
PRODUCT, ONE_BY_ONE, LOCAL = "product", "one-by-one", "local"


def main(design: str, uid: str) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "smarthome.settings"
    django.setup()
    from django.db import DatabaseError

    from policies import cache
    from policies.models import Card
    from policies.rules import CardStatus, Credential

    if design != PRODUCT:
        use(design)
    cache.warm_up()

    def check(*, slowly: bool = False) -> str:
        def load() -> Credential | None:
            found = Card.objects.find_credential(uid)
            if slowly:
                say("has read")
                time.sleep(SLOW)
            return found

        try:
            found = cache.remember(Credential, f"card:{uid}", load)
        except DatabaseError:
            return "late"
        return "granted" if found and found.status is CardStatus.ACTIVE else "refused"

    orders: dict[str, Callable[[], Any]] = {
        "check": check,
        "check slowly": lambda: check(slowly=True),
        "reactivate": lambda: Card.objects.get(uid=uid).reactivate(),
        "revoke": lambda: Card.objects.get(uid=uid).revoke(),
        "forget": cache.forget,
    }
    for line in sys.stdin:
        say(orders[line.strip()]())


def use(design: str) -> None:
    """Put a wrong design in the cache's place."""
    from policies import cache, cache_redis, changes

    entries: dict[str, Any] = {}
    client = cache_redis.client()

    def local(kind: type, key: str, load: Callable[[], Any], *, by: float = 0.0) -> Any:
        if key not in entries:
            entries[key] = load()
        return entries[key]

    def shared(kind: type, key: str, load: Callable[[], Any], *, by: float = 0.0) -> Any:
        from policies import frozen_json

        known = client.get(f"control:{key}")
        if known:
            return frozen_json.loads(kind, known)
        value = load()
        client.set(f"control:{key}", frozen_json.dumps(value))
        return value

    def delete() -> None:
        for key in client.scan_iter("control:*"):
            client.delete(key)

    cache.remember = local if design == LOCAL else shared
    forget = entries.clear if design == LOCAL else delete
    for module in (cache, changes):
        if hasattr(module, "forget"):
            module.forget = forget


def say(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
