"""Requests made from our own OpenAPI schema, right ones and wrong ones, by every role.

No answer may be a 5xx, and none another one than the schema promises: status, type, headers, body.
"""

from collections.abc import Callable, Iterable
from typing import Any

import pytest
import schemathesis
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import given
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks

from policies import lockout, tokens
from policies.authentication import CERTIFICATE_KEY
from policies.models import Holiday, PeopleGroup, Person, Rule, Schedule, Zone
from tests.conftest import ANNA_UID, PASSWORD
from tests.security.conftest import FULL, few_or_many
from tests.security.counting import count

CASES = {"few": 2, "many": 103}  # of each role at each operation, in each of the two modes
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
PEOPLE = ("nobody", "viewer", "operator", "manager", "owner")
DEVICES = ("door", "sensor")
# The short form asks as each of them once, and as the owner in both modes.
WHO = (
    [*PEOPLE, *DEVICES] if FULL
    else ["nobody", "operator", "owner", "sensor"] if settings.EMBEDDED
    else ["viewer", "manager", "owner", "door"]
)  # fmt: skip
SIGNALS = (request_started, request_finished)
Environ = dict[str, Any]


class House:
    """The WSGI application; `extra` is what the server knows of a connection."""

    def __init__(self) -> None:
        self.as_built()

    def as_built(self) -> None:
        """Forget what a test has changed."""
        self.handler = WSGIHandler()
        self.extra: Environ = {}
        self.closes = True

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        for signal in SIGNALS:  # as Django's own client: the test's connection is not a request's
            signal.disconnect(close_old_connections)
        try:
            response = self.handler(environ | self.extra, start_response)
            body = b"".join(response)
            if self.closes:
                response.close()
        finally:
            for signal in SIGNALS:
                signal.connect(close_old_connections)
        return [body]


@pytest.fixture(scope="module")
def loaded(django_db_setup, django_db_blocker):
    """The house, and every operation of its schema, which takes a while to make."""
    house = House()
    with django_db_blocker.unblock():
        loaded = schemathesis.openapi.from_wsgi("/api/schema", house)
    return house, [operation.ok() for operation in loaded.get_all_operations()]


@pytest.fixture
def schema(db: None, loaded):
    house, _ = loaded
    house.as_built()
    return loaded


@pytest.fixture
def headers_of(door, sensor, annas_card, sensor_client) -> Callable[[str, House], dict[str, str]]:
    """Makes the next requests come from one of PEOPLE or DEVICES."""
    sensor_client.send("POST", "/api/sensors/ingest", {"temperature": 21.5})
    for kind in (Person, PeopleGroup, Zone, Schedule, Rule):
        kind.objects.create(pk=KEPT, name="kept")
    Holiday.objects.create(pk=KEPT, name="kept", date="2026-12-25")
    for kind in (PeopleGroup, Zone, Schedule):
        kind.objects.create(pk=KEPT + 1, name="named")

    def become(who: str, house: House) -> dict[str, str]:
        if who in DEVICES:
            certificate = f"{who} certificate".encode()
            house.extra = {"smarthome.face": "device", CERTIFICATE_KEY: certificate}
        if who in DEVICES or who == "nobody":
            return {}
        user = User.objects.create_user(f"the-{who}", password="correct horse")
        user.groups.add(Group.objects.get(name=who))
        return {"Authorization": f"Bearer {tokens.sign_in(user)['access']}"}

    return become


KEPT = 1001  # the id of one of everything that is managed by id
# Values that lead further than random ones: what is on record, and a card that may come to be.
FURTHER = st.fixed_dictionaries(
    {
        "card_uid": st.just(ANNA_UID) | st.binary(min_size=4, max_size=10).map(bytes.hex),
        "device_id": st.sampled_from(["front-door", "kitchen"]),
        "id": st.just(KEPT),
        "group": st.sampled_from([None, "named"]),
        "groups": st.just(["named"]),
        "zone": st.just("named"),
        "zones": st.just({"named": True}),
        "schedule": st.just("named"),
        "doors": st.sampled_from([["front-door"], {"front-door": True}]),
        "devices": st.just(["front-door", "kitchen"]),
        "date": st.dates().map(str),
        "username": st.just("the-signer"),
        "password": st.just(PASSWORD),
    }
)
# What each of these must have been able to do at least once, or the run has shown little.
DONE = {
    "owner": {
        "GET /api/access/logs", "GET /api/devices", "GET /api/policies/cards",
        "POST /api/policies/cards", "GET /api/policies/cards/{card_uid}",
        "PATCH /api/policies/cards/{card_uid}", "DELETE /api/policies/cards/{card_uid}",
        "GET /api/sensors/latest/{device_id}", "GET /api/sensors/readings", "POST /api/auth/token",
        "GET /api/policies/lockdown", "PATCH /api/policies/lockdown",
        *(
            f"{method} /api/policies/{noun}"
            for noun in ("people", "groups", "zones", "schedules", "holidays", "rules")
            for method in ("GET", "POST")
        ),
        *(
            f"{method} /api/policies/{noun}/{{id}}"
            for noun in ("people", "groups", "zones", "schedules", "holidays", "rules")
            for method in ("GET", "PATCH", "DELETE")
        ),
    },
    "door": {"POST /api/access/check", "POST /api/sensors/ingest"},
}  # fmt: skip


@pytest.mark.filterwarnings("default")  # schemathesis has some of its own
@pytest.mark.parametrize("who", WHO)
def test_every_answer_is_as_the_schema_says(who, schema, headers_of, unlimited, monkeypatch):
    monkeypatch.setattr(lockout, "TRIES_OF_AN_ADDRESS", 10**9)
    User.objects.create_user("the-signer", password=PASSWORD)
    house, operations = schema
    headers = headers_of(who, house)
    done = set()

    for operation in operations:
        positive, negative = (operation.as_strategy(mode) for mode in GenerationMode)

        @few_or_many(CASES["few"], CASES["many"])
        @given(case=positive | negative, further=st.none() | FURTHER)
        def ask(case, further):
            count()
            for place in (case.path_parameters, case.query, case.body) if further else ():
                if isinstance(place, dict):
                    place.update({name: further[name] for name in further if name in place})
            response = case.call(headers=headers)
            if who in DEVICES and response.status_code == 404:
                return  # the people's, which is not there
            case.validate_response(response, checks=CHECKS)
            if response.status_code < 300:
                done.add(case.operation.label)

        ask()

    if FULL:
        assert DONE.get(who, set()) - done == set()


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "answer",
    [
        ("500 Internal Server Error", b'{"error": {"code": "x", "message": "", "details": {}}}'),
        ("200 OK", b'{"count": "one", "devices": []}'),
        ("200 OK", b"<html>"),
        ("418 Teapot", b"{}"),
    ],
)
def test_the_checks_find_what_they_are_for(schema, answer):
    house, operations = schema
    status, body = answer
    devices = next(one for one in operations if one.label == "GET /api/devices")

    def wrong(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response(status, [("Content-Type", "application/json")])
        return [body]

    house.handler = wrong  # type: ignore[assignment]
    house.closes = False
    response = devices.Case().call()

    with pytest.raises(FailureGroup):
        devices.Case().validate_response(response, checks=CHECKS)
