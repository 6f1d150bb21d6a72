"""What the rows of PROOF §3 share: how many cases, and a real house of each kind."""

import os
import ssl
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
from django.conf import settings as django_settings
from hypothesis import HealthCheck, settings

from tests.house import House, open_house
from tests.production import SECURITY
from tests.security.strangers import make_strangers
from tests.stack import Stack, open_stack

# `make security` asks for the long form of every row; the suite runs a short one.
FULL = os.environ.get("SECURITY_FULL") == "1"
T = TypeVar("T")
UID = "04:A3:2B:F2:1C:80"
CARD_HOLDER = "Zoë Müller-Lüdenscheidt"
DEVICES, CARDS = {"front-door": "door", "kitchen": "sensor"}, {UID: CARD_HOLDER}
NO_LIMITS = {
    "RATE_LIMIT_CHECK": "0",
    "RATE_LIMIT_INGEST": "0",
    "RATE_LIMIT_POLICIES": "0",
    "RATE_LIMIT_READINGS": "0",
}


# In the production pass only what asks the database or Redis; the rest has houses of its own.
BOTH_MODES = (*SECURITY, *(("lockout", "role_matrix") if FULL else ()))


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    if django_settings.EMBEDDED or not collection_path.is_file():
        return None
    return collection_path.stem.removeprefix("test_") not in BOTH_MODES or None


def some(items: Iterable[T], step: int) -> list[T]:
    """All of them in the long form, else every so manieth."""
    return list(items)[:: 1 if FULL else step]


def few_or_many(few: int, many: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """How many examples Hypothesis makes."""
    return settings(
        max_examples=many if FULL else few,
        deadline=None,
        database=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.too_slow,
            HealthCheck.filter_too_much,
        ],
    )


@pytest.fixture
def unlimited(limit: Callable[[str, str], None]) -> None:
    """No rate limit at all: for thousands of requests of one test."""
    for scope in ("check", "ingest", "policies", "readings"):
        limit(scope, "0")


def serving(folder: "pytest.TempPathFactory", **more: str) -> Iterator[House]:
    with open_house(folder.mktemp("house"), DEVICES, CARDS, **(NO_LIMITS | more)) as house:
        yield house


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """`serve`, with a door, a sensor and a card."""
    yield from serving(tmp_path_factory)


@pytest.fixture
def talkative_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """`serve` that says all it can say."""
    yield from serving(tmp_path_factory, LOG_LEVEL="DEBUG")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """`make stack`, with the same door, sensor and card."""
    folder = tmp_path_factory.mktemp("stack")
    folder.chmod(0o700)
    with open_stack(folder, **NO_LIMITS) as stack:
        stack.furnish(DEVICES, CARDS)
        yield stack


# A stack takes a while to start; in the ordinary suite tests/test_stack.py has one of its own.
@pytest.fixture(scope="session", params=["serve", "nginx"] if FULL else ["serve"])
def ending(request: pytest.FixtureRequest) -> House | Stack:
    """Each of the two that end TLS, with strangers' certificates made for it."""
    house: House | Stack = request.getfixturevalue(
        {"serve": "house", "nginx": "stack"}[request.param]
    )
    if not (house.data_dir / "devices" / "the-ca.crt").exists():
        make_strangers(house.data_dir)
    return house


def socket_tls(house: House | Stack, device_id: str | None = None) -> ssl.SSLContext:
    """For a socket by the websockets library: with TLS 1.3 it hangs now and then, see
    tests/sockets.py."""
    context = house.tls(device_id)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context
