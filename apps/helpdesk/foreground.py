"""What commands that run for long share: a clean end, and a quiet log."""

import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any


@contextmanager
def stop_on_signals() -> Iterator[Event]:
    """Yield what the first Ctrl-C or SIGTERM sets; the second one ends the program as usual."""
    stop = Event()
    before: dict[int, Any] = {}

    def handle(number: int, frame: object) -> None:
        stop.set()
        signal.signal(number, before[number])

    try:
        for each in (signal.SIGINT, signal.SIGTERM):
            before[each] = signal.signal(each, handle)
    except ValueError:  # not the main thread: its caller has its own way to stop
        pass
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def without_a_line_per_change() -> Iterator[None]:
    """Leave out what each change logs: here they come by the thousand, and are counted."""
    logger = logging.getLogger("apps.helpdesk.actions")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(level)
