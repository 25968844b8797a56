"""Signs of life of what looks for work: they tell a quiet system from a dead one."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic

from django.db import connections

from outbox import sql
from outbox.session import relay_session

EVERY_SECONDS = 5.0  # a process writes no more often; readers allow for several times that

TIMER = "timer"  # a worker's own timer looked at the lanes
SWEEP = "sweep"  # beat sent a sweep, and a worker ran it

_written: dict[tuple[int, str], float] = {}


_task: ContextVar[str] = ContextVar("outbox_task", default="")


def worker_name() -> str:
    """Name who does it, for attempts, marks and the audit: ``host:pid`` or ``host:pid task ID``."""
    name, task = f"{socket.gethostname()}:{os.getpid()}", _task.get()
    return f"{name} task {task}" if task else name


@contextmanager
def doing(task: str | None) -> Iterator[None]:
    """What is done inside is done for the task with this id; it is part of ``worker_name()``."""
    token = _task.set(task or "")
    try:
        yield
    finally:
        _task.reset(token)


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
