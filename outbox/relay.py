"""
The relay: record, then publish.

A *round* takes the lock of one lane, moves its oldest messages into the event log with the next
numbers of their streams, commits, and then hands what it recorded to the sink, outside any
transaction and lock. PostgreSQL decides what happened; the sink only makes it fast:

- An event is in the log if and only if the record transaction committed. Its number is drawn under
  the lane lock, so a rollback leaves no hole, and two recorders never share a number.
- The sink gets an event only after that commit was confirmed. It may get it twice (a holder that
  died is followed by one who publishes the slice again) and slices may overtake each other;
  receivers sort by ``seq``.
- A failing sink pauses publishing, never recording. What fails, and how: :mod:`outbox.handover`.

Note [Who looks last]
A message must not be overlooked by everybody. Each commit is followed by a nudge or a sweep, and
who finds the lane taken waits for it unless somebody waits already. The waiter holds a gate during
its first look, and those who left meanwhile count on it, hence a look that held the gate is never
the last one of a drain.

Note [Low water]
Reading a lane from its beginning costs a walk over dead index entries while an old snapshot is
held. So a lane keeps ``low_id``: no message at or below it can appear any more. It may rise to m
only when (a) every transaction that could still bring an id up to m has ended and (b) a later
look from the old low water, one that was not cut short below m, has recorded them. For (a) a mark
(m, own xid) is written in a *later* transaction than the one that recorded m; a writer has its xid
before its id, so once ``pg_snapshot_xmin`` passes the mark's xid no such writer is left. "The
greatest recorded id" and ``pg_snapshot_xmax`` as the mark both put a ticket's events out of
order.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from time import monotonic
from typing import Any

import psycopg
from django.utils import timezone

from outbox import dead_letters, failpoints, slices, sql, takeover
from outbox.conf import outbox_settings
from outbox.errors import LaneMissing, RowsLost
from outbox.handover import hand_over
from outbox.log import LogRow
from outbox.session import Session, relay_session
from outbox.slices import Slice

logger = logging.getLogger("outbox.relay")

GATE = 0x6F757462  # "outb": the advisory lock class of the gates; the lane is the second key
LOW_WATER_SLACK = 1_000  # ids; below it the low-water id is not worth a write of its own


class Turn(Enum):
    """How taking the lane ended."""

    HELD = 1
    WAITED = 2  # held, after a wait at the gate
    LEFT = 3  # somebody holds it, and somebody else waits for it


@dataclass(frozen=True, slots=True)
class Round:
    turn: Turn
    rows: Sequence[LogRow] = ()
    behind: Sequence[Slice] = ()
    number: int | None = None  # the lane's count of record rounds, after this one
    paused: bool = False


def drain(lane: int, *, deadline: float) -> bool:
    """
    Record and publish the messages of ``lane`` until none is left or ``deadline`` (monotonic
    seconds) has passed. Return whether there may be more to do.

    Safe to repeat and to run at once on any number of machines: the lane row's lock lets one in.

    Raises:
        OutboxError: the database is unsafe or a lane is missing; nothing was recorded.
        psycopg.Error: the database failed; what had been recorded stays, the rest is undone.
    """
    with relay_session() as session:
        while True:
            done = _record(session, lane)
            if done.turn is Turn.LEFT:
                return False
            # Before the sink is asked: its failures must not hide what can never be delivered.
            dead_letters.judge(session.connection, done.rows, now=timezone.now())
            handed_over = not done.paused and _publish(session, lane, done, deadline)
            # What is behind and stays so is another's, or has to wait: it is no reason to go on.
            moved = bool(done.rows) or (bool(done.behind) and handed_over)
            if not moved and done.turn is Turn.HELD:  # Note [Who looks last]
                return False
            if monotonic() >= deadline:
                return True


def pending_lanes(*, min_age_seconds: float = 0) -> list[int]:
    """Return the lanes with a message at least this old, or with a slice that nobody publishes."""
    with relay_session() as session:
        params = {"age": min_age_seconds, "lease": takeover.LEASE_SECONDS}
        rows = session.connection.execute(sql.PENDING_LANES, params).fetchall()
    return [lane for (lane,) in rows]


def find_below_low_water() -> list[int]:
    """
    Look for messages that the low-water id hides, reset it for their lanes, and return these.

    A hit is a bug or an explicit id, never normal; it is logged as an error.
    """
    with relay_session() as session:
        rows = session.connection.execute(sql.BELOW_LOW_WATER).fetchall()
    lanes = [lane for (lane,) in rows]
    if lanes:
        logger.error(
            "Messages appeared below the low-water id; it was reset", extra={"lanes": lanes}
        )
    return lanes


# --- Record ----------------------------------------------------------------------------------


def _record(session: Session, lane: int) -> Round:
    """Run one record transaction; on return it is committed or nothing happened."""
    connection, memory, settings = session.connection, session.memory(lane), outbox_settings()
    failpoints.hit("before_lane_lock")
    turn, lane_row = _take_lane(connection, lane)
    if lane_row is None:
        connection.execute("ROLLBACK")
        return Round(turn)
    failpoints.hit("lane_locked")
    round_, low_id, paused = lane_row
    behind: list[Slice] = []
    if not paused and memory.round != round_:  # taken over, or my last slice was not published
        behind = slices.behind(connection, lane)
    found = connection.execute(
        sql.RECORD,
        {
            "lane": lane,
            "low": low_id,
            "n": settings.batch,
            "seen": memory.seen,
            "slack": LOW_WATER_SLACK,
        },
    ).fetchall()
    count, top, new_round = found[0][:3]
    rows = [LogRow(*row[3:]) for row in found if row[3] is not None]
    if len(rows) != count:
        raise RowsLost(f"lane {lane}: {count} messages deleted, {len(rows)} logged; rolled back")
    failpoints.hit("recorded")
    connection.execute("COMMIT" if count else f"{sql.RELAX_COMMIT}; COMMIT")
    failpoints.hit("committed")
    memory.seen = max(memory.seen, top)
    memory.round = None  # until the slice is published, the next look examines the marks
    return Round(turn, rows, behind, new_round or round_, paused)


def _take_lane(
    connection: psycopg.Connection, lane: int
) -> tuple[Turn, tuple[int, int, bool] | None]:
    cursor = connection.cursor()
    cursor.execute(sql.OPEN_ROUND, {"lane": lane})
    if row := _last_result(cursor):
        return Turn.HELD, row
    (gate,) = _one(connection, sql.TAKE_GATE, {"gate": GATE, "lane": lane})
    if not gate:
        return Turn.LEFT, None
    row = connection.execute(sql.WAIT_FOR_LANE, {"lane": lane}).fetchone()
    if row is None:
        raise LaneMissing(f"lane {lane} has no row in outbox_lane: run `manage.py outbox_relane`")
    return Turn.WAITED, row


def _publish(session: Session, lane: int, done: Round, deadline: float) -> bool:
    """Hand over what is due; return whether the marks are at the heads as this session knows."""
    due = bool(done.rows or done.behind)
    if due and not hand_over(session.connection, lane, done.rows, done.behind, deadline=deadline):
        return False
    session.memory(lane).round = done.number
    return True


def _last_result(cursor: psycopg.Cursor) -> Any:
    """Return the first row of the last of several statements sent in one message."""
    while cursor.nextset():
        pass
    return cursor.fetchone()


def _one(connection: psycopg.Connection, query: str, params: dict[str, Any]) -> Any:
    return connection.execute(query, params).fetchall()[0]
