"""The log's daily partitions: made ahead of their day, dropped when they are old."""

import logging
from datetime import date, datetime, timedelta

from django.db import IntegrityError, connections, transaction

from outbox import sql
from outbox.conf import outbox_settings

logger = logging.getLogger("outbox.partitions")


def ensure_ahead(*, now: datetime, using: str = "default") -> int:
    """
    Make the partitions of today and the days ahead; return how many were made.

    A day whose first rows came before its partition stays in the default one; it is logged.
    """
    made = 0
    for offset in range(outbox_settings().partitions_ahead_days + 1):
        day = now.date() + timedelta(days=offset)
        try:
            with transaction.atomic(using=using), connections[using].cursor() as cursor:
                cursor.execute(sql.ADD_PARTITION, {"day": day})
                made += bool(cursor.fetchone()[0])
        except IntegrityError:  # as PostgreSQL calls rows that the new partition should hold
            logger.warning(
                f"The default partition has rows of {day}, which gets none of its own",
                extra={"day": str(day)},
            )
    return made


def drop_old(*, now: datetime, using: str = "default") -> list[str]:
    """
    Drop the partitions that are past ``keep_days``; return their names.

    One with an event that is not published yet stays until it is.
    """
    before: date = now.date() - timedelta(days=outbox_settings().keep_days)
    with connections[using].cursor() as cursor:
        cursor.execute(sql.DROP_PARTITIONS, {"before": before})
        dropped = [name for (name,) in cursor.fetchall()]
    if dropped:
        logger.info("Dropped partitions of the event log", extra={"partitions": dropped})
    return dropped


def names(*, using: str = "default") -> list[str]:
    """Return the names of all partitions, the default one among them."""
    with connections[using].cursor() as cursor:
        cursor.execute(sql.PARTITIONS)
        return [name for (name,) in cursor.fetchall()]
