"""
Named points at which a test may kill or fail this process. Nothing is armed unless
``OUTBOX["failpoints"]`` says so, and the settings refuse that outside of tests.
"""

import os
import random
import signal
from collections.abc import Callable

from outbox.errors import BadSettings


class FailpointError(Exception):
    """Raised by a failpoint with the action ``raise``."""


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _raise() -> None:
    raise FailpointError("a failpoint was armed here")


ACTIONS: dict[str, Callable[[], None]] = {"kill": _kill, "raise": _raise}
POINTS = frozenset(
    {
        "before_lane_lock",
        "lane_locked",
        "recorded",
        "committed",
        "before_publish",
        "published",
        "marked",
    }
)
_armed: dict[str, tuple[Callable[[], None], float]] = {}


def arm(spec: str) -> None:
    """
    Arm points from text like ``recorded=kill:0.05,published=raise``; an empty text disarms all.

    Raises:
        BadSettings: a point or an action is unknown.
    """
    _armed.clear()
    for item in filter(None, spec.split(",")):
        point, _, action = item.partition("=")
        name, _, probability = action.partition(":")
        if point not in POINTS or name not in ACTIONS:
            raise BadSettings(
                f"failpoint {item!r}: use point=action[:probability] with a point of "
                f"{sorted(POINTS)} and an action of {sorted(ACTIONS)}"
            )
        _armed[point] = (ACTIONS[name], float(probability or 1))


def hit(point: str) -> None:
    """Do what is armed at ``point``, usually nothing."""
    if _armed and point in _armed:
        action, probability = _armed[point]
        if random.random() < probability:  # noqa: S311
            action()
