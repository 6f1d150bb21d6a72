"""Keep the programs of `make stack` running: supervisor, hurried a little."""

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from xmlrpc.client import Error as XmlRpcError
from xmlrpc.client import ServerProxy

import psycopg
import redis
from supervisor.xmlrpc import SupervisorTransport

from smarthome.processes import ROOT, found

STOP_SECONDS = 15
START_SECONDS = 90
HURRY_SECONDS = 0.2
OPEN_FILES = 8192


class Problem(Exception):
    """Why there is no stack, in one sentence that says what to do."""


@dataclass(frozen=True)
class Program:
    """One process: shell lines that become it, and how it is asked to end."""

    name: str
    command: str
    starts_at_once: bool
    stop_signal: str


@dataclass(frozen=True)
class Keeper:
    """supervisor over the programs of one folder."""

    run_dir: Path
    log_dir: Path

    @contextmanager
    def keeping(
        self, programs: Sequence[Program], environment: Mapping[str, str]
    ) -> Iterator[None]:
        """Start supervisor and what starts at once; end all of it."""
        self.write(programs)
        command = [sys.executable, "-m", "supervisor.supervisord", "-n", "-c", str(self.config)]
        if found("setpriv"):
            # Should this program be killed, all end too.
            command = [found("setpriv"), "--pdeathsig", "TERM", *command]
        daemon = subprocess.Popen(  # noqa: S603  # our own program
            command,
            env=environment,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for this program, which ends the others in order
        )
        try:
            self.wait_for(lambda: self.ask("getPID") == daemon.pid, "supervisord")
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            daemon.terminate()
            until = time.monotonic() + 2 * STOP_SECONDS
            while daemon.poll() is None and time.monotonic() < until:
                with suppress(Problem):
                    self.hurry()
            daemon.kill()
            daemon.wait()
            self.end_strays()

    def hurry(self) -> None:
        """Ask how it is. supervisor looks at its processes once a second, and when it is asked.

        Problem when it is not there any more.
        """
        time.sleep(HURRY_SECONDS)
        try:
            self.ask("getState")
        except (OSError, HTTPException) as error:
            raise Problem(f"supervisor ended, see {self.log_dir}/supervisord.log.") from error
        except XmlRpcError:
            return  # it is ending

    def ask(self, question: str, *arguments: object) -> Any:
        """A new connection each time: it never recovers from one that failed."""
        transport = SupervisorTransport(serverurl=f"unix://{self.run_dir}/supervisor.sock")
        with ServerProxy("http://localhost", transport=transport) as server:
            return getattr(server.supervisor, question)(*arguments)

    def wait_for(self, is_up: Callable[[], Any], name: str) -> None:
        """Ask until it is so; Problem with the last lines of its log when it takes too long."""
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            # Everything that can go wrong while somebody starts.
            with suppress(OSError, HTTPException, psycopg.OperationalError, redis.RedisError):
                if is_up():
                    return
            time.sleep(0.05)
        log = self.log_dir / f"{name}.log"
        last = log.read_text().splitlines()[-5:] if log.exists() else []
        raise Problem("\n".join([f"{name} did not come up. The end of {log}:", *last]))

    def end_strays(self) -> None:
        """Only when supervisor itself was killed is there anybody left."""
        for path in self.run_dir.glob("*.pid"):
            with suppress(ValueError, ProcessLookupError):
                group = int(path.read_text())
                os.killpg(group, signal.SIGTERM)
                time.sleep(1)
                os.killpg(group, signal.SIGKILL)

    @property
    def config(self) -> Path:
        return self.run_dir / "supervisord.conf"

    def write(self, programs: Sequence[Program]) -> None:
        """supervisor's file, and a script for every program."""
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        most = OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES)
        lines = [
            "[supervisord]",
            "nodaemon=true",
            "silent=true",
            f"minfds={most}",
            f"logfile={self.log_dir}/supervisord.log",
            f"pidfile={self.run_dir}/supervisord.pid",
            *(["user=root"] if os.geteuid() == 0 else []),
            "[unix_http_server]",
            f"file={self.run_dir}/supervisor.sock",
            "[rpcinterface:supervisor]",
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface",
        ]
        for priority, program in enumerate(programs):
            script = self.run_dir / f"{program.name}.sh"
            script.write_text(self.script(program))
            lines += [
                f"[program:{program.name}]",
                f"command=/bin/sh {script}",
                f"priority={priority}",
                f"autostart={str(program.starts_at_once).lower()}",
                # With startsecs=1 it would give up after a few kills in a row.
                "autorestart=true",
                "startsecs=0",
                f"stopsignal={program.stop_signal}",
                f"stopwaitsecs={STOP_SECONDS}",
                "killasgroup=true",
                f"stdout_logfile={self.log_dir}/{program.name}.log",
                "stdout_logfile_maxbytes=10MB",
                "stdout_logfile_backups=1",
                "redirect_stderr=true",
            ]
        self.config.write_text("\n".join(lines) + "\n")

    def script(self, program: Program) -> str:
        """What starts a program, and starts it again.

        The children of a killed one live on and hold its ports and sockets: they go first.
        """
        pid = f"{self.run_dir}/{program.name}.pid"
        leavings = f'[ -s {pid} ] && kill -s KILL -- "-$(cat {pid})" 2>/dev/null'
        return f"{leavings}\necho $$ > {pid}\n{program.command}\n"
