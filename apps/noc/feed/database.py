"""The feed's own threads for database reads.

Channels' ``database_sync_to_async`` and Django's async ORM share one thread per process for
everything outside a request: there, one slow query would hold every socket.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

Result = TypeVar("Result")

THREADS = 4  # each holds at most one database connection
_pool = ThreadPoolExecutor(THREADS, thread_name_prefix="feed-database")


async def run(function: Callable[..., Result], *args: object) -> Result:
    """
    Return ``function(*args)``, called in one of the feed's threads.

    When a kept connection turns out to be lost, it is called a second time on a new one.
    """
    return await asyncio.get_running_loop().run_in_executor(_pool, _call, function, args)


def _call(function: Callable[..., Result], args: tuple[object, ...]) -> Result:
    # The threads are few and ours, so each keeps its connection: a new one costs more than most
    # reads. `close_old_connections` is for threads that come and go.
    kept = connection.connection
    try:
        return function(*args)
    except (OperationalError, InterfaceError):
        # After a transaction that failed, Django may have made a new one already.
        if connection.connection is kept and connection.is_usable():
            raise  # the statement failed, not the connection
        connection.close()
        if kept is None:
            raise
    return function(*args)
