"""The chosen events, read some at a time, each with what speaks against replaying it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.backends.utils import CursorWrapper

from outbox import sql
from outbox.conf import outbox_settings
from outbox.dead_letters import fault_of
from outbox.log import LogRow, decoded
from outbox.replay.choice import DEAD_LETTERS, Key

PAGE = 200  # rows with their payloads in memory

READY, ALREADY, SUPERSEDED, FAILED = "ready", "already", "superseded", "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """``verdict`` is what would become of the event now, ``why`` the reason when it is not sent."""

    key: Key
    row: LogRow
    verdict: str
    why: str = ""
    replayed_at: datetime | None = None  # of a logged event: when it was replayed last


def read(
    cursor: CursorWrapper,
    source: str,
    stream: str | None,
    keys: Sequence[Key],
    *,
    discard: bool,
    forced: bool,
) -> Iterator[Candidate]:
    """Yield a candidate per key that is still there, in order of stream and seq."""
    query = sql.READ_DEAD if source == DEAD_LETTERS else sql.READ_LOGGED
    for start in range(0, len(keys), PAGE):
        params = {"keys": list(keys[start : start + PAGE]), "stream": stream}
        cursor.execute(query, params)
        found = cursor.fetchall()
        rows = [LogRow(*row) for row in decoded(row[2:] for row in found)]
        stale = {} if discard or forced else moved_on(rows)
        for (key, state, *_), row in zip(found, rows, strict=True):
            replayed_at = None if source == DEAD_LETTERS else state
            if source == DEAD_LETTERS and state != "dead":
                verdict, why = ALREADY, f"it is {state} already"
            elif discard:
                verdict, why = READY, ""
            elif fault := fault_of(row):  # it would die again at once
                verdict, why = FAILED, fault
            elif row.event_id in stale:
                verdict, why = SUPERSEDED, stale[row.event_id]
            else:
                verdict, why = READY, ""
            yield Candidate(key=key, row=row, verdict=verdict, why=why, replayed_at=replayed_at)


def moved_on(rows: Sequence[LogRow]) -> Any:
    superseded = outbox_settings().superseded
    return {} if superseded is None or not rows else superseded(rows)
