"""Database work of sockets, on a thread that keeps its connection."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

EXECUTOR_KEY = "smarthome.executor"  # in the scope, from the server


async def on_thread(
    scope: dict[str, Any], work: Callable[P, T], *args: P.args, **kwargs: P.kwargs
) -> T:
    """Run `work` on the socket's thread: a device's frames on the one that answers doors."""
    executor: ThreadPoolExecutor = scope[EXECUTOR_KEY]
    return await asyncio.get_running_loop().run_in_executor(executor, lambda: work(*args, **kwargs))
