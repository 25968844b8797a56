"""
The epoch: which log this is. A restore or a promotion may bring back an older head, after which
the same numbers would name other events; a new epoch tells every reader to start afresh.
"""

import logging
from typing import Any
from uuid import UUID

import psycopg
from django.db import connections, transaction

from outbox import sql

logger = logging.getLogger("outbox.epoch")


def renew_if_moved(*, using: str = "default") -> UUID | None:
    """Compare the server with the one the log was written on; renew the epoch if it differs."""
    with connections[using].cursor() as cursor:
        if not _moved(cursor):
            return None
        with transaction.atomic(using=using):
            return _renew_moved(cursor)


def renew_if_moved_by(connection: psycopg.Connection) -> UUID | None:
    """
    Do the same on a connection of the relay, before it records anything.

    A restore and a promotion end all sessions, so no number is given in the old epoch's name.
    """
    with connection.cursor() as cursor:
        if not _moved(cursor):
            return None
        with connection.transaction():
            return _renew_moved(cursor)


def renew(*, reason: str, using: str = "default") -> UUID:
    """Give the log a new epoch, under all lane locks, and return it."""
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute(sql.LOCK_LANES)
        return _renew(cursor, reason)


# The cursors are Django's or psycopg's: both can all that is asked of them here.


def _moved(cursor: Any) -> bool:
    cursor.execute(sql.IDENTITY)
    system, timeline, present_system, present_timeline = cursor.fetchone()
    return bool((system, timeline) != (present_system, present_timeline))


def _renew_moved(cursor: Any) -> UUID | None:
    cursor.execute(sql.LOCK_LANES)
    if not _moved(cursor):  # another process was faster
        return None
    return _renew(cursor, "the server or its timeline differs from the stored one")


def _renew(cursor: Any, reason: str) -> UUID:
    cursor.execute(sql.NEW_EPOCH)
    epoch: UUID = cursor.fetchone()[0]
    logger.warning("The log has a new epoch", extra={"epoch": str(epoch), "reason": reason})
    return epoch
