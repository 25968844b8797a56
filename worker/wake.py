"""
The nudge after a commit: at most one task per lane is on its way.

A flag in Redis coalesces: who sets it sends the task, and the task clears it before it reads, so a
commit after that sends the next one. Nothing here may fail or slow a save. The committing thread
only drops the lane into a mailbox; a thread of the process empties it, so that commits
which come meanwhile share one round trip. Every error is caught and counted, and a circuit breaker
keeps a process from knocking at a dead Redis. A lost nudge costs latency: the sweep and the timer
find the message.
"""

import atexit
import logging
import os
import threading
from collections.abc import Collection, Iterable
from typing import Any

from django.conf import settings
from kombu import Connection
from kombu.pools import producers
from prometheus_client import Counter

from worker.breaker import Breaker
from worker.redis_client import TIMEOUT_SECONDS, client

logger = logging.getLogger("worker.wake")

FLAG_MS = 2_000  # a flag whose task was lost blocks the lane's nudges no longer than this
EXIT_SECONDS = 1  # a short-lived process waits this long for its last nudges
ANY = "any"

Target = int | str  # a lane, or ANY

breaker = Breaker(seconds=10)
failures = Counter("noc_wake_failures_total", "Nudges that failed or were skipped", ["reason"])
for _reason in ("failed", "skipped"):  # an alert on the increase would miss the first of each
    failures.labels(_reason)


def nudge(lanes: Collection[int] | None) -> None:
    """Ask for one drain per lane, or for one sweep with ``None`` (any lane). Returns at once."""
    if breaker.is_open:
        failures.labels("skipped").inc()
        return
    _mailbox().put([ANY] if lanes is None else lanes)


def send(targets: Collection[Target]) -> None:
    """Send the tasks whose flag was not set yet. Never raises, and takes a second at most."""
    try:
        pipeline = client().pipeline(transaction=False)
        for target in targets:
            pipeline.set(_flag(target), 1, nx=True, px=FLAG_MS)
        for target, was_clear in zip(targets, pipeline.execute(), strict=True):
            if was_clear:
                _send(target)
    except Exception as error:
        failures.labels("failed").inc()
        if breaker.trip():
            logger.warning("Wake-up failed; the sweep will find the message: %r", error)


def clear(target: Target) -> None:
    """Let the next commit send a task again; called by the task before it reads."""
    try:
        client().delete(_flag(target))
    except Exception as error:  # the flag expires by itself
        logger.debug("Wake flag not cleared: %r", error)


class Mailbox(threading.Thread):
    """Collects targets from the committing threads and sends them from its own."""

    def __init__(self) -> None:
        super().__init__(name="outbox-wake", daemon=True)
        self._waiting: set[Target] = set()
        self._changed = threading.Condition()
        self._busy = False

    def put(self, targets: Iterable[Target]) -> None:
        with self._changed:
            self._waiting.update(targets)
            self._changed.notify_all()

    def run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting)
                targets, self._waiting, self._busy = sorted(self._waiting, key=str), set(), True
            if not breaker.is_open:
                send(targets)

    def flush(self, *, seconds: float) -> bool:
        """Wait until all that was put is sent; return whether it was within ``seconds``."""
        with self._changed:
            return self._changed.wait_for(lambda: not (self._waiting or self._busy), seconds)


_boxes: dict[int, Mailbox] = {}
_lock = threading.Lock()


def _mailbox() -> Mailbox:
    """Return this process's mailbox; threads do not survive a fork, so a child starts its own."""
    pid = os.getpid()
    box = _boxes.get(pid)
    if box is None:
        with _lock:
            box = _boxes.get(pid)
            if box is None:
                _boxes.clear()
                box = _boxes[pid] = Mailbox()
                box.start()
    return box


@atexit.register
def _flush_at_exit() -> None:
    box = _boxes.get(os.getpid())
    if box is not None and not breaker.is_open:
        box.flush(seconds=EXIT_SECONDS)


def _reset_lock() -> None:
    global _lock
    _lock = threading.Lock()


os.register_at_fork(after_in_child=_reset_lock)


def _send(target: Target) -> None:
    from worker import tasks  # here: the web process needs the tasks only when it sends one

    task: Any = tasks.sweep if target == ANY else tasks.drain
    kwargs = {} if target == ANY else {"lane": target}
    try:
        with producers[_connection()].acquire(block=True, timeout=TIMEOUT_SECONDS) as producer:
            task.apply_async(kwargs=kwargs, producer=producer, retry=False)
    except BaseException:
        client().delete(_flag(target))
        raise


_connections: dict[int, Connection] = {}


def _connection() -> Connection:
    """Return this process's broker connection for nudges: it gives up at once."""
    pid = os.getpid()
    if pid not in _connections:
        _connections.clear()
        _connections[pid] = Connection(
            settings.CELERY_BROKER_URL,
            connect_timeout=TIMEOUT_SECONDS,
            transport_options={
                **settings.CELERY_BROKER_TRANSPORT_OPTIONS,
                "socket_timeout": TIMEOUT_SECONDS,
                "socket_connect_timeout": TIMEOUT_SECONDS,
                "max_retries": 0,
            },
        )
    return _connections[pid]


def _flag(target: Target) -> str:
    return f"{settings.REDIS_PREFIX}wake:{target}"
