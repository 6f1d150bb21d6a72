"""The cast: a door, a sensor, people of each role, an outsider, and clients for them."""

import datetime as dt
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import redis
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import OperationalError
from django.http import HttpResponse
from django.test import Client

from policies import cache_redis, presence, throttling
from policies.authentication import CERTIFICATE_KEY, fingerprint
from policies.models import Card, Certificate, Device, Door, Person
from realtime import quota, streams
from realtime.reserved import reserve
from realtime.worker import Worker
from tests.servers import roomy

if "TMPDIR" not in os.environ:
    os.environ["TMPDIR"] = tempfile.tempdir = roomy()

ANNA_UID = "04:A3:2B:F2:1C:80"
PASSWORD = "correct horse battery"
# Files that start houses or servers, the longest first. They come last: by then the short faults,
# beside which `make test` begins, are over, and the workers end at about the same time.
LONG = (
    "stack", "stack_endures", "browser_dashboard", "timescale", "viewer_socket", "serve",
    "check_degraded", "device_socket",
)  # fmt: skip


@pytest.hookimpl(tryfirst=True)  # before xdist reads the groups and pytest-django sorts again
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that do not work on Django's own database stay with one worker each.

    The other tests go one by one and first, in pytest-django's order: on every worker those that
    empty the database come after all that need what the migrations put into it.
    """
    places = {f"test_{name}": place for place, name in enumerate(LONG)}
    apart = [item for item in items if not uses_database(item)]
    for item in apart:
        item.add_marker(pytest.mark.xdist_group(item.path.stem))
    apart.sort(key=lambda item: places.get(item.path.stem, -1))
    items[:] = [item for item in items if uses_database(item)] + apart


def uses_database(item: pytest.Item) -> bool:
    """Whether it works on Django's database."""
    fixtures = {"db", "transactional_db"} & set(getattr(item, "fixturenames", ()))
    return bool(fixtures) or item.get_closest_marker("django_db") is not None


class JsonClient(Client):
    """Django's client, speaking JSON and keeping what every request carries."""

    def send(self, method: str, path: str, body: Any = None, **extra: Any) -> HttpResponse:
        """A request with a JSON body; bytes and strings go out as they are."""
        if body is None:
            return self.generic(method, path, **extra)
        extra.setdefault("content_type", "application/json")
        data = (
            body if isinstance(body, bytes | str) else self._encode_json(body, "application/json")
        )
        return self.generic(method, path, data, **extra)


def certify(device: Device, der: bytes) -> Certificate:
    """Put a certificate of a device on record, valid whenever a test takes place."""
    return Certificate.objects.create(
        fingerprint=fingerprint(der),
        device=device,
        serial="1",
        not_before=dt.datetime(2000, 1, 1, tzinfo=dt.UTC),
        not_after=dt.datetime(2100, 1, 1, tzinfo=dt.UTC),
    )


@pytest.fixture(autouse=True)
def _full_buckets() -> None:
    throttling.buckets.clear()
    presence.heard.take()


@pytest.fixture(autouse=True)
def _fast_passwords(settings: Any) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture(autouse=True)
def _production(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """In the production pass: empty Redis, and a worker that stores what is published at once."""
    if settings.EMBEDDED:
        yield
        return
    for url in (settings.REDIS_URL, settings.CACHE_REDIS_URL):
        with redis.Redis.from_url(url) as client:  # which waits longer than a door does
            client.flushdb()
    streams.breaker.close()
    cache_redis.breaker.close()
    quota.begin(streams.connect(streams.INGEST_TIMEOUT))  # as a worker does at its start
    publish, take, worker = streams.publish, quota.take, Worker("test")

    def publish_and_store(kind: str, entries: Sequence[streams.Entry], *, by: float = 0.0) -> None:
        publish(kind, entries, by=by)
        worker.drain()

    def take_and_store(*args: Any, **more: Any) -> streams.Entry:
        taken = take(*args, **more)
        worker.drain()
        return taken

    if "undrained" not in request.keywords:
        monkeypatch.setattr(streams, "publish", publish_and_store)
        monkeypatch.setattr(quota, "take", take_and_store)
    yield
    with cache_redis.breaker.probing:
        reserve.stop()  # its threads' connections would outlive the test's database


@pytest.fixture
def limit(settings: Any) -> Iterator[Callable[[str, str], None]]:
    """Set the limit of a scope for this test."""

    def change(scope: str, rate: str) -> None:
        settings.RATE_LIMITS = settings.RATE_LIMITS | {scope: rate}
        throttling.rate_of.cache_clear()

    yield change
    throttling.rate_of.cache_clear()


@pytest.fixture
def nothing_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    """No store takes anything: a full disk, and in production no stream either."""

    def no_stream(kind: str, entries: Sequence[streams.Entry]) -> None:
        raise redis.ConnectionError("the stream is away")

    def full_disk(kind: str, entries: Sequence[streams.Entry]) -> None:
        raise OperationalError("database or disk is full")

    monkeypatch.setattr(streams, "_append", no_stream)
    monkeypatch.setattr(streams, "store", full_disk)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from tests.browser import open_browser  # which takes long to load

    with open_browser() as browser:
        yield browser


@pytest.fixture
def door(db: None) -> Device:
    device = Device.objects.create(device_id="front-door", kind="door", name="front door")
    Door.objects.create(device=device)
    certify(device, b"door certificate")
    return device


@pytest.fixture
def sensor(db: None) -> Device:
    device = Device.objects.create(device_id="kitchen", kind="sensor", name="kitchen")
    certify(device, b"sensor certificate")
    return device


@pytest.fixture
def anna(db: None) -> Person:
    return Person.objects.create(name="Anna")


@pytest.fixture
def annas_card(anna: Person) -> Card:
    return Card.objects.create(uid=ANNA_UID, person=anna)


def device_client(der: bytes) -> JsonClient:
    """A client on the device face whose TLS connection showed this certificate."""
    return JsonClient(**{"smarthome.face": "device", CERTIFICATE_KEY: der})


@pytest.fixture
def door_client(door: Device) -> JsonClient:
    return device_client(b"door certificate")


@pytest.fixture
def sensor_client(sensor: Device) -> JsonClient:
    return device_client(b"sensor certificate")


@pytest.fixture
def user_of_role(db: None) -> Callable[[str], User]:
    def make(role: str) -> User:
        user = User.objects.create_user(f"the-{role}", password=PASSWORD)
        if role != "outsider":
            user.groups.add(Group.objects.get(name=role))
        return user

    return make


@pytest.fixture
def client_of_role(user_of_role: Callable[[str], User]) -> Callable[[str], JsonClient]:
    """A signed-in client of viewer, operator, manager, owner, or outsider (no role at all)."""

    def make(role: str) -> JsonClient:
        client = JsonClient()
        client.force_login(user_of_role(role))
        return client

    return make


@pytest.fixture
def console(user_of_role: Callable[[str], User]) -> Callable[[str], Client]:
    """A signed-in member of staff of a role."""

    def make(role: str) -> Client:
        user = user_of_role(role)
        user.is_staff = True
        user.save()
        client = Client()
        client.force_login(user)
        return client

    return make


@pytest.fixture
def viewer(client_of_role: Callable[[str], JsonClient]) -> JsonClient:
    return client_of_role("viewer")


@pytest.fixture
def operator(client_of_role: Callable[[str], JsonClient]) -> JsonClient:
    return client_of_role("operator")


@pytest.fixture
def manager(client_of_role: Callable[[str], JsonClient]) -> JsonClient:
    return client_of_role("manager")


@pytest.fixture
def owner(client_of_role: Callable[[str], JsonClient]) -> JsonClient:
    return client_of_role("owner")


@pytest.fixture
def outsider(client_of_role: Callable[[str], JsonClient]) -> JsonClient:
    return client_of_role("outsider")


@pytest.fixture
def nobody() -> JsonClient:
    return JsonClient()
