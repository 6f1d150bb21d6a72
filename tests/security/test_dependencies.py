"""No dependency below the version that mended its last known fault.

No database of vulnerabilities can be asked where this runs, so what is known is written down here:
every distribution that requirements.txt brings along, with its floor and the reason. One that is
not in the table fails: nobody has looked at it yet. Looked through on 2026-11-23.
"""

import re
import sys
from collections.abc import Iterator
from importlib.metadata import distribution, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[2]
FLOORS = {
    "asgiref": ("3.8.0", "nothing known"),
    "attrs": ("22.1.0", "nothing known"),
    "autobahn": ("26.10.1", "CVE-2026-77528, CVE-2026-116579: compressed frames beyond the limit"),
    "automat": ("22.10.0", "nothing known"),
    "cbor2": ("5.9.0", "CVE-2026-26209: recursion without an end"),
    "cffi": ("1.15.0", "nothing known"),
    "channels": ("3.0.3", "CVE-2020-35681: one session for two"),
    "channels-redis": ("4.0.0", "nothing known"),
    "click": ("8.0.0", "nothing known"),
    "constantly": ("15.1", "nothing known"),
    "cryptography": ("50.0.0", "CVE-2026-69247, and OpenSSL's own in its wheels"),
    "daphne": ("4.2.2", "CVE-2026-44546: header lines made up in a WebSocket handshake"),
    "django": ("5.2.19", "CVE-2026-3902 (underscores for hyphens) and all security releases since"),
    "django-axes": ("8.3.1", "nothing known below, but it is what keeps guessers out"),
    "django-cors-headers": ("4.0.0", "nothing known"),
    "django-environ": ("0.11.0", "nothing known"),
    "django-otp": ("1.7.1", "a wrong code of one device made all wait; 1.1.0: a code taken twice"),
    "django-redis": ("6.0.0", "nothing known"),
    "django-timescaledb": ("0.2.13", "nothing known"),
    "djangorestframework": ("3.18.2", "CVE-2026-73228: bodies beyond the limit; two more"),
    "drf-spectacular": ("0.27.0", "nothing known"),
    "drf-spectacular-sidecar": ("2025.10.1", "nothing known"),
    "granian": ("2.8.0", "nothing known"),
    "hiredis": ("2.1.0", "CVE-2021-32765 in the library within"),
    "hyperlink": ("21.0.0", "nothing known"),
    "idna": ("3.7", "CVE-2024-3651: quadratic time"),
    "ifaddr": ("0.2.0", "nothing known"),
    "incremental": ("22.10.0", "nothing known"),
    "inflection": ("0.5.1", "nothing known"),
    "jsonschema": ("4.0.0", "nothing known"),
    "jsonschema-specifications": ("2023.3.6", "nothing known"),
    "msgpack": ("1.2.3", "CVE-2026-57585, CVE-2026-114613: a crash, memory without an end"),
    "packaging": ("21.0", "nothing known"),
    "prometheus-client": ("0.12.0", "nothing known"),
    "psycopg": ("3.1.0", "nothing known"),
    "psycopg-binary": ("3.2.10", "CVE-2025-1094 in the libpq within"),
    "psycopg-pool": ("3.1.0", "nothing known"),
    "pycparser": ("2.20", "nothing known"),
    "pyjwt": ("2.15.1", "CVE-2026-32597, CVE-2026-48526 and those after"),
    "pyopenssl": ("26.0.0", "CVE-2026-27448, CVE-2026-27459: callbacks of TLS"),
    "pyyaml": ("5.4", "CVE-2020-14343: code from YAML"),
    "redis": ("4.5.5", "CVE-2023-28859: an answer to somebody else's question"),
    "referencing": ("0.28.0", "nothing known"),
    "rpds-py": ("0.7.0", "nothing known"),
    "segno": ("1.6.0", "nothing known"),
    "service-identity": ("21.1.0", "nothing known"),
    "sqlparse": ("0.6.0", "CVE-2026-54284, CVE-2026-59893, CVE-2026-71491: quadratic time"),
    "supervisor": ("4.1.0", "CVE-2017-11610, CVE-2019-12105: its web server, which we do not open"),
    "tqdm": ("4.66.3", "CVE-2024-34062: code from its command line"),
    "twisted": ("26.4.0", "CVE-2024-41671 (answers out of order), CVE-2026-42304"),
    "txaio": ("23.1.1", "nothing known"),
    "typing-extensions": ("4.0.0", "nothing known"),
    "ujson": ("5.4.0", "CVE-2022-31116, CVE-2022-31117: memory"),
    "uritemplate": ("3.0.0", "nothing known"),
    "websockets": ("9.1", "CVE-2021-33880: passwords by timing"),
    "whitenoise": ("6.0.0", "nothing known"),
    "zope-interface": ("5.0.0", "nothing known"),
}  # fmt: skip
if sys.version_info < (3, 11, 3):  # Debian 12's; redis asks for it there
    FLOORS["async-timeout"] = ("4.0.2", "nothing known")


def brought_along(name: str, extras: tuple[str, ...] = ()) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What a distribution needs on this machine."""
    for line in distribution(name).requires or []:
        needed = Requirement(line)
        chosen = extras or ("",)
        if needed.marker is None or any(needed.marker.evaluate({"extra": one}) for one in chosen):
            yield normal(needed.name), tuple(sorted(needed.extras))


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def installed() -> set[str]:
    """Everything that requirements.txt brings along."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    asked = [
        Requirement(line.partition("#")[0]) for line in lines if line.partition("#")[0].strip()
    ]
    found: set[tuple[str, tuple[str, ...]]] = set()
    open_ends = [(normal(one.name), tuple(sorted(one.extras))) for one in asked]
    while open_ends:
        if (end := open_ends.pop()) not in found:
            found.add(end)
            open_ends += brought_along(*end)
    return {name for name, _ in found}


def test_nothing_is_installed_that_nobody_has_looked_at():
    assert installed() - set(FLOORS) == set()


def test_the_table_holds_nothing_that_is_not_used():
    assert set(FLOORS) - installed() == set()


@pytest.mark.parametrize("name", FLOORS)
def test_every_distribution_has_what_mended_it(name):
    floor, reason = FLOORS[name]

    assert Version(version(name)) >= Version(floor), reason
