"""
Stopping, resuming and skipping the publishing of a lane by hand; each use leaves an audit row.

Recording goes on whatever is done here, and readers of the log miss nothing.
"""

import json
import logging
from typing import Any

from django.db import connections, transaction
from django.db.backends.utils import CursorWrapper

from outbox import sql
from outbox.errors import LaneMissing, OutboxError
from outbox.redaction import cleaned

logger = logging.getLogger("outbox.controls")

REASON_LENGTH = 1_000


class NoReason(OutboxError, ValueError):
    """A lane is paused, resumed or skipped with a reason of 1 to 1,000 characters: give one."""


def pause(lane: int, *, actor: str, reason: str, using: str = "default") -> bool:
    """Hand nothing of ``lane`` to the sink until it is resumed; return whether that is new."""
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        _lock(cursor, lane)
        cursor.execute(sql.PAUSE_LANE, {"lane": lane, "actor": actor, "reason": _checked(reason)})
        changed = bool(cursor.rowcount)
        if changed:
            _note(cursor, lane, "pause", actor, reason, {})
    return changed


def resume(lane: int, *, actor: str, reason: str, using: str = "default") -> bool:
    """
    Go on with ``lane``, also when failures have paused it: it is tried at once.

    Return whether it was paused or failing.
    """
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        _lock(cursor, lane)
        cursor.execute(sql.RESUME_LANE, {"lane": lane})
        changed = bool(cursor.rowcount)
        if changed:
            _note(cursor, lane, "resume", actor, reason, {})
    return changed


def skip(lane: int, *, actor: str, reason: str, using: str = "default") -> int:
    """
    Mark all that ``lane`` has recorded as published without handing it over; return how many.

    The events stay in the log, where the feed's clients read them; the audit row has the slices.
    """
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        _lock(cursor, lane)
        cursor.execute(sql.SKIP_LANE, {"lane": lane})
        count, slices = cursor.fetchone()
        slices = json.loads(slices) if isinstance(slices, str) else slices
        if count:
            _note(cursor, lane, "skip", actor, reason, {"events": count, "slices": slices})
    return int(count)


def _lock(cursor: CursorWrapper, lane: int) -> None:
    cursor.execute(sql.LOCK_LANE, {"lane": lane})
    if cursor.fetchone() is None:
        raise LaneMissing(f"there is no lane {lane}: `manage.py outbox_status` lists them")


def _note(
    cursor: CursorWrapper, lane: int, action: str, actor: str, reason: str, detail: object
) -> None:
    params: dict[str, Any] = {
        "lane": lane,
        "action": action,
        "actor": actor,
        "reason": _checked(reason),
        "detail": json.dumps(detail),
    }
    cursor.execute(sql.NOTE_LANE_ACTION, params)
    logger.warning(
        "A lane was changed by hand",
        extra={"lane": lane, "action": action, "actor": actor, "reason": params["reason"]},
    )


def _checked(reason: str) -> str:
    reason = cleaned(reason).strip()
    if not 0 < len(reason) <= REASON_LENGTH:
        raise NoReason(f"give a reason of 1 to {REASON_LENGTH:,} characters: it is kept")
    return reason
