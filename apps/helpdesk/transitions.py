"""
Which status may follow which: one table, read by the actions, the admin and the API.

It allows what people do and what the logs of a real service desk show: a new ticket is often
resolved at once, a resolved one is taken up again, even back to new.
"""

from collections.abc import Mapping

from apps.helpdesk.errors import IllegalTransition
from apps.helpdesk.status import Status

ALLOWED: Mapping[str, frozenset[str]] = {
    Status.NEW: frozenset(
        {Status.IN_PROGRESS, Status.ON_HOLD, Status.RESOLVED, Status.CLOSED, Status.CANCELLED}
    ),
    Status.IN_PROGRESS: frozenset(
        {Status.NEW, Status.ON_HOLD, Status.RESOLVED, Status.CLOSED, Status.CANCELLED}
    ),
    Status.ON_HOLD: frozenset(
        {Status.NEW, Status.IN_PROGRESS, Status.RESOLVED, Status.CLOSED, Status.CANCELLED}
    ),
    Status.RESOLVED: frozenset({Status.NEW, Status.IN_PROGRESS, Status.ON_HOLD, Status.CLOSED}),
    Status.CLOSED: frozenset(),
    Status.CANCELLED: frozenset(),
}


def check(present: str, to: str) -> None:
    """
    Raises:
        IllegalTransition: ``to`` cannot follow ``present``, or is it already.
    """
    if to not in ALLOWED[present]:
        raise IllegalTransition(present=present, to=to, allowed=ALLOWED[present])
