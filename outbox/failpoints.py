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
        "replay_claimed",
    }
)
_armed: dict[str, tuple[Callable[[], None], float]] = {}


def arm(spec: str) -> None:
    """
    Arm points from text like ``recorded=kill:0.05,published=raise``; an empty text disarms all.

    Raises:
        BadSettings: a point or an action is unknown, or a probability is not within 0 and 1;
            what was armed stays so.
    """
    armed: dict[str, tuple[Callable[[], None], float]] = {}
    for item in filter(None, spec.split(",")):
        point, _, action = item.partition("=")
        name, _, probability = action.partition(":")
        try:
            chance = float(probability or 1)
        except ValueError:
            chance = -1
        if point not in POINTS or name not in ACTIONS or not 0 <= chance <= 1:
            raise BadSettings(
                f"failpoint {item!r}: use point=action[:probability] with a point of "
                f"{sorted(POINTS)} and an action of {sorted(ACTIONS)}"
            )
        armed[point] = (ACTIONS[name], chance)
    _armed.clear()
    _armed.update(armed)


def hit(point: str) -> None:
    """Do what is armed at ``point``, usually nothing."""
    if _armed and point in _armed:
        action, probability = _armed[point]
        if random.random() < probability:  # noqa: S311
            action()
