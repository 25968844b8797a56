"""
Taking over what another drainer recorded and did not publish.

Note [Crashes]
An event may kill the process that hands it over, and the next one, and so on. Nobody can note the
attempt afterwards, so it is noted before. Who finds a slice behind puts its mark on the lane and
hands the slice over at once: mostly the other was ended by a deployment, or is still at it. A mark
that is older than ``LEASE_SECONDS`` was left by a process that died while it handed over, so the
next one goes *solo*: it commits which event it is at before it hands that one over alone. A solo
event found under an old mark is a crash, and the third one makes it a dead letter. A process that
lives to see an error takes its mark away: only crashes are counted, never errors. One whose time is
over leaves a mark that is as good as old, with no event: the next one goes on solo, from there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import psycopg

from outbox import sql
from outbox.dead_letters import CRASH, Attempt
from outbox.heartbeat import worker_name
from outbox.log import LogRow

LEASE_SECONDS = 5.0  # far above what handing over one batch may take with time-outs of a second
MAX_CRASHES = 3
_ERROR = "the worker ended while it handed this event over alone"


class TakenOver(Exception):
    """Another drainer put its mark on the lane, so this one has been too slow: it leaves."""


@dataclass(slots=True)
class Takeover:
    """One drainer's mark on a lane. ``died``: who had the mark before ended without taking it."""

    lane: int
    token: datetime
    died: bool
    former_at: datetime | None
    former_by: str | None
    former_event_id: UUID | None
    at: UUID | None = None  # the event that this drainer went solo with last

    def go_solo(self, connection: psycopg.Connection, row: LogRow) -> None:
        """
        Note that ``row`` is handed over alone from now on.

        Raises:
            TakenOver: the mark is another's by now.
        """
        params = {"lane": self.lane, "token": self.token, "event_id": row.event_id}
        found = connection.execute(sql.GO_SOLO, params).fetchone()
        if found is None:
            raise TakenOver
        (self.token,) = found
        self.at = row.event_id

    def survived(self, connection: psycopg.Connection) -> None:
        """Note that the last event has not ended this process, which was taken for dead."""
        if self.at is not None:
            connection.execute(sql.SURVIVED, {"lane": self.lane, "event_id": self.at})

    def take_away(self, connection: psycopg.Connection) -> None:
        """Take the mark away, unless another has put its own there."""
        connection.execute(sql.TAKE_MARK_AWAY, {"lane": self.lane, "token": self.token})

    def crash_of(self, rows: Sequence[LogRow], crashes: dict[UUID, int]) -> Attempt | None:
        """Return the attempt during which the former holder died, when it went solo."""
        for row in rows:
            if row.event_id == self.former_event_id and self.former_at is not None:
                return Attempt(
                    row=row,
                    number=crashes.get(row.event_id, 0) + 1,
                    reason=CRASH,
                    started_at=self.former_at,
                    error=_ERROR,
                    worker=self.former_by or "",
                )
        return None


def begin(connection: psycopg.Connection, lane: int) -> Takeover | None:
    """Put this drainer's mark on ``lane``; return None while another's is fresh."""
    params = {"lane": lane, "lease": LEASE_SECONDS, "by": worker_name()}
    found = connection.execute(sql.TAKE_OVER, params).fetchone()
    if found is None:
        return None
    token, former_at, former_by, event_id = found
    return Takeover(lane, token, former_at is not None, former_at, former_by, event_id)


def hand_back(connection: psycopg.Connection, lane: int, mark: Takeover | None) -> None:
    """Leave ``lane`` to whoever comes next, who goes solo."""
    token = mark.token if mark else None
    connection.execute(sql.HAND_BACK, {"lane": lane, "token": token, "by": worker_name()})


def crashes(connection: psycopg.Connection, rows: Sequence[LogRow]) -> dict[UUID, int]:
    """Return how often each of ``rows`` has killed a worker; those that have not are left out."""
    params = {"event_ids": [row.event_id for row in rows]}
    return dict(connection.execute(sql.CRASHES, params).fetchall())


def not_dead(connection: psycopg.Connection, rows: Sequence[LogRow]) -> list[LogRow]:
    """Return ``rows`` without those that a former holder has filed as nothing for the sink."""
    params = {"event_ids": [row.event_id for row in rows]}
    dead = {event_id for (event_id,) in connection.execute(sql.DEAD_AMONG, params).fetchall()}
    return [row for row in rows if row.event_id not in dead]
