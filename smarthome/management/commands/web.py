"""Serve the HTTP side of a production house, behind nginx."""

import gc
from pathlib import Path

from django.conf import settings
from django.db import connections
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from smarthome.management.server_command import ServerCommand

# The longest Granian allows: a thread that ends takes its database connection along.
THREAD_IDLE_SECONDS = 600


class Command(ServerCommand):
    help = "Serve HTTP on a unix socket, for nginx. Part of a production house."
    name = "web"

    def serve(self, socket: Path) -> None:
        # The workers are forks: they share what is loaded here, but never a connection. What is
        # alive now lives as long as they do; looking through it again and again would cost time.
        connections.close_all()
        gc.collect()
        gc.freeze()
        Granian(
            "smarthome.wsgi:application",
            interface=Interfaces.WSGI,
            uds=socket,
            uds_permissions=0o660,
            workers=settings.WEB_WORKERS,
            blocking_threads=settings.WEB_THREADS,
            blocking_threads_idle_timeout=THREAD_IDLE_SECONDS,
            http=HTTPModes.http1,
            websockets=False,
            respawn_failed_workers=True,
            log_dictconfig=settings.LOGGING,
            log_level=LogLevels.warning,
        ).serve()
