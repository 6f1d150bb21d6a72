"""Who may do what in the database. PostgreSQL enforces it, whatever the program does.

The role of `MIGRATION_DATABASE_URL` owns the tables. The role of `DATABASE_URL`, the app, keeps
policies and adds evidence, but can neither change nor remove evidence. The role of
`MAINTENANCE_DATABASE_URL` removes what is too old and blanks names (smarthome/forgetting.py).
A fourth, named like the owner with `_history` behind it, reads history with tools of its own
(Grafana, psql). `bootstrap` arranges all this; with one role for everything there is nothing to do.
"""

from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote, urlsplit

from django.db import connection, transaction
from psycopg import sql

MIGRATIONS = "django_migrations"
LOGS = ("access_logs", "door_events", "sensor_readings")
EVIDENCE = (*LOGS, "policy_changes")
HISTORY = (
    *LOGS,
    *(f"sensor_readings_{step}" for step in ("1m", "15m", "1h", "1d")),
)
OUTGROWN = (*HISTORY, "sensor_accepted_readings", "realtime_feedevent")  # old rows of it go
# Columns that hold people's names, which maintenance may blank.
NAMES = {
    "access_logs": "user_name",
    "policy_changes": "label, person, before, after",
    "realtime_feedevent": "data",
    "django_admin_log": "object_repr, change_message",
}
HISTORY_SETTINGS = {"default_transaction_read_only": "on", "statement_timeout": "30s"}

OWN_TABLES = """
    SELECT relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')
      AND pg_has_role(relowner, 'USAGE')
"""


def arrange(app_url: str, maintenance_url: str) -> bool:
    """Make the roles that are missing, and grant each what it needs and no more.

    Runs as the owner. False where there is one role for everything.
    """
    owner = connection.settings_dict["USER"]
    app, maintenance = _user(app_url), _user(maintenance_url)
    if connection.vendor != "postgresql" or app in ("", owner):
        return False
    history = f"{owner}_history"
    passwords = {app: _password(app_url), maintenance: _password(maintenance_url), history: ""}
    passwords.pop(owner, None)
    with transaction.atomic(), connection.cursor() as cursor:
        for role, password in passwords.items():
            _make(cursor, role, password)
        _grant(cursor, app, maintenance, history)
    return True


def _make(cursor: Any, role: str, password: str) -> None:
    cursor.execute("SELECT FROM pg_roles WHERE rolname = %s", [role])
    if cursor.fetchone() is not None:
        return
    name = sql.Identifier(role)
    cursor.execute(sql.SQL("CREATE ROLE {} LOGIN").format(name))
    if password:
        # Encrypted here, so that no log of the server can hold it.
        encrypt = cursor.connection.pgconn.encrypt_password
        secret = encrypt(password.encode(), role.encode(), b"scram-sha-256").decode()
        cursor.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(name, sql.Literal(secret)))


def _grant(cursor: Any, app: str, maintenance: str, history: str) -> None:
    cursor.execute(OWN_TABLES)
    tables = {name for (name,) in cursor.fetchall()}
    plain = tables - {MIGRATIONS}
    grants = [
        ("SELECT, INSERT", plain, app),
        ("UPDATE, DELETE", plain - {*EVIDENCE}, app),
        ("SELECT", {MIGRATIONS}, app),
        ("SELECT", tables & {*HISTORY}, history),
    ]
    if maintenance != app:  # else the app could remove evidence after all
        grants += [
            ("SELECT", tables, maintenance),
            ("DELETE", tables & {*OUTGROWN}, maintenance),
            *((f"UPDATE ({columns})", {table}, maintenance) for table, columns in NAMES.items()),
            ("INSERT", {"policy_changes"}, maintenance),  # that it forgot, and who asked for it
        ]
    everybody = {app, maintenance, history} - {connection.settings_dict["USER"]}
    _run(cursor, "GRANT USAGE ON SCHEMA public TO {roles}", roles=_names(everybody))
    _run(cursor, "REVOKE ALL ON {all} FROM {roles}", all=_names(tables), roles=_names(everybody))
    for privileges, names, role in grants:
        statement = f"GRANT {privileges} ON {{tables}} TO {{role}}"
        _run(cursor, statement, tables=_names(names), role=sql.Identifier(role))
    _run(cursor, "GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {app}", app=sql.Identifier(app))
    for name, value in HISTORY_SETTINGS.items():
        statement = f"ALTER ROLE {{role}} SET {name} TO {{value}}"
        _run(cursor, statement, role=sql.Identifier(history), value=sql.Literal(value))


def _user(url: str) -> str:
    return unquote(urlsplit(url).username or "")


def _password(url: str) -> str:
    return unquote(urlsplit(url).password or "")


def _names(names: Iterable[str]) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Identifier, sorted(names)))


def _run(cursor: Any, statement: Any, **parts: sql.Composable) -> None:
    cursor.execute(sql.SQL(statement).format(**parts))
