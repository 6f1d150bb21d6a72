"""Who may ask what: every URL of both faces against one table. A new URL needs a row here."""

import datetime as dt
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.contrib.admin.utils import quote, unquote
from django.contrib.auth.models import Group, User
from django.db import transaction
from django.db.models import Model
from django.http import HttpResponse
from django.urls import Resolver404, URLPattern, URLResolver, get_resolver, resolve
from django.utils import timezone

from access.models import AccessLog, DoorEvent
from policies.models import (
    Card,
    Certificate,
    Device,
    Door,
    Holiday,
    House,
    PeopleGroup,
    Person,
    PolicyChange,
    Rule,
    Schedule,
    Visit,
    Zone,
)
from sensors.models import SensorReading
from tests.conftest import ANNA_UID, JsonClient, certify, device_client

PEOPLE = ("nobody", "inactive", "viewer", "operator", "manager", "owner")
DEVICES = ("door", "sensor", "disabled")
WHO = (*PEOPLE, *DEVICES)
ELSEWHERE = "192.0.2.7"  # not this machine, which reads /metrics without a login
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "TRACE")


@dataclass(frozen=True)
class Row:
    """A question, and what each of PEOPLE and each of DEVICES is told."""

    method: str
    path: str
    people: tuple[int, ...]
    devices: tuple[int, ...] = (404, 404, 404)
    body: Any = None
    form: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def wanted(self, who: str) -> int:
        return dict(zip(WHO, self.people + self.devices, strict=True))[who]

    def ask(self, client: JsonClient, path: str) -> HttpResponse:
        if self.form or path.startswith("/admin/"):
            kind = "application/x-www-form-urlencoded"
            return client.generic(self.method, path, urlencode(self.form), content_type=kind)
        return client.send(self.method, path, self.body)


CARD = f"/api/policies/cards/{ANNA_UID}"
NEW = {"card_uid": "04:11:22:33", "user_name": "Ben"}
SCAN = {"card_uid": ANNA_UID}
READING = {"temperature": 21.5}
WRONG = {"username": "x", "password": "x"}
RANGE = "start_time=2026-11-23T00:00:00Z&end_time=2026-11-23T01:00:00Z"
ALL, NONE = (200,) * 6, (401,) * 6
VIEWER = (401, 401, 200, 200, 200, 200)
OPERATOR, MANAGER = (401, 401, 403, 200, 200, 200), (401, 401, 403, 403, 200, 200)
ADDED = (401, 401, 403, 403, 201, 201)
# What is managed by API beside cards: its name in a path, its model, a new one.
MANAGED = (
    ("people", "person", {"name": "Ben"}),
    ("groups", "peoplegroup", {"name": "guards"}),
    ("zones", "zone", {"name": "attic"}),
    ("schedules", "schedule", {"name": "nights", "windows": []}),
    ("holidays", "holiday", {"name": "New Year", "date": "2027-01-01"}),
    ("rules", "rule", {"group": None, "every_door": True}),
    ("visits", "visit", NEW | {"ends_at": "2030-01-01T00:00:00Z"}),
)


def managed_rows() -> Iterator[Row]:
    for noun, model, new in MANAGED:
        start, one = f"/api/policies/{noun}", f"/api/policies/{noun}/{{policies.{model}}}"
        yield Row("GET", start, OPERATOR)
        yield Row("POST", start, ADDED, body=new)
        yield Row("GET", one, OPERATOR)
        yield Row("PATCH", one, MANAGER, body={"name": "another"})
        yield Row("DELETE", one, MANAGER)


API = [
    Row("POST", "/api/access/check", NONE, (200, 403, 403), SCAN),
    Row("POST", "/api/sensors/ingest", NONE, (202, 202, 403), READING),
    Row("POST", "/api/sensors/ingest/environmental", NONE, (202, 202, 403), READING),
    Row("GET", "/api/access/logs", VIEWER),
    Row("GET", f"/api/access/logs?card_uid={ANNA_UID}", (401, 401, 403, 200, 200, 200)),
    Row("GET", f"/api/access/logs?search={ANNA_UID}", (401, 401, 403, 200, 200, 200)),
    Row("GET", f"/api/sensors/readings?device_id=kitchen&{RANGE}", VIEWER),
    Row("GET", "/api/sensors/latest/kitchen", VIEWER),
    Row("GET", "/api/devices", VIEWER),
    Row("GET", "/api/policies/cards", (401, 401, 403, 200, 200, 200)),
    Row("POST", "/api/policies/cards", (401, 401, 403, 403, 201, 201), body=NEW),
    Row("GET", CARD, (401, 401, 403, 200, 200, 200)),
    Row("PATCH", CARD, (401, 401, 403, 403, 200, 200), body={"active": False}),
    Row("DELETE", CARD, (401, 401, 403, 403, 200, 200)),
    *managed_rows(),
    Row("GET", "/api/policies/lockdown", OPERATOR),
    Row("PATCH", "/api/policies/lockdown", OPERATOR, body={"house": True}),
    Row("POST", "/api/auth/token", NONE, body=WRONG),
    Row("POST", "/api/auth/token/refresh", NONE, body={"refresh": "x"}),
    Row("POST", "/api/auth/token/revoke", NONE, body={"refresh": "x"}),
    Row("GET", "/api/schema", ALL),
    Row("GET", "/metrics", VIEWER),
    Row("GET", "/health", ALL, (200, 200, 200)),
    Row("GET", "/health/live", ALL, (200, 200, 200)),
    Row("GET", "/health/ready", ALL, (200, 200, 200)),
    Row("GET", "/api/no-such-thing", (404,) * 6),
]
STAFF = (302, 302, 200, 200, 200, 200)
PAGES = [
    Row("GET", "/docs", ALL),
    Row("GET", "/redoc", ALL),
    Row("GET", "/", STAFF),
    Row("GET", "/access", STAFF),
    Row("GET", "/history", STAFF),
    Row("GET", "/history/data", STAFF),
    Row("GET", "/history.csv", STAFF),
    Row("GET", "/devices", STAFF),
    Row("GET", "/system", (302, 302, 403, 200, 200, 200)),
    Row("GET", "/sign-in", (200, 200, 302, 302, 302, 302)),
    Row("POST", "/sign-in", (200, 200, 302, 302, 302, 302), form=WRONG),
    Row("POST", "/sign-out", (302,) * 6),
    Row("GET", "/second-factor", STAFF),
    Row("POST", "/second-factor", STAFF, form={"step": "end"}),
    Row("GET", "/admin/", STAFF),
    Row("GET", "/admin/login/", (200, 200, 302, 302, 302, 302)),
    Row("POST", "/admin/login/", (200,) * 6, form=WRONG),
    Row("POST", "/admin/logout/", (302,) * 6),
    Row("GET", "/admin/password_change/", STAFF),
    Row("POST", "/admin/password_change/", STAFF),
    Row("GET", "/admin/password_change/done/", STAFF),
    Row("GET", "/admin/jsi18n/", STAFF),
    Row("GET", "/admin/r/1/1/", (302, 302, 404, 404, 404, 404)),
    Row("GET", "/admin/no-such-thing", (302, 302, 404, 404, 404, 404)),
    Row(
        "GET",
        "/admin/autocomplete/?app_label=policies&model_name=card&field_name=person",
        (302, 302, 403, 200, 200, 200),
    ),
    Row("GET", "/admin/access/", STAFF),
    Row("GET", "/admin/sensors/", STAFF),
    Row("GET", "/admin/policies/", STAFF),
    Row("GET", "/admin/auth/", (302, 302, 404, 404, 404, 200)),
    Row("GET", "/admin/auth/user/{auth.user}/password/", (302, 302, 403, 403, 403, 200)),
    Row("POST", "/admin/auth/user/{auth.user}/password/", (302, 302, 403, 403, 403, 200)),
]

# From which role on somebody may view, add, change and delete in the console; "-" is nobody.
CONSOLE = {
    "access.accesslog": ("viewer", "-", "-", "-"),
    "access.doorevent": ("operator", "-", "-", "-"),
    "sensors.sensorreading": ("viewer", "-", "-", "-"),
    "policies.person": ("operator", "manager", "manager", "manager"),
    "policies.card": ("operator", "manager", "manager", "manager"),
    "policies.peoplegroup": ("operator", "manager", "manager", "manager"),
    "policies.zone": ("operator", "manager", "manager", "manager"),
    "policies.rule": ("operator", "manager", "manager", "manager"),
    "policies.schedule": ("operator", "manager", "manager", "manager"),
    "policies.holiday": ("operator", "manager", "manager", "manager"),
    "policies.door": ("operator", "-", "manager", "-"),
    "policies.house": ("operator", "-", "-", "-"),
    "policies.policychange": ("operator", "-", "-", "-"),
    "policies.visit": ("operator", "manager", "manager", "manager"),
    "policies.device": ("viewer", "-", "owner", "-"),
    "policies.certificate": ("owner", "-", "owner", "-"),
    "auth.user": ("owner", "owner", "owner", "owner"),
    "auth.group": ("owner", "-", "-", "-"),
}


def console_rows() -> Iterator[Row]:
    for model, (view, add, change, delete) in CONSOLE.items():
        start, one = f"/admin/{model.replace('.', '/')}/", f"{{{model}}}"
        yield Row("GET", start, from_role(view))
        yield Row("GET", f"{start}add/", from_role(add))
        yield Row("POST", f"{start}add/", from_role(add))
        yield Row("GET", f"{start}{one}/change/", from_role(view))
        saved = 302 if model == "policies.certificate" else 200  # it has no field to fill in
        yield Row("POST", f"{start}{one}/change/", from_role(change, saved))
        yield Row("GET", f"{start}{one}/delete/", from_role(delete))
        yield Row("GET", f"{start}{one}/history/", from_role(view))
        yield Row("GET", f"{start}{one}/", (302,) * 6)  # to …/change/
        yield Row("POST", f"{start}{one}/delete/", from_role(delete, 302), form={"post": "yes"})


def from_role(role: str, done: int = 200) -> tuple[int, ...]:
    """What PEOPLE are told; the first two are sent to sign in."""
    rank = PEOPLE.index(role) if role != "-" else len(PEOPLE)
    return (302, 302, *(done if place >= rank else 403 for place in range(2, len(PEOPLE))))


LOG, DOOR = "/admin/access/accesslog", "/admin/policies/door/{policies.door}"
WAIT = f"{LOG}/wait/{{policies.door}}/"
FORMS = [  # of the console, beside what Django has for every model
    ("GET", f"{LOG}/csv/", "viewer", 200),
    ("POST", f"{LOG}/wait/", "manager", 302, {"door": "front-door"}),
    ("GET", f"{WAIT}?since=0", "manager", 200),
    ("POST", f"{WAIT}?since=0", "manager", 200),
    ("GET", f"{WAIT}state/?since=0", "manager", 200),
    ("GET", f"{DOOR}/entry/", "operator", 200),
    ("POST", f"{DOOR}/lockdown/on/", "operator", 302),
    ("POST", "/admin/policies/zone/{policies.zone}/lockdown/on/", "operator", 302),
    ("POST", "/admin/policies/house/lockdown/on/?asks", "operator", 200),
    ("POST", "/admin/policies/house/lockdown/on/", "operator", 302, {"sure": "yes"}),
    ("POST", "/admin/policies/card/{policies.card}/status/block/", "manager", 302),
]


def form_rows() -> Iterator[Row]:
    asked = {path for method, path, *_ in FORMS if method == "GET"}
    for method, path, role, done, *form in FORMS:
        yield Row(method, path, from_role(role, done), form=form[0] if form else {})
        if path not in asked:  # a button: there is no page to look at
            yield Row("GET", path, (302, 302, 405, 405, 405, 405))


TABLE = [*API, *PAGES, *console_rows(), *form_rows()]


KEY = re.compile(r"{([a-z.]+)}")


@pytest.fixture
def keys(door: Device, sensor: Device, annas_card: Card) -> dict[str, str]:
    """The key of one row of everything that the console shows, by model."""
    at = timezone.now()
    evidence = {"timestamp": at, "device_id": "front-door", "log_id": uuid.uuid4()}
    rows: list[Model] = [
        AccessLog.objects.create(card_uid=ANNA_UID, granted=True, latency_ms=1, **evidence),
        DoorEvent.objects.create(event="closed", fields={}, **evidence),
        SensorReading.objects.create(
            id=uuid.uuid4(), time=at, received_at=at, device_id="kitchen", temperature=21.5
        ),
        Person.objects.create(name="somebody without a card"),
        annas_card,
        PeopleGroup.objects.create(name="cleaners"),
        Zone.objects.create(name="cellar"),
        Visit.objects.create(card=annas_card, ends_at=at + dt.timedelta(days=1)),
        Rule.objects.create(name="nobody anywhere"),
        Schedule.objects.create(name="office hours"),
        Holiday.objects.create(name="Christmas", date="2026-12-25"),
        House.current(),
        door.door,
        door,
        Certificate.objects.get(device=door),
        User.objects.create_user("somebody"),
        Group.objects.get(name="viewer"),
        PolicyChange.objects.filter(kind="card").latest("number"),
    ]
    return {row._meta.label_lower: quote(str(row.pk)) for row in rows}


@pytest.fixture
def client_of(db: None, door: Device, sensor: Device) -> Callable[[str], JsonClient]:
    """The client of anybody in WHO. Who signs in may also enter the console."""

    def signed_in(role: str, *, is_active: bool = True) -> JsonClient:
        user = User.objects.create_user(f"the-{role}", is_staff=True)
        user.groups.add(Group.objects.get(name=role))
        client = JsonClient(REMOTE_ADDR=ELSEWHERE)
        client.force_login(user)
        User.objects.filter(pk=user.pk).update(is_active=is_active)
        return client

    def make(who: str) -> JsonClient:
        if who == "nobody":
            return JsonClient(REMOTE_ADDR=ELSEWHERE)
        if who == "inactive":
            return signed_in("owner", is_active=False)
        if who == "disabled":
            device = Device.objects.create(device_id="old-door", kind="door", enabled=False)
            Door.objects.create(device=device)
            certify(device, b"its certificate")
            return device_client(b"its certificate")
        if who in DEVICES:
            return device_client(f"{who} certificate".encode())
        return signed_in(who)

    return make


def answer_of(row: Row, client: JsonClient, keys: dict[str, str]) -> HttpResponse:
    """The answer, and everything as it was before."""
    path = KEY.sub(lambda found: keys[found[1]], row.path)
    if client.defaults.get("smarthome.face") == "device":
        return row.ask(client, path)  # nothing but records, in transactions of their own
    cookies = client.cookies.output()
    with transaction.atomic():
        answer = row.ask(client, path)
        transaction.set_rollback(True)
    client.cookies = SimpleCookie(cookies.replace("Set-Cookie: ", ""))
    return answer


@pytest.mark.parametrize("who", WHO)
def test_each_is_told_what_the_table_says(who, client_of, keys, sensor_client, unlimited):
    client = client_of(who)
    sensor_client.send("POST", "/api/sensors/ingest", READING)

    told = {str(row): answer_of(row, client, keys).status_code for row in TABLE}

    wanted = {str(row): row.wanted(who) for row in TABLE}
    assert [
        f"{row}: {told[row]}, not {wanted[row]}" for row in told if told[row] != wanted[row]
    ] == []


@pytest.mark.parametrize("who", PEOPLE)
def test_without_is_staff_the_console_is_closed(who, client_of, keys):
    client = client_of(who)
    User.objects.update(is_staff=False)

    for row in console_rows():
        answer = answer_of(row, client, keys)
        assert (answer.status_code, answer["Location"][:13]) == (302, "/admin/login/"), row


@pytest.mark.parametrize("who", WHO)
def test_every_other_method_of_the_api_is_refused(who, client_of, keys):
    client = client_of(who)
    listed = {(row.method, row.path) for row in API}

    for path in dict.fromkeys(row.path for row in API if "?" not in row.path):
        for method in METHODS:
            if (method, path) not in listed:
                answer = answer_of(Row(method, path, (), ()), client, keys)
                assert answer.status_code in (401, 403, 404, 405), (method, path)


# Actions on a list of the console, and from which role on they do anything.
ACTIONS = [
    ("policies.card", "revoke", "manager"),
    ("policies.card", "block", "manager"),
    ("policies.card", "delete_selected", "manager"),
    ("policies.person", "suspend", "manager"),
    ("policies.person", "delete_selected", "manager"),
    ("policies.door", "lock_down", "operator"),
    ("policies.zone", "lock_down", "operator"),
    ("policies.rule", "delete_selected", "manager"),
    ("policies.schedule", "delete_selected", "manager"),
    ("policies.holiday", "delete_selected", "manager"),
    ("policies.device", "revoke_certificates", "owner"),
    ("policies.device", "delete_selected", "-"),
    ("policies.certificate", "revoke", "owner"),
    ("policies.certificate", "delete_selected", "-"),
    ("access.accesslog", "delete_selected", "-"),
    ("policies.policychange", "delete_selected", "-"),
    ("access.doorevent", "delete_selected", "-"),
    ("sensors.sensorreading", "delete_selected", "-"),
    ("auth.user", "delete_selected", "owner"),
]


@pytest.mark.parametrize("who", PEOPLE)
def test_an_action_of_the_console_does_something_only_from_its_role_on(who, client_of, keys):
    client = client_of(who)

    for model, action, role in ACTIONS:
        before = everything()
        form = {"action": action, "_selected_action": unquote(keys[model]), "post": "yes"}
        with transaction.atomic():
            client.post(f"/admin/{model.replace('.', '/')}/", form)
            changed = everything() != before
            transaction.set_rollback(True)
        assert changed is (from_role(role)[PEOPLE.index(who)] == 200), (model, action)


def everything() -> list[Any]:
    """All that the console shows."""
    return [list(model.objects.order_by("pk").values()) for model in admin.site._registry]


def patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    """Every route of a table of URLs, with what answers there."""
    for pattern in resolver.url_patterns:
        route = prefix + str(pattern.pattern)
        if isinstance(pattern, URLResolver):
            yield from patterns(pattern, route)
        else:
            yield route.replace("/^", "/"), pattern


@pytest.mark.parametrize("urlconf", ["smarthome.urls", "smarthome.device_urls"])
def test_no_url_and_no_method_is_missing_from_the_table(urlconf):
    asked = {
        (resolve(route_of(row), urlconf).route, row.method)
        for row in TABLE
        if is_route(row, urlconf)
    }

    missing = set()
    for route, pattern in patterns(get_resolver(urlconf)):
        view = getattr(pattern.callback, "cls", None)  # of REST framework
        methods = {m.upper() for m in ("get", "post", "put", "patch", "delete") if hasattr(view, m)}
        missing |= {(route, method) for method in methods or {"GET"}} - asked

    assert missing - {("admin/logout/", "GET"), ("sign-out", "GET")} == set()


def route_of(row: Row) -> str:
    """The path, with some key in it."""
    some = str(uuid.UUID(int=1)) if "{policies.visit}" in row.path else "1"
    return KEY.sub(some, row.path.partition("?")[0])


def is_route(row: Row, urlconf: str) -> bool:
    try:
        resolve(route_of(row), urlconf)
    except Resolver404:
        return False
    return True


def test_the_console_shows_nothing_that_the_table_does_not_know():
    shown = {model._meta.label_lower for model in admin.site._registry}

    assert shown == set(CONSOLE)
