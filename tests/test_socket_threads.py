"""Threads of sockets: a connection that the database has ended is not the next one's concern."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest
from django.conf import settings
from django.db import OperationalError, connection

from realtime.consumers.threads import run_on

pytestmark = [
    pytest.mark.skipif(settings.EMBEDDED, reason="needs PostgreSQL: the production pass runs it"),
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
]


def own_process() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        process: int = cursor.fetchone()[0]
        return process


async def test_after_the_database_was_away_a_thread_connects_again():
    with ThreadPoolExecutor(1) as executor:
        ended = await run_on(executor, own_process)
        await run_on(executor, lambda: end(ended))
        with suppress(OperationalError):  # who finds it ended may hear of it, once
            await run_on(executor, own_process)

        connected = await run_on(executor, own_process)

        await run_on(executor, lambda: connection.close())
    assert connected != ended


def end(process: int) -> None:
    """As a server does that is shut down."""
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [process])
    other.close()
