"""The names by which the house is called, for its certificate."""

from django.conf import settings

from policies import pki

LOOPBACK = ["localhost", "127.0.0.1", "::1"]


def server_names() -> list[str]:
    """Those of SERVER_NAMES, else whatever this machine is called now; loopback's always."""
    named: list[str] = settings.SERVER_NAMES
    return list(dict.fromkeys([*LOOPBACK, *named])) if named else pki.host_names()
