"""A private PostgreSQL in DATA_DIR, for `make stack`: on a unix socket only, for one user only.

PostgreSQL refuses to run as root. Then it runs as Debian's user `postgres`, who may not enter
DATA_DIR: it is given its own folder open, as file descriptor 9, and knows it by that.
"""

import getpass
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

NAME = "smarthome"  # of the database and of the role that owns it
APP, MAINTENANCE = f"{NAME}_app", f"{NAME}_maintenance"
ROLES = (NAME, APP, MAINTENANCE, f"{NAME}_history")  # see smarthome/database_roles.py
UNPRIVILEGED = "postgres"
PORT = 5432  # in the socket's name
FD = 9
SETTINGS = {
    "listen_addresses": "",
    "port": str(PORT),
    "unix_socket_directories": ".",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",  # queries are short; compiling them takes longer than running them
}
TIMESCALE = {
    "shared_preload_libraries": "timescaledb",
    "timescaledb.telemetry_level": "off",  # nothing here calls out
    # At the start all its jobs come at once; PostgreSQL's own workers need places too.
    "timescaledb.max_background_workers": "16",
    "max_worker_processes": "28",
    "max_locks_per_transaction": "256",  # a query may touch every chunk
}


class Missing(Exception):
    """Why there can be no private database, in one sentence."""


@dataclass(frozen=True)
class PrivateDatabase:
    """`data_dir/postgres` and the programs that run it."""

    folder: Path
    programs: Path

    @classmethod
    def find(cls, data_dir: Path) -> "PrivateDatabase":
        """The one in a data folder, made if missing."""
        folder = data_dir / "postgres"
        version = folder / "PG_VERSION"
        wanted = version.read_text().strip() if version.exists() else ""
        available = programs()
        if wanted and wanted not in available:
            raise Missing(f"{folder} needs PostgreSQL {wanted}, which is not installed.")
        if not available:
            raise Missing("PostgreSQL is not installed; on Debian: apt install postgresql")
        newest = max(available, key=float)
        database = cls(folder, available[wanted or newest])
        if not wanted:
            database._make()
        database._name_roles()
        return database

    @staticmethod
    def socket(data_dir: Path) -> Path:
        return data_dir / "postgres" / f".s.PGSQL.{PORT}"

    @property
    def has_timescale(self) -> bool:
        told = told_by(self.programs / "pg_config", "--pkglibdir")
        return (Path(told or self.programs.parent / "lib") / "timescaledb.so").exists()

    def url(self, role: str) -> str:
        """The address of this database for a role."""
        scheme = "timescale" if self.has_timescale else "postgres"
        return f"{scheme}://{role}@{quote(str(self.folder), safe='')}/{NAME}"

    def command(self) -> str:
        """The shell lines that become the server."""
        chosen = SETTINGS | (TIMESCALE if self.has_timescale else {})
        options = [part for name, value in chosen.items() for part in ("-c", f"{name}={value}")]
        server = str(self.programs / "postgres")
        if os.geteuid() != 0:
            return shlex.join(["exec", server, "-D", str(self.folder), *options])
        drop = ["setpriv", f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}", "--init-groups"]
        become = shlex.join(["exec", *drop, server, "-D", f"/proc/self/fd/{FD}", *options])
        return f"exec {FD}<{shlex.quote(str(self.folder))}\ncd /\n{become}"

    def is_prepared(self) -> bool:
        """It answers, and has our roles and our database. OperationalError until it answers."""
        with psycopg.connect(
            host=str(self.folder), port=PORT, user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            name = sql.Identifier(NAME)
            known = connection.execute("SELECT rolname FROM pg_roles").fetchall()
            for role in {*ROLES} - {found for (found,) in known}:
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(role)))
            # The owner says what the others may do, and for how long history may be read.
            connection.execute(sql.SQL("ALTER ROLE {} CREATEDB CREATEROLE").format(name))
            if not connection.execute(
                "SELECT 1 FROM pg_database WHERE datname = %s", [NAME]
            ).fetchone():
                connection.execute(sql.SQL("CREATE DATABASE {0} OWNER {0}").format(name))
        return True

    def _make(self) -> None:
        """`initdb`. Only this user of the machine may connect, as the kernel tells the server."""
        draft = self.folder.with_suffix(".new")
        shutil.rmtree(draft, ignore_errors=True)  # of a run that was cut off
        draft.mkdir(mode=0o700)
        if os.geteuid() == 0:
            try:
                shutil.chown(draft, UNPRIVILEGED, UNPRIVILEGED)
            except LookupError:
                raise Missing(
                    f"PostgreSQL cannot run as root and there is no user {UNPRIVILEGED!r}."
                ) from None
        folder = os.open(draft, os.O_RDONLY)
        try:
            done = subprocess.run(  # noqa: S603  # PostgreSQL's own program
                [
                    self.programs / "initdb",
                    f"--pgdata=/proc/self/fd/{folder}",
                    "--username=postgres",
                    "--auth=peer",
                    "--encoding=UTF8",
                    "--locale=C.UTF-8",
                ],
                cwd="/",
                pass_fds=[folder],
                user=UNPRIVILEGED if os.geteuid() == 0 else None,
                group=UNPRIVILEGED if os.geteuid() == 0 else None,
                capture_output=True,
                text=True,
                check=False,
            )
        finally:
            os.close(folder)
        if done.returncode:
            raise Missing(f"initdb failed: {done.stderr.strip()}")
        # It exists and keeps its owner, and so does pg_ident.conf.
        (draft / "pg_hba.conf").write_text("local all all peer map=house\n")
        draft.rename(self.folder)

    def _name_roles(self) -> None:
        """Which roles this user of the machine may be."""
        who = getpass.getuser()
        lines = [f"house {who} {role}\n" for role in ("postgres", *ROLES)]
        (self.folder / "pg_ident.conf").write_text("".join(lines))


def programs() -> dict[str, Path]:
    """The folders of PostgreSQL's programs by version, Debian's and those of the PATH."""
    folders = [*Path("/usr/lib/postgresql").glob("*/bin")]
    own = shutil.which("initdb")
    if own:
        folders.append(Path(own).resolve().parent)
    found = {}
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            version = re.search(r"\b(\d+)\.", told_by(folder / "postgres", "--version"))
            if version:
                found[version[1]] = folder
    return found


def told_by(program: Path, question: str) -> str:
    """What one of PostgreSQL's programs says of itself; nothing when it is not there."""
    if not program.exists():
        return ""
    asked = subprocess.run(  # noqa: S603  # PostgreSQL's own program
        [program, question], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip()
