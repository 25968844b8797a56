"""Signs of life of what looks for work: they tell a quiet system from a dead one."""

import os
import socket
from time import monotonic

from django.db import connections

from outbox import sql
from outbox.session import relay_session

EVERY_SECONDS = 5.0  # a process writes no more often; readers allow for several times that

TIMER = "timer"  # a worker's own timer looked at the lanes
SWEEP = "sweep"  # beat sent a sweep, and a worker ran it

_written: dict[tuple[int, str], float] = {}


def worker_name() -> str:
    """Name this process in attempts, marks and heartbeats: ``host:pid``."""
    return f"{socket.gethostname()}:{os.getpid()}"


def beat(name: str) -> None:
    """
    Note that ``name`` is alive, on the relay's session of this thread.

    Raises:
        psycopg.Error: the database failed; the caller was about to need it anyway.
    """
    key = (os.getpid(), name)
    if monotonic() - _written.get(key, -EVERY_SECONDS) < EVERY_SECONDS:
        return
    with relay_session() as session:
        session.connection.execute(sql.BEAT, {"name": name, "by": worker_name()})
    _written[key] = monotonic()


def forget() -> None:
    """Write the next beat at once; for tests that empty the tables."""
    _written.clear()


def ages(*, using: str = "default") -> dict[str, float]:
    """Return ``{name: seconds since its last beat}`` by the database's clock."""
    with connections[using].cursor() as cursor:
        cursor.execute(sql.BEATS)
        return dict(cursor.fetchall())
