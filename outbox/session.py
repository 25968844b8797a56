"""
The relay's own database session: plain psycopg, one per thread, dropped after any error.

A session of its own keeps the relay's transactions out of Django's, and what it remembers of a
lane lives and dies with the connection: after a restart or a restore nothing stale survives.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import psycopg
from django.db import connections
from psycopg.types.json import set_json_loads

from outbox.epoch import renew_if_moved_by
from outbox.log import loads
from outbox.safety import check_database


@dataclass(slots=True)
class LaneMemory:
    """What this session knows of a lane: a hint, compared with the lane row before use."""

    round: int | None = None  # of my last record round whose slice is published; None: unknown
    seen: int = 0  # greatest id that I recorded in a committed transaction


@dataclass(slots=True)
class Session:
    connection: psycopg.Connection
    lanes: dict[int, LaneMemory] = field(default_factory=dict)

    def memory(self, lane: int) -> LaneMemory:
        return self.lanes.setdefault(lane, LaneMemory())


_local = threading.local()


@contextmanager
def relay_session(*, using: str = "default") -> Iterator[Session]:
    """
    Lend this thread's session; a new one is checked (:func:`check_database`) before it is used.

    Raises:
        UnsafeDatabase, LaneCountDiffers, LaneMissing: the database would break our promises.
        psycopg.Error: anything of the database; the session is dropped, the next call reconnects.
    """
    owner, session = getattr(_local, "kept", (None, None))
    if session is None or owner != os.getpid() or session.connection.closed:
        # A forked child must neither use nor close the parent's socket: it only forgets it.
        session = _connect(using)
        _local.kept = (os.getpid(), session)
    try:
        yield session
    except BaseException:
        close_session()
        raise


def close_session() -> None:
    """Close this thread's session, if it has one."""
    owner, session = getattr(_local, "kept", (None, None))
    _local.kept = (None, None)
    if session is not None and owner == os.getpid():
        session.connection.close()


def _connect(using: str) -> Session:
    params = dict(connections[using].get_connection_params())
    for key in ("cursor_factory", "context", "server_side_binding", "isolation_level", "pool"):
        params.pop(key, None)
    params["application_name"] = "outbox-relay"
    connection = psycopg.connect(
        **params,
        autocommit=True,  # the relay opens its transactions itself, in one round trip
        cursor_factory=psycopg.ClientCursor,  # several statements in one message
    )
    connection.prepare_threshold = None  # works behind PgBouncer in transaction mode
    set_json_loads(loads, connection)
    try:
        check_database(connection)
        renew_if_moved_by(connection)
    except BaseException:
        connection.close()
        raise
    return Session(connection)
