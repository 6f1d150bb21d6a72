"""Database work of sockets, on a thread that keeps its connection."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

from django.db import connection

P = ParamSpec("P")
T = TypeVar("T")

EXECUTOR_KEY = "smarthome.executor"  # in the scope, from the server


async def on_thread(
    scope: dict[str, Any], work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run `work` on the socket's thread: a device's frames on the one that answers doors."""
    return await run_on(scope[EXECUTOR_KEY], lambda: work(*args, **kwargs))


async def run_on(executor: ThreadPoolExecutor, work: Callable[[], T]) -> T:
    """Run `work` there. No request ends there, so a connection that the database has ended is
    dropped here, or the thread would never have another."""

    def run() -> T:
        try:
            return work()
        finally:
            connection.close_if_unusable_or_obsolete()

    return await asyncio.get_running_loop().run_in_executor(executor, run)
