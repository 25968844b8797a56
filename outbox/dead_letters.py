"""
Dead letters: events that could not be handed over, kept with the row and every attempt.

An event dies for one of three reasons (:class:`outbox.models.Reason`): it cannot be delivered as it
is (``judge`` in ``settings.OUTBOX`` says so), the sink fails at it alone, or it kills its worker.
"""

import hashlib
import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import psycopg

from outbox import sql
from outbox.conf import outbox_settings
from outbox.heartbeat import worker_name
from outbox.log import LogRow
from outbox.redaction import ERROR_LENGTH, cleaned, error_text

logger = logging.getLogger("outbox.dead_letters")

POISON, SINK_ERROR, CRASH = "poison", "sink_error", "crash"

# What differs between events that failed for one cause: ids, numbers, times, quoted values.
_VARYING = re.compile(r"'[^']*'|\"[^\"]*\"|\b[0-9a-f]{8}-[0-9a-f-]{27}\b|0x[0-9a-f]+|\d+(?:\.\d+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try to hand ``row`` over that failed. ``duration_ms`` is None when the worker died."""

    row: LogRow
    number: int
    reason: str
    started_at: datetime
    error: str
    duration_ms: float | None = None
    traceback: str = ""
    worker: str = ""


def fingerprint(reason: str, type: str, error: str) -> str:
    """Return 12 hex digits that are the same for events of a type that failed for one cause."""
    cause = f"{reason}|{type}|{_VARYING.sub('#', error)}"
    return hashlib.sha256(cause.encode()).hexdigest()[:12]


def judge(connection: psycopg.Connection, rows: Sequence[LogRow], *, now: datetime) -> int:
    """
    File those of ``rows`` that can never be delivered; return how many they are.

    They stay in the order: a sink puts something in their place. Safe to repeat.
    """
    if outbox_settings().verdict is None:
        return 0
    found = []
    for row in rows:
        fault = fault_of(row)
        if fault is not None:
            found.append(
                Attempt(
                    row=row,
                    number=1,
                    reason=POISON,
                    started_at=now,
                    duration_ms=0.0,
                    error=fault,
                )
            )
    if found:
        bury(connection, found)
    return len(found)


def fault_of(row: LogRow) -> str | None:
    """Return why ``row`` can never be delivered as it is, None when it can."""
    verdict = outbox_settings().verdict
    if verdict is None:
        return None
    try:
        fault = verdict(row)
    except Exception as error:  # a judge that fails at a row cannot have it delivered
        fault = f"it could not be judged: {error_text(error)}"
    return None if fault is None else cleaned(fault)[:ERROR_LENGTH]


def bury(connection: psycopg.Connection, last: Sequence[Attempt]) -> None:
    """
    File a dead letter for the row of each of ``last``, its last attempt.

    The earlier attempts are added by :func:`note`. An event that has a dead letter keeps that one.
    """
    params = {
        "sink": outbox_settings().sink,
        "dead": json.dumps(
            [
                {
                    "stream": attempt.row.stream,
                    "seq": attempt.row.seq,
                    "recorded_at": attempt.row.recorded_at.isoformat(),
                    "reason": attempt.reason,
                    "error": attempt.error,
                    "fingerprint": fingerprint(attempt.reason, attempt.row.type, attempt.error),
                    "attempts": attempt.number,
                }
                for attempt in last
            ]
        ),
    }
    with connection.transaction():
        filed = {event_id for (event_id,) in connection.execute(sql.FILE_DEAD, params).fetchall()}
        new = [attempt for attempt in last if attempt.row.event_id in filed]
        # What is poison may kill its worker as well: its crashes count, or it would for ever.
        kept = [each for each in last if each.reason == CRASH or each.row.event_id in filed]
        _add(connection, kept)
        count(connection, [attempt.reason for attempt in kept])
    for attempt in new:
        logger.error(
            "An event is dead",
            extra={
                "stream": attempt.row.stream,
                "seq": attempt.row.seq,
                "event_id": str(attempt.row.event_id),
                "type": attempt.row.type,
                "request_id": _request_id(attempt.row),
                "reason": attempt.reason,
                "error": attempt.error,
            },
        )


def _request_id(row: LogRow) -> Any:
    return row.context.get("request_id") if isinstance(row.context, dict) else None


def note(connection: psycopg.Connection, attempts: Sequence[Attempt]) -> None:
    """Keep attempts that were not the last one of their event."""
    with connection.transaction():
        _add(connection, attempts)
        count(connection, [attempt.reason for attempt in attempts])


def count(connection: psycopg.Connection, kinds: Iterable[str]) -> None:
    """Count failures by kind: those of an event by its reason, the others as transport or sink."""
    totals = Counter(kinds)
    if totals:
        params = {"kinds": list(totals), "counts": list(totals.values())}
        connection.execute(sql.COUNT_FAILURES, params)


def _add(connection: psycopg.Connection, attempts: Sequence[Attempt]) -> None:
    if not attempts:
        return
    rows = [_as_row(replace(each, worker=each.worker or worker_name())) for each in attempts]
    connection.execute(sql.ADD_ATTEMPTS, {"attempts": json.dumps(rows)})


def _as_row(attempt: Attempt) -> dict[str, Any]:
    return {
        "event_id": str(attempt.row.event_id),
        "stream": attempt.row.stream,
        "seq": attempt.row.seq,
        "number": attempt.number,
        "reason": attempt.reason,
        "started_at": attempt.started_at.isoformat(),
        "duration_ms": attempt.duration_ms,
        "worker": attempt.worker,
        "error": attempt.error,
        "traceback": attempt.traceback,
    }
