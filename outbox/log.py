"""Reading the event log: slices by sequence number, and heads."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connections

from outbox import sql


@dataclass(frozen=True, slots=True)
class LogRow:
    """One entry of the event log. ``seq`` counts 1, 2, 3 … within ``stream`` and ``epoch``."""

    stream: str
    seq: int
    epoch: UUID
    event_id: UUID
    type: str
    subject: str
    payload: dict[str, Any]
    context: dict[str, Any]
    schema_version: int
    replay_of: int | None
    occurred_at: datetime
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Head:
    """
    Where a stream stands.

    ``min_seq`` is the oldest number still in the log; with an empty log it is ``last_seq`` + 1.
    A stream that never had an event has ``last_seq`` 0 and the log's epoch.
    """

    epoch: UUID
    last_seq: int
    published_seq: int
    min_seq: int


def read(stream: str, after: int, limit: int, *, using: str = "default") -> list[LogRow]:
    """Return at most ``limit`` rows of ``stream`` with ``seq`` > ``after``, in order."""
    with connections[using].cursor() as cursor:
        cursor.execute(sql.READ_LOG, {"stream": stream, "after": after, "limit": limit})
        return [LogRow(*row) for row in decoded(cursor.fetchall())]


def read_subject(
    stream: str,
    subject: str,
    *,
    since: datetime,
    before: int,
    limit: int,
    without: Collection[str] = (),
    using: str = "default",
) -> list[LogRow]:
    """
    Return at most ``limit`` rows of a subject with ``seq`` < ``before``, newest first.

    ``since``: when the subject began; what was recorded earlier is not looked for. ``without``:
    types that are passed over.
    """
    params: dict[str, Any] = {
        "stream": stream,
        "subject": subject,
        "since": since,
        "before": before,
        "limit": limit,
        "without": list(without),
    }
    with connections[using].cursor() as cursor:
        cursor.execute(sql.READ_SUBJECT, params)
        return [LogRow(*row) for row in decoded(cursor.fetchall())]


def last_change(
    stream: str,
    subject: str,
    *,
    since: datetime,
    without: Collection[str] = (),
    using: str = "default",
) -> tuple[str | None, datetime] | None:
    """
    Return the actor and the time of the newest event of a subject, recorded or not; in one query.

    None when there is none; the actor is None when it is not known. Replays do not count.
    """
    params: dict[str, Any] = {
        "stream": stream,
        "subject": subject,
        "since": since,
        "without": list(without),
    }
    with connections[using].cursor() as cursor:
        cursor.execute(sql.LAST_OF_SUBJECT, params)
        found: tuple[str | None, datetime] | None = cursor.fetchone()
    return found


def head(stream: str, *, using: str = "default") -> Head:
    """Return where ``stream`` stands now, in one statement."""
    with connections[using].cursor() as cursor:
        cursor.execute(sql.HEAD, {"stream": stream})
        return Head(*cursor.fetchone())


def heads(streams: Iterable[str], *, using: str = "default") -> Mapping[str, tuple[UUID, int]]:
    """Return ``{stream: (epoch, last_seq)}`` for those of ``streams`` that have an event."""
    with connections[using].cursor() as cursor:
        cursor.execute(sql.HEADS, {"streams": list(streams)})
        return {name: (epoch, last_seq) for name, epoch, last_seq in cursor.fetchall()}


def decoded(rows: Iterable[tuple[Any, ...]]) -> Iterable[tuple[Any, ...]]:
    """Turn the two JSON columns from text to objects; Django's cursor leaves them as text."""
    for row in rows:
        yield (*row[:6], loads(row[6]), loads(row[7]), *row[8:])


def loads(text: str | bytes) -> Any:
    """
    Return the value of what PostgreSQL took as ``jsonb``, whatever that is.

    It holds more than Python reads: an integer of thousands of digits becomes a float, mostly
    infinity, and what is nested too deeply None. So one row cannot stop its lane or its readers,
    and a judge finds fault with it where it matters.
    """
    try:
        return json.loads(text)
    except ValueError:
        return json.loads(text, parse_int=_number)
    except RecursionError:
        return None


def _number(digits: str) -> int | float:
    return int(digits) if len(digits) < 1_000 else float(digits)
