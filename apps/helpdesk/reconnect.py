"""Outlasting a database that is away for a while, for programs that run on their own for long."""

import logging
import random
from collections.abc import Callable
from threading import Event
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection

logger = logging.getLogger(__name__)

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 10.0
_T = TypeVar("_T")


class Interrupted(Exception):
    """The program was told to stop while it waited for the database."""


def outlasting(work: Callable[[], _T], *, stop: Event) -> _T:
    """
    Return ``work()``, repeated with growing pauses while the database cannot do it.

    A commit whose answer was lost may have happened: ``work`` must find that out when repeated.

    Raises:
        Interrupted: ``stop`` was set while waiting.
    """
    pause = FIRST_SECONDS
    while True:
        try:
            return work()
        except (OperationalError, InterfaceError) as error:
            first_line = (str(error).splitlines() or [type(error).__name__])[0]
            logger.warning("Database unavailable, next try in %.1f s: %s", pause, first_line)
        connection.close()  # it may be broken; the next use opens a new one
        if stop.wait(pause * random.uniform(0.8, 1.2)):  # noqa: S311  (jitter, no secret)
            raise Interrupted
        pause = min(pause * 2, LONGEST_SECONDS)
