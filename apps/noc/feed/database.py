"""The feed's own threads for database reads.

Channels' ``database_sync_to_async`` and Django's async ORM share one thread per process for
everything outside a request: there, one slow query would hold every socket.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import close_old_connections

Result = TypeVar("Result")

THREADS = 4  # each holds at most one database connection
_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="feed-database")


async def run(function: Callable[..., Result], *args: object) -> Result:
    """Return ``function(*args)``, called in one of the feed's threads with a fresh connection."""
    return await asyncio.get_running_loop().run_in_executor(_pool, _call, function, args)


def _call(function: Callable[..., Result], args: tuple[object, ...]) -> Result:
    close_old_connections()
    try:
        return function(*args)
    finally:
        close_old_connections()
