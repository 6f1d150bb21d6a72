"""Revocations under everything at once: many doors, two writers, evictions, a Redis that forgets.

`RACE_TOGGLES=2000` for the long form.
"""

import logging
import os
import random
import threading
import time
from bisect import bisect
from contextlib import suppress
from itertools import pairwise

import pytest
from django.conf import settings
from django.db import connections
from redis.exceptions import DataError

from policies import cache, cache_redis, changes
from policies.models import Card
from realtime.reserved import reserve
from tests.conftest import ANNA_UID, device_client

pytestmark = [
    pytest.mark.skipif(settings.EMBEDDED, reason="needs Redis: the production pass runs it"),
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
    pytest.mark.undrained,
]

logger = logging.getLogger(__name__)

TOGGLES = int(os.environ.get("RACE_TOGGLES", "100"))
DOORS = 8
PAUSE = 0.05  # of who changes or loses something else; without it no door finds anything kept
PATIENCE = 10.0  # of the doors, which share one interpreter here; a late answer proves nothing
CARD = f"/api/policies/cards/{ANNA_UID}"
CHECK = "/api/access/check"
chance = random.Random(7)  # noqa: S311  # a seed is the point


@pytest.fixture
def everywhere():
    """Run functions again and again, each on a thread of its own, until the test ends them."""
    stop = threading.Event()
    threads = []

    def start(work):
        def run():
            while not stop.is_set():
                work()
            connections.close_all()

        threads.append(threading.Thread(target=run))
        threads[-1].start()

    def end():
        stop.set()
        for thread in threads:
            thread.join()

    yield start, end
    end()


def lose_something():
    """The cache Redis evicts a key, or loses all it has."""
    client = cache_redis.client()
    if chance.random() < 0.1:
        client.flushall()
    else:
        with suppress(DataError):  # there was nothing
            client.delete(client.randomkey())
    time.sleep(PAUSE)


@pytest.fixture
def race(client_of_role, door, annas_card, limit, everywhere, monkeypatch):
    """Runs so many toggles of one card; what its doors were told, and told while it was shut."""
    monkeypatch.setattr(cache, "ANSWER_WITHIN", PATIENCE)
    monkeypatch.setattr(reserve, "deadline", PATIENCE)
    limit("check", "0")
    limit("policies", "0")
    start, end = everywhere
    manager, owner = client_of_role("manager"), client_of_role("owner")
    doors = threading.local()
    checks, toggled = [], []

    def check():
        if not hasattr(doors, "client"):
            doors.client = device_client(b"door certificate")
        begun = time.monotonic()
        granted = doors.client.send("POST", CHECK, {"card_uid": ANNA_UID}).json().get("granted")
        checks.append((begun, time.monotonic(), granted))

    def write_something_else():
        owner.send("PATCH", CARD, {"label": f"at {time.monotonic()}"})
        time.sleep(PAUSE)

    def run(toggles, *troubles):
        for work in (*[check] * DOORS, write_something_else, *troubles):
            start(work)
        while not any(granted for _, _, granted in checks):
            time.sleep(0.001)
        for number in range(toggles):
            active = bool(number % 2)
            begun = time.monotonic()
            answer = manager.send("PATCH", CARD, {"active": active})
            assert answer.status_code == 200, answer.content
            toggled.append((begun, time.monotonic(), active))
            # At most so many checks had begun before; as many at least begin and end after.
            enough = len(checks) + (1 if active else 2 * DOORS)
            while len(checks) < enough:
                time.sleep(0.001)
        end()
        # From the answer of a revocation to the next request that ends it.
        shut = [
            (answered, following)
            for (_, answered, active), (following, _, _) in pairwise(toggled)
            if not active
        ]
        while_shut = [granted for begun, ended, granted in checks if _within(shut, begun, ended)]
        logger.info("%d toggles, %d checks, %d while shut", toggles, len(checks), len(while_shut))
        return [granted for _, _, granted in checks], while_shut

    return run


def test_no_check_that_starts_after_a_revocation_was_answered_is_granted(race):
    granted, while_shut = race(TOGGLES, lose_something)

    assert True in granted
    assert len(while_shut) >= TOGGLES // 2 * DOORS
    assert True not in while_shut
    at_rest = device_client(b"door certificate").send("POST", CHECK, {"card_uid": ANNA_UID})
    assert at_rest.json()["granted"] is (Card.objects.get(uid=ANNA_UID).status == "active")


def test_the_race_sees_it_when_nobody_tells_the_cache(race, monkeypatch):
    monkeypatch.setattr(changes, "_forget", lambda: None)

    _, while_shut = race(20)

    assert True in while_shut


def _within(spans, begun, ended):
    """Whether it lies in one of the spans, which come in order."""
    index = bisect(spans, begun, key=lambda span: span[0]) - 1
    return index >= 0 and ended <= spans[index][1]
