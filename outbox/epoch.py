"""
The epoch: which log this is. A restore or a promotion may bring back an older head, after which
the same numbers would name other events; a new epoch tells every reader to start afresh.
"""

import logging
from uuid import UUID

from django.db import connections, transaction

from outbox import sql

logger = logging.getLogger("outbox.epoch")


def renew_if_moved(*, using: str = "default") -> UUID | None:
    """Compare the server with the one the log was written on; renew the epoch if it differs."""
    if not _moved(using):
        return None
    with transaction.atomic(using=using):
        _lock_lanes(using)
        if not _moved(using):  # another process was faster
            return None
        return _renew(using, "the server or its timeline differs from the stored one")


def renew(*, reason: str, using: str = "default") -> UUID:
    """Give the log a new epoch, under all lane locks, and return it."""
    with transaction.atomic(using=using):
        _lock_lanes(using)
        return _renew(using, reason)


def _moved(using: str) -> bool:
    with connections[using].cursor() as cursor:
        cursor.execute(sql.IDENTITY)
        system, timeline, present_system, present_timeline = cursor.fetchone()
    return bool((system, timeline) != (present_system, present_timeline))


def _lock_lanes(using: str) -> None:
    with connections[using].cursor() as cursor:
        cursor.execute(sql.LOCK_LANES)


def _renew(using: str, reason: str) -> UUID:
    with connections[using].cursor() as cursor:
        cursor.execute(sql.NEW_EPOCH)
        epoch: UUID = cursor.fetchone()[0]
    logger.warning("The log has a new epoch", extra={"epoch": str(epoch), "reason": reason})
    return epoch
