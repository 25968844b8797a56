"""
What a database that cannot do it now is answered: its errors are read here and nowhere else.

Either somebody else is in the way, or it took too long (``is_busy``); or there is no database at
this moment: it is away, starting, ending, or has no connection left. Both pass by themselves, so
the answer is 503 with Retry-After. A write may know better what is held, and says 409 instead.
"""

import logging

from django.db import InterfaceError, OperationalError

from apps.tenancy.http.problems import Problem

logger = logging.getLogger(__name__)

BUSY = ("55P03", "40P01", "57014")  # waited too long for a lock, deadlock, statement took too long
BUSY_SECONDS = 1
AWAY_SECONDS = 5


def is_busy(error: BaseException) -> bool:
    """Tell whether the database works, and this was in the way of others or took too long."""
    return getattr(error.__cause__, "sqlstate", None) in BUSY


def unavailable(error: BaseException | None) -> Problem | None:
    """Return the 503 of what the database could not do now, and log why; None for all else."""
    if not isinstance(error, OperationalError | InterfaceError):
        return None
    first_line = (str(error).splitlines() or [""])[0]
    logger.warning(
        "The database could not serve a request",
        extra={"error": f"{type(error).__name__}: {first_line}"},
    )
    if is_busy(error):
        detail = (
            "The database is busy with this for others, or took too long: try again, or for less."
        )
        return Problem(503, detail, wait=BUSY_SECONDS)
    return Problem(503, "The database cannot be reached: try again.", wait=AWAY_SECONDS)
