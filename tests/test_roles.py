"""Who may ask what: every URL of policies and access against one table."""

import pytest
from django.contrib.auth.models import AnonymousUser, Group, Permission, User
from django.urls import URLPattern

from access.urls import urlpatterns as access_urls
from policies.authentication import CERTIFICATE_KEY
from policies.models import Card
from policies.roles import Role, grant_permissions, role_of
from policies.urls import urlpatterns as policies_urls
from tests.conftest import ANNA_UID, JsonClient

CARD = f"/api/policies/cards/{ANNA_UID}"
NEW = {"card_uid": "04:11:22:33", "user_name": "Ben"}
WRONG_SIGN_IN = {"username": "x", "password": "x"}

# What nobody, an outsider, a viewer, an operator, a manager and an owner are told.
WHO = ("nobody", "outsider", "viewer", "operator", "manager", "owner")
TABLE = [
    ("token-create", "POST", "/api/auth/token", WRONG_SIGN_IN, (401,) * 6),
    ("token-refresh", "POST", "/api/auth/token/refresh", {"refresh": "x"}, (401,) * 6),
    ("token-revoke", "POST", "/api/auth/token/revoke", {"refresh": "x"}, (401,) * 6),
    ("card-list", "GET", "/api/policies/cards", None, (401, 403, 403, 200, 200, 200)),
    ("card-list", "POST", "/api/policies/cards", NEW, (401, 403, 403, 403, 201, 201)),
    ("card-detail", "GET", CARD, None, (401, 403, 403, 200, 200, 200)),
    ("card-detail", "PATCH", CARD, {"active": True}, (401, 403, 403, 403, 200, 200)),
    ("card-detail", "DELETE", CARD, None, (401, 403, 403, 403, 200, 200)),
    ("device-list", "GET", "/api/devices", None, (401, 403, 200, 200, 200, 200)),
    ("access-log-list", "GET", "/api/access/logs", None, (401, 403, 200, 200, 200, 200)),
    ("access-check", "POST", "/api/access/check", {"card_uid": ANNA_UID}, (401,) * 6),
]


@pytest.mark.parametrize("place", range(len(WHO)), ids=WHO)
@pytest.mark.parametrize(("name", "method", "path", "body", "statuses"), TABLE)
def test_each_role_may_do_what_the_table_says(
    client_of_role, nobody, annas_card, place, name, method, path, body, statuses
):
    client = nobody if WHO[place] == "nobody" else client_of_role(WHO[place])

    answer = client.send(method, path, body)

    assert answer.status_code == statuses[place]
    if answer.status_code >= 400:
        code = {401: "AUTHENTICATION_ERROR", 403: "AUTHORIZATION_ERROR"}[answer.status_code]
        assert answer.json()["error"]["code"] == code


def test_no_url_is_missing_from_the_table():
    names = {url.name for url in (*policies_urls, *access_urls) if isinstance(url, URLPattern)}

    assert names == {row[0] for row in TABLE}


@pytest.mark.parametrize(("name", "method", "path", "body", "statuses"), TABLE)
def test_a_device_finds_only_its_own_questions_on_the_device_face(
    door_client, annas_card, name, method, path, body, statuses
):
    answer = door_client.send(method, path, body)

    assert answer.status_code == (200 if name == "access-check" else 404)


def test_a_certificate_is_nobody_among_people(door, annas_card):
    client = JsonClient(**{CERTIFICATE_KEY: b"door certificate"})

    assert client.send("GET", "/api/devices").status_code == 401
    assert client.send("GET", "/api/policies/cards").status_code == 401


def test_a_header_is_no_certificate(nobody, door, annas_card):
    for name in ("SMARTHOME_CLIENT_CERTIFICATE", "smarthome.client_certificate"):
        answer = nobody.send(
            "POST", "/api/access/check", {"card_uid": ANNA_UID}, headers={name: "door certificate"}
        )
        assert answer.status_code == 401


def test_a_user_who_was_deactivated_is_nobody(viewer):
    User.objects.update(is_active=False)

    assert viewer.send("GET", "/api/devices").status_code == 401


def test_a_role_taken_away_ends_with_the_next_request(manager, annas_card):
    before = manager.send("GET", "/api/policies/cards")

    User.objects.get().groups.clear()

    assert (before.status_code, manager.send("GET", "/api/policies/cards").status_code) == (
        200,
        403,
    )


def test_writing_by_session_needs_a_csrf_token(user_of_role, annas_card):
    client = JsonClient(enforce_csrf_checks=True)
    client.force_login(user_of_role("manager"))

    answer = client.send("DELETE", CARD)

    assert answer.status_code == 403
    assert Card.objects.exists()


def test_the_highest_of_several_roles_counts(user_of_role):
    user = user_of_role("viewer")
    user.groups.add(Group.objects.get(name="manager"))

    assert role_of(user) is Role.MANAGER


@pytest.mark.parametrize("user", [None, AnonymousUser()])
def test_nobody_has_no_role(db, user):
    assert role_of(user) is None


def test_a_superuser_is_an_owner_unless_deactivated(db):
    user = User.objects.create_superuser("root")
    assert role_of(user) is Role.OWNER

    user.is_active = False

    assert role_of(user) is None


def console(role: str) -> set[str]:
    found = Permission.objects.filter(group__name=role)
    return {f"{p.content_type.app_label}.{p.codename}" for p in found}


def test_each_role_may_do_in_the_console_what_the_one_below_may_and_more(db):
    viewer, operator, manager, owner = (
        console(role) for role in ("viewer", "operator", "manager", "owner")
    )

    assert viewer == {"policies.view_device", "sensors.view_sensorreading"}
    assert viewer < operator < manager < owner
    assert "access.view_accesslog" in operator
    assert not any(".add_" in p or ".change_" in p or ".delete_" in p for p in operator)
    assert {"policies.change_card", "policies.delete_person", "policies.add_rule"} <= manager
    assert not any(p.startswith("auth.") or "certificate" in p for p in manager)
    assert {"policies.change_device", "policies.change_certificate", "auth.add_user"} <= owner
    assert not any("accesslog" in p and "view" not in p for p in owner)


def test_what_an_owner_granted_by_hand_outlives_a_migration(db):
    extra = Permission.objects.get(codename="view_logentry")
    Group.objects.get(name="viewer").permissions.add(extra)

    grant_permissions()

    assert "admin.view_logentry" in console("viewer")


def test_a_group_that_an_owner_deleted_stays_deleted(db):
    Group.objects.get(name="viewer").delete()

    grant_permissions()

    assert not Group.objects.filter(name="viewer").exists()
