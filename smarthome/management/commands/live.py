"""Serve the WebSockets of a production house, behind nginx."""

from pathlib import Path

from django.core.management.base import CommandError

from smarthome.management.server_command import ServerCommand


class Command(ServerCommand):
    help = "Serve WebSockets on a unix socket, for nginx. Part of a production house."
    name = "live"

    def serve(self, socket: Path) -> None:
        # Only now: importing Daphne installs its reactor, which no other command needs.
        from twisted.internet.error import CannotListenError

        from smarthome.live import Server

        try:
            Server(socket).run()
        except CannotListenError as error:
            raise CommandError(str(error)) from error
