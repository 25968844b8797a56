"""
Writing the parts of the feed's connections: any number of them in one statement.

Everything here is synchronous: call it in the feed's own threads, outside a transaction.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import IntegrityError, connection


@dataclass(slots=True, kw_only=True)
class Part:
    """
    What is known of one part of a connection; see ``FeedSession``.

    ``slowest_ack_ms`` is the longest time from ``occurred_at`` to the acknowledgement among all
    acknowledged events of the part that occurred at or after ``opened_at``, rounded up; also those
    that were sent from the log. ``None``: there was none.
    """

    session: UUID
    part: int
    process: UUID
    user_id: int
    tenant_id: int
    sites: list[int] | None
    epoch: str
    start_seq: int
    sent_seq: int
    acked_seq: int
    opened_at: datetime
    acked_at: datetime | None = None
    slowest_ack_ms: int | None = None
    closed_at: datetime | None = None
    close_code: int | None = None


COLUMNS = tuple(field.name for field in fields(Part))

# One parameter for all parts; sites are lists of different lengths, which arrays cannot hold.
# A part of a user or tenant that was deleted is left out, so that it does not fail the others.
# Sorted, so that the ids, which lists are paged by, follow the time.
# What moves only rises, so that a save that comes late or twice does no harm. A part that was
# closed for a lost process and is saved after all stays closed, until its true end comes.
SAVE = f"""
INSERT INTO noc_feedsession AS s ({", ".join(COLUMNS)})
SELECT {", ".join(f"p.{name}" for name in COLUMNS)}
  FROM jsonb_populate_recordset(NULL::noc_feedsession, %(parts)s) p
 WHERE EXISTS (SELECT FROM auth_user u WHERE u.id = p.user_id)
   AND EXISTS (SELECT FROM tenancy_tenant t WHERE t.id = p.tenant_id)
 ORDER BY p.opened_at, p.part
    ON CONFLICT (session, part) DO UPDATE
   SET sent_seq = greatest(s.sent_seq, excluded.sent_seq),
       acked_seq = greatest(s.acked_seq, excluded.acked_seq),
       acked_at = greatest(s.acked_at, excluded.acked_at),
       slowest_ack_ms = greatest(s.slowest_ack_ms, excluded.slowest_ack_ms),
       closed_at = coalesce(excluded.closed_at, s.closed_at),
       close_code = coalesce(excluded.close_code, s.close_code)
"""  # noqa: S608 - our own column names

# Only open parts are looked at. greatest() passes over what is not known.
CLOSE_DEAD = """
UPDATE noc_feedsession s
   SET closed_at = greatest(s.opened_at, s.acked_at,
                            (SELECT p.seen_at FROM noc_feedprocess p WHERE p.id = s.process))
 WHERE s.closed_at IS NULL
   AND NOT EXISTS (SELECT FROM noc_feedprocess p
                    WHERE p.id = s.process
                      AND p.seen_at > clock_timestamp() - make_interval(secs => %(seconds)s))
"""

# From the oldest row on, some at a time.
FORGET = """
DELETE FROM noc_feedsession
 WHERE id IN (SELECT id FROM noc_feedsession WHERE closed_at < %(before)s
               ORDER BY id LIMIT %(limit)s)
"""


def save(parts: Sequence[Part]) -> None:
    """
    Insert or update the rows of ``parts``, in one statement; of two of the same part, the last.

    Positions never fall and a closed part is never opened again. Safe to repeat.

    Raises:
        Error: nothing was written (``django.db.Error``); save the same parts again later.
    """
    if not parts:
        return
    latest = {(part.session, part.part): part for part in parts}
    rows = [{name: getattr(part, name) for name in COLUMNS} for part in latest.values()]
    parameters = {"parts": json.dumps(rows, default=str)}
    try:
        _execute(SAVE, parameters)
    except IntegrityError:  # a user was deleted after the statement looked; now it sees that
        _execute(SAVE, parameters)


def close_dead(seconds: float) -> int:
    """
    Close the open parts of processes that were not seen for ``seconds``; return how many.

    A process that died could not say when its connections ended: they get the time at which it
    was last seen, and no code. Call this before ``leases.enter`` and each ``leases.beat``, which
    forget lost processes, and with fewer seconds than ``leases.LOST_SECONDS``; a part whose process
    is forgotten gets the time of its last acknowledgement. Safe in several processes at once.
    """
    return _execute(CLOSE_DEAD, {"seconds": seconds})


def forget(*, before: datetime, limit: int = 10_000) -> int:
    """
    Delete at most ``limit`` parts that were closed before that time; return how many.

    Their events were recorded earlier still: with ``before`` as old as the oldest partition of the
    log, no receipt of an event that is kept is lost.
    """
    return _execute(FORGET, {"before": before, "limit": limit})


def _execute(statement: str, parameters: dict[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return int(cursor.rowcount)
