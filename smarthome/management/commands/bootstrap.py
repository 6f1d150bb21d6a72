"""The first start, and every later one: everything the house needs, made if it is missing."""

import secrets
import sqlite3
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group, User
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import OperationalError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from policies import pki
from sensors import rollups
from smarthome import database_roles
from smarthome.names import server_names

KEPT_COPIES = 3


class Command(BaseCommand):
    help = "Make what the house needs: database, CA, server certificate, first owner. Idempotent."

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self.migrate()
            self.share_out()
            self.certify()
        except (OSError, OperationalError, pki.PkiError) as error:
            raise CommandError(
                f"{error}. Free some space or give this user {settings.DATA_DIR}, then start again."
            ) from error
        self.name_owner()
        rollups.follow_zone()
        self.stdout.write(
            f"The building's time zone is {settings.TIME_ZONE} (TIME_ZONE changes it)."
        )

    def migrate(self) -> None:
        """Bring the database up to date; a filled SQLite database is copied first."""
        settings.DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
        executor = MigrationExecutor(connection)
        if not executor.migration_plan(executor.loader.graph.leaf_nodes()):
            return
        if executor.loader.applied_migrations and connection.vendor == "sqlite":
            self.stdout.write(f"Copied the database to {copy_database(settings.DATA_DIR)}.")
        call_command("migrate", interactive=False, verbosity=0)
        self.stdout.write("The database is up to date.")

    def share_out(self) -> None:
        """What the app, maintenance and history may do in the database."""
        if database_roles.arrange(settings.APP_DATABASE_URL, settings.MAINTENANCE_DATABASE_URL):
            self.stdout.write("Each database role may do what it needs.")

    def certify(self) -> None:
        """The CA once, the server's certificate whenever it is needed."""
        folder = settings.DATA_DIR / "pki"
        if pki.create_ca(folder):
            self.stdout.write(f"Made the house's certificate authority in {folder}.")
        if pki.ensure_server_certificate(folder, server_names(), timezone.now()):
            self.stdout.write("Issued the server's certificate.")

    def name_owner(self) -> None:
        """The first user, `admin`; a password that we make is shown this once."""
        if User.objects.exists():
            return
        given = settings.ADMIN_PASSWORD
        password = given or secrets.token_urlsafe(12)
        admin = User.objects.create_superuser("admin", password=password)
        admin.groups.add(Group.objects.get(name="owner"))
        if given:
            self.stdout.write("Sign in as admin with the password of ADMIN_PASSWORD.")
        else:
            self.stdout.write(f"Sign in as admin with the password {password} (shown only now).")


def copy_database(data_dir: Path) -> Path:
    """A consistent copy of the SQLite database, made while others may use it; the last 3 stay."""
    folder = data_dir / "before-migrations"
    folder.mkdir(mode=0o700, exist_ok=True)
    target = folder / f"house-{timezone.now():%Y%m%d-%H%M%S}.sqlite3"
    source = sqlite3.connect(settings.DATABASES["default"]["NAME"])
    try:
        source.execute("VACUUM INTO ?", (str(target),))
    finally:
        source.close()
    target.chmod(0o600)
    for old in sorted(folder.glob("house-*.sqlite3"))[:-KEPT_COPIES]:
        old.unlink()
    return target
