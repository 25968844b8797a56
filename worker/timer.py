"""
The third wake-up, which alone is enough: each worker looks for overdue lanes every second.

It runs in a thread of the worker's main process, from before the broker is reached until the end,
with a database session of its own. So the log goes on while Redis is away and while beat is dead.
"""

import logging
import os
import random
import threading
from time import monotonic
from typing import Any

from celery.signals import worker_init, worker_shutdown
from django.db import connections

from outbox import heartbeat, relay, replay
from outbox.session import close_session

logger = logging.getLogger("worker.timer")

PERIOD_SECONDS = 1.0
# Younger messages are on their way by a nudge. With the period, what nobody nudged for (a change of
# rights in SQL, say) is relayed within 1.7 s.
OVERDUE_SECONDS = 0.5
REPLAY_SECONDS = 0.5  # beat's sweeps start the others
DRAIN_SECONDS = 2.0  # then the others' turn; also how long a fork may have to wait

# The pool forks children from this process at any time. A fork while the thread holds a lock (of
# the allocator, of logging, of a client's pool) would copy it locked, so each waits for the other.
_fork_gate = threading.Lock()


class Timer(threading.Thread):
    def __init__(self) -> None:
        super().__init__(name="outbox-timer", daemon=True)
        self._stopped = threading.Event()
        self._failing = False

    def run(self) -> None:
        while not self._stopped.wait(PERIOD_SECONDS * random.uniform(0.8, 1.2)):  # noqa: S311
            with _fork_gate:
                self.tick()
        close_session()

    def tick(self) -> None:
        """Drain what is overdue; a failure is logged once, and the next tick tries again."""
        try:
            heartbeat.beat(heartbeat.TIMER)
            for lane in relay.pending_lanes(min_age_seconds=OVERDUE_SECONDS):
                relay.drain(lane, deadline=monotonic() + DRAIN_SECONDS)
            if replay.due():
                replay.step(seconds=REPLAY_SECONDS)
                connections.close_all()  # this thread ends no requests, which would do it
        except Exception:
            if not self._failing:
                logger.exception("The timer cannot drain; it goes on trying")
            self._failing = True
        else:
            if self._failing:
                logger.info("The timer drains again")
            self._failing = False

    def stop(self) -> None:
        self._stopped.set()


_timers: list[Timer] = []


@worker_init.connect
def _start(**_: Any) -> None:
    os.register_at_fork(
        before=_fork_gate.acquire,
        after_in_parent=_fork_gate.release,
        after_in_child=_fork_gate.release,
    )
    timer = Timer()
    _timers.append(timer)
    timer.start()


@worker_shutdown.connect
def _stop(**_: Any) -> None:
    for timer in _timers:
        timer.stop()
