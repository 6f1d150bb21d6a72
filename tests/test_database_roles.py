"""What each database role may do; PostgreSQL is asked, not the program."""

import datetime as dt
import uuid

import pytest
from django.db import ProgrammingError, connection
from django.utils import timezone
from psycopg.errors import InsufficientPrivilege

from access.models import AccessLog
from smarthome import database_roles, forgetting, processes
from smarthome.database_roles import EVIDENCE, LOGS

APP, UPKEEP, HISTORY = "the_app", "the_upkeep", "house_history"
APP_URL = f"postgres://{APP}:a%20secret@/house"
UPKEEP_URL = f"postgres://{UPKEEP}@/house"

on_postgresql = pytest.mark.skipif(
    connection.vendor != "postgresql", reason="SQLite has no roles: the production pass runs it"
)


@pytest.fixture
def arranged(db):
    assert connection.settings_dict["USER"] == "house"
    assert database_roles.arrange(APP_URL, UPKEEP_URL)


def may(role: str, statement: str) -> bool:
    """Whether the role may run a statement; its effect is undone."""
    with connection.cursor() as cursor:
        cursor.execute("SAVEPOINT before")
        try:
            cursor.execute(f"SET LOCAL ROLE {role}")
            cursor.execute(statement)
        except ProgrammingError as error:
            if not isinstance(error.__cause__, InsufficientPrivilege):
                raise
            return False
        finally:
            cursor.execute("ROLLBACK TO SAVEPOINT before")
    return True


@on_postgresql
@pytest.mark.parametrize("table", LOGS)
@pytest.mark.parametrize(
    ("statement", "roles"),
    [
        ("SELECT count(*) FROM {table}", {APP, UPKEEP, HISTORY}),
        ("UPDATE {table} SET device_id = 'another'", set()),
        ("DELETE FROM {table}", {UPKEEP}),
        ("TRUNCATE {table}", set()),
        ("DROP TABLE {table}", set()),
    ],
)
def test_evidence_is_added_to_and_nothing_else(arranged, table, statement, roles):
    sql = statement.format(table=table)

    assert {name for name in (APP, UPKEEP, HISTORY) if may(name, sql)} == roles


@on_postgresql
@pytest.mark.parametrize(
    ("statement", "roles"),
    [
        ("SELECT count(*) FROM policy_changes", {APP, UPKEEP}),
        (
            "INSERT INTO policy_changes (timestamp, actor, source, address, action, kind, key,"
            " label, person) VALUES (now(), '', '', '', '', '', '', '', '')",
            {APP, UPKEEP},
        ),
        ("UPDATE policy_changes SET actor = 'another'", set()),
        ("UPDATE policy_changes SET timestamp = now()", set()),
        ("UPDATE policy_changes SET action = 'added'", set()),
        (
            "UPDATE policy_changes SET label = '', person = '', before = '{}', after = '{}'",
            {UPKEEP},
        ),
        ("DELETE FROM policy_changes", set()),
        ("TRUNCATE policy_changes", set()),
        ("DROP TABLE policy_changes", set()),
    ],
)
def test_the_audit_log_is_added_to_and_nobody_removes_from_it(arranged, statement, roles):
    assert {name for name in (APP, UPKEEP, HISTORY) if may(name, statement)} == roles


def test_the_audit_log_is_evidence():
    assert set(EVIDENCE) - set(LOGS) == {"policy_changes"}


@on_postgresql
@pytest.mark.parametrize(
    ("statement", "roles"),
    [
        ("UPDATE access_logs SET user_name = ''", {UPKEEP}),
        ("UPDATE access_logs SET granted = true", set()),
        ("UPDATE realtime_feedevent SET data = '{}'", {APP, UPKEEP}),
        ("UPDATE realtime_feedevent SET type = ''", {APP}),
        ("UPDATE django_admin_log SET object_repr = '', change_message = ''", {APP, UPKEEP}),
        ("UPDATE django_admin_log SET action_flag = 1", {APP}),
        ("UPDATE policies_card SET label = 'x'", {APP}),
        ("DELETE FROM policies_card", {APP}),
        ("TRUNCATE policies_card", set()),
        ("SELECT * FROM auth_user", {APP, UPKEEP}),
        ("SELECT * FROM sensor_readings_1h", {APP, UPKEEP, HISTORY}),
        ("DELETE FROM sensor_accepted_readings", {APP, UPKEEP}),
        ("SELECT * FROM django_migrations", {APP, UPKEEP}),
        ("INSERT INTO django_migrations (app, name, applied) VALUES ('a', 'b', now())", set()),
        ("CREATE TABLE a_table_of_my_own ()", set()),
    ],
)
def test_what_roles_may(arranged, statement, roles):
    assert {name for name in (APP, UPKEEP, HISTORY) if may(name, statement)} == roles


@on_postgresql
def test_the_app_does_its_work_under_its_role(arranged, door_client, annas_card, sensor_client):
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL ROLE {APP}")
        answer = door_client.send("POST", "/api/access/check", {"card_uid": annas_card.uid})
        reading = sensor_client.send("POST", "/api/sensors/ingest", {"temperature": 20})
        rows = AccessLog.objects.count()
        cursor.execute("RESET ROLE")

    assert answer.json()["granted"] is True
    assert reading.status_code == 202
    assert rows == 1


@on_postgresql
def test_a_password_is_kept_encrypted_and_history_has_limits(arranged):
    with connection.cursor() as cursor:
        cursor.execute("SELECT rolpassword FROM pg_authid WHERE rolname = %s", [APP])
        (kept,) = cursor.fetchone()
        cursor.execute("SELECT rolconfig FROM pg_roles WHERE rolname = %s", [HISTORY])
        (limits,) = cursor.fetchone()

    assert kept.startswith("SCRAM-SHA-256$")
    assert limits == ["default_transaction_read_only=on", "statement_timeout=30s"]


@on_postgresql
def test_arranging_again_changes_nothing(arranged):
    assert database_roles.arrange(APP_URL, UPKEEP_URL)

    assert may(APP, "SELECT * FROM policies_card")


@on_postgresql
def test_without_a_role_of_its_own_maintenance_does_not_lend_the_app_its_rights(db):
    database_roles.arrange(APP_URL, APP_URL)

    assert not may(APP, "DELETE FROM access_logs")


@pytest.mark.django_db
def test_with_one_role_there_is_nothing_to_arrange():
    url = f"postgres://{connection.settings_dict['USER']}@/house"

    assert database_roles.arrange(url, url) is False


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["manage.py", "bootstrap"], "MIGRATION_DATABASE_URL"),
        (["manage.py", "migrate", "policies"], "MIGRATION_DATABASE_URL"),
        (["manage.py", "forget_person", "Anna"], "MAINTENANCE_DATABASE_URL"),
        (["manage.py", "upkeep"], "MAINTENANCE_DATABASE_URL"),
        (["manage.py", "web"], "DATABASE_URL"),
        (["manage.py"], "DATABASE_URL"),
    ],
)
def test_a_command_works_under_the_role_it_needs(arguments, name):
    assert processes.database_setting(arguments) == name


@on_postgresql
def test_maintenance_forgets_names_under_its_role(arranged, annas_card, settings):
    settings.FORGET_NAMES_AFTER_DAYS = 1
    AccessLog.objects.create(
        log_id=uuid.uuid4(), timestamp=timezone.now(), device_id="front-door",
        card_uid=annas_card.uid, user_name="Anna", granted=True, reason="granted", latency_ms=1,
    )  # fmt: skip

    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL ROLE {UPKEEP}")
        forgotten = forgetting.forget_person("Anna")
        forgetting.forget_old(timezone.now() + dt.timedelta(days=2))
        cursor.execute("RESET ROLE")

    assert (forgotten.access_log, forgotten.audit_log) == (1, 2)
