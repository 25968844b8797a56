"""
Letting go of old failures: attempts, and dead letters that were resolved.

What is dead is never deleted for its age, and neither are its attempts: somebody has to replay or
discard it first. Replays and what was done to lanes are the audit and stay.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from django.db import connections

from outbox import sql
from outbox.conf import outbox_settings

BATCH = 5_000  # rows per statement, each a transaction of its own


def forget_failures(*, now: datetime, deadline: float, using: str = "default") -> int:
    """Delete what is past ``keep_failures_days`` until ``deadline`` (monotonic); return a count."""
    before = now - timedelta(days=outbox_settings().keep_failures_days)

    def delete(statement: str) -> Callable[..., int]:
        def run(limit: int) -> int:
            params: dict[str, Any] = {"before": before, "limit": limit}
            with connections[using].cursor() as cursor:
                cursor.execute(statement, params)
                return int(cursor.rowcount)

        return run

    return sum(
        in_batches(delete(statement), deadline=deadline)
        for statement in (sql.FORGET_DEAD, sql.FORGET_ATTEMPTS)
    )


def in_batches(delete: Callable[..., int], *, deadline: float) -> int:
    """Call ``delete(limit=…)`` until it deletes less, or ``deadline`` has passed; return a sum."""
    total = 0
    while monotonic() < deadline:
        deleted = delete(limit=BATCH)
        total += deleted
        if deleted < BATCH:
            break
    return total
