"""What a role is. Who may ask what is one table: tests/security/test_role_matrix.py."""

import pytest
from django.contrib.auth.models import AnonymousUser, Group, Permission, User

from policies.authentication import CERTIFICATE_KEY
from policies.models import Card
from policies.roles import Role, grant_permissions, role_of
from tests.conftest import ANNA_UID, JsonClient

CARD = f"/api/policies/cards/{ANNA_UID}"


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

    assert viewer == {
        "policies.view_device",
        "sensors.view_sensorreading",
        "access.view_accesslog",
    }
    assert viewer < operator < manager < owner
    assert "policies.view_card" in operator
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
