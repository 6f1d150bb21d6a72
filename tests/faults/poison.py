"""Entries that no store will ever take, between those that it takes."""

import json
import random
import time
import uuid
from collections.abc import Callable

from realtime.streams import FIELD, key
from tests.faults.journal import now
from tests.faults.scene import Scene


def poisoned(scene: Scene) -> None:
    """One entry in a hundred is one that no store will ever take."""
    house = scene.house
    until = now() + scene.seconds
    with scene.window(), house.redis("redis") as client:
        while now() < until:
            raw = scene.chance.choice(POISON)(scene.chance)
            client.xadd(key("sensors"), {FIELD: raw})
            house.poison.append(raw)
            time.sleep(0.5)  # 200 readings/s
    scene.note("poison", len(house.poison))


def _entry(**wrong: object) -> bytes:
    entry = {
        "id": "0190a5a0-0000-7000-8000-000000000000",
        "device_made_id": True,
        "time": "2026-03-02T05:59:00.000Z",
        "device_id": "sensor-01",
        "temperature": 21.5,
        "humidity": 48.0,
        "pressure": 1013.25,
        "metrics": {},
        "time_source": "device",
        "device_time": None,
        "received_at": "2026-03-02T05:59:00.000Z",
        "flags": [],
    }
    return json.dumps(entry | wrong).encode()


def _random_id(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128)))


POISON: list[Callable[[random.Random], bytes]] = [
    lambda chance: b"no JSON at all",
    lambda chance: b"[]",
    lambda chance: b"\xff\xfe",
    lambda chance: _entry(id="no id"),
    lambda chance: json.dumps({"id": _random_id(chance)}).encode(),
    lambda chance: _entry(id=_random_id(chance), time="never"),
    lambda chance: _entry(id=_random_id(chance), device_id="x" * 1000),
    lambda chance: _entry(id=_random_id(chance), temperature="warm"),
    lambda chance: _entry(id=_random_id(chance), device_id="a\0b"),
]
