"""
Doing what replays were asked for, a few events at a time.

Each call of :func:`step` sends as much as the rates allow and returns, so that no worker waits. An
event, the mark on its dead letter and its row in the audit are one transaction, and one process
at a time steps: so an event that two replays chose is sent once.
"""

import logging
from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any
from uuid import UUID

from django.db import Error, connections, transaction
from django.db.backends.utils import CursorWrapper

from outbox import failpoints, sql
from outbox.redaction import error_text
from outbox.replay import candidates
from outbox.replay.candidates import ALREADY, FAILED, READY, Candidate
from outbox.replay.choice import DEAD_LETTERS
from outbox.replay.plan import DISCARD
from outbox.replay.progress import OUTCOMES
from outbox.session import relay_session
from outbox.wake import wake

logger = logging.getLogger("outbox.replay")

CHUNK = 50  # events per transaction
STEP_SECONDS = 1.5  # then it is somebody else's turn; the next step goes on


@dataclass(frozen=True, slots=True)
class Due:
    """A running replay whose turn it is."""

    id: int
    action: str
    source: str
    forced: bool
    actor: str
    rate: int
    requested_at: datetime

    @property
    def discards(self) -> bool:
        return self.action == DISCARD


@dataclass(frozen=True, slots=True)
class Item:
    """One chosen event without an outcome."""

    number: int
    event_id: UUID
    stream: str
    seq: int
    dead_letter_id: int | None


def step(*, seconds: float = STEP_SECONDS, using: str = "default") -> int:
    """
    Advance the running replays by what their rates allow; return how many events were settled.

    Safe to repeat and to run at once: one process steps, the others leave.
    """
    settled, deadline = 0, monotonic() + seconds
    while monotonic() < deadline:
        done = _chunk(using)
        if not done:
            break
        settled += done
    return settled


def due() -> bool:
    """Tell whether a replay waits for a step; asked on the relay's session of this thread."""
    with relay_session() as session:
        return bool(session.connection.execute(sql.REPLAY_IS_DUE).fetchall()[0][0])


def _chunk(using: str) -> int:
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute(sql.TRY_LOCK_REPLAYS)
        if not cursor.fetchone()[0]:
            return 0
        cursor.execute(sql.DUE_REPLAY)
        found = cursor.fetchone()
        if found is None:
            return 0
        due = Due(*found)
        limit = {"replay_id": due.id, "limit": min(CHUNK, due.rate)}
        cursor.execute(sql.TODO, limit)
        items = [Item(*row) for row in cursor.fetchall()]
        tally, first_error = _settle(cursor, due, items, using)
        cursor.execute(
            sql.ADVANCE_REPLAY,
            {
                "replay_id": due.id,
                "done": len(items),
                "first_error": first_error,
                **{name: tally[name] for name in OUTCOMES},
            },
        )
        failpoints.hit("replay_claimed")
    logger.info(
        "Replay advanced",
        extra={"replay": due.id, "action": due.action, "actor": due.actor, **tally},
    )
    return len(items)


def _settle(
    cursor: CursorWrapper, due: Due, items: list[Item], using: str
) -> tuple[Counter[str], str | None]:
    """Give each item its outcome; return how many there were of each, and the first error."""
    found = {candidate.row.event_id: candidate for candidate in _candidates(cursor, due, items)}
    tally: Counter[str] = Counter()
    first_error = None
    for item in items:
        outcome, detail, new_event_id = _settle_one(cursor, due, item, found, using)
        cursor.execute(
            sql.FINISH_ITEM,
            {
                "replay_id": due.id,
                "number": item.number,
                "outcome": outcome,
                "detail": detail,
                "new_event_id": new_event_id,
            },
        )
        tally[outcome] += 1
        if outcome == FAILED and first_error is None:
            first_error = f"{item.stream} {item.seq}: {detail}"
    return tally, first_error


def _candidates(cursor: CursorWrapper, due: Due, items: list[Item]) -> list[Candidate]:
    how: Any = {"discard": due.discards, "forced": due.forced}
    if due.source == DEAD_LETTERS:
        keys = [item.dead_letter_id for item in items if item.dead_letter_id is not None]
        return list(candidates.read(cursor, due.source, None, keys, **how))
    stream = items[0].stream  # a replay of logged events is of one stream
    return list(candidates.read(cursor, due.source, stream, [i.seq for i in items], **how))


def _settle_one(
    cursor: CursorWrapper, due: Due, item: Item, found: dict[UUID, Candidate], using: str
) -> tuple[str, str, Any]:
    candidate = found.get(item.event_id)
    if candidate is None:
        return FAILED, "it is no longer kept", None
    if candidate.verdict != READY:
        return candidate.verdict, candidate.why, None
    if candidate.replayed_at is not None and candidate.replayed_at > due.requested_at:
        return ALREADY, "another replay sent it meanwhile", None
    try:
        with transaction.atomic(using=using):  # an event that fails takes no other with it
            return _send(cursor, due, item, candidate, using)
    except Error as error:
        logger.exception("An event could not be replayed", extra={"replay": due.id})
        return FAILED, error_text(error), None


def _send(
    cursor: CursorWrapper, due: Due, item: Item, candidate: Candidate, using: str
) -> tuple[str, str, Any]:
    row = candidate.row
    state = "discarded" if due.discards else "replayed"
    if item.dead_letter_id is not None:
        claim: dict[str, Any] = {"id": item.dead_letter_id, "state": state, "replay_id": due.id}
        cursor.execute(sql.CLAIM_DEAD, claim)
        if not cursor.rowcount:
            return ALREADY, "another replay was faster", None
    if due.discards:
        return state, "", None
    again = sql.LOGGED_AGAIN if item.dead_letter_id is None else sql.DEAD_AGAIN
    params: dict[str, Any] = {
        "replay_id": due.id,
        "stream": row.stream,
        "subject": row.subject,
        "id": item.dead_letter_id,
        "seq": item.seq,
    }
    cursor.execute(again, params)
    while cursor.nextset():  # the lock's result comes first
        pass
    (new_event_id,) = cursor.fetchone()
    wake(row.stream, using=using)
    return state, "", new_event_id
