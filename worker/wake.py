"""
The nudge after a commit: at most one task per lane is on its way.

A flag in Redis coalesces: who sets it sends the task, and the task clears it before it reads, so a
commit after that sends the next one. Nothing here may fail or slow a save: every error is
caught and counted, a circuit breaker skips the nudge for a while after one, and the time-outs
keep the whole under a second. A lost nudge costs latency; the sweep and the timer find the message.
"""

import logging
import os
from collections.abc import Collection
from typing import Any

from django.conf import settings
from kombu import Connection
from kombu.pools import producers
from prometheus_client import Counter

from worker.breaker import Breaker
from worker.redis_client import TIMEOUT_SECONDS, client

logger = logging.getLogger("worker.wake")

FLAG_MS = 2_000  # a flag whose task was lost blocks the lane's nudges no longer than this
ANY = "any"

breaker = Breaker(seconds=10)
failures = Counter("noc_wake_failures_total", "Nudges that failed or were skipped", ["reason"])
_connections: dict[int, Connection] = {}


def nudge(lanes: Collection[int] | None) -> None:
    """Send one drain task per lane, or one sweep for ``None`` (any lane). Never raises."""
    if breaker.is_open:
        failures.labels("skipped").inc()
        return
    try:
        for target in [ANY] if lanes is None else lanes:
            _nudge_once(target)
    except Exception as error:
        failures.labels("failed").inc()
        if breaker.trip():
            logger.warning("Wake-up failed; the sweep will find the message: %r", error)


def clear(target: int | str) -> None:
    """Let the next commit send a task again; called by the task before it reads."""
    try:
        client().delete(_flag(target))
    except Exception as error:  # the flag expires by itself
        logger.debug("Wake flag not cleared: %r", error)


def _nudge_once(target: int | str) -> None:
    if not client().set(_flag(target), 1, nx=True, px=FLAG_MS):
        return
    try:
        _send(target)
    except BaseException:
        client().delete(_flag(target))
        raise


def _send(target: int | str) -> None:
    from worker import tasks  # here: the web process needs the task's name only when it sends

    task: Any = tasks.sweep if target == ANY else tasks.drain
    kwargs = {} if target == ANY else {"lane": target}
    with producers[_connection()].acquire(block=True, timeout=TIMEOUT_SECONDS) as producer:
        task.apply_async(kwargs=kwargs, producer=producer, retry=False)


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


def _flag(target: int | str) -> str:
    return f"{settings.REDIS_PREFIX}wake:{target}"
