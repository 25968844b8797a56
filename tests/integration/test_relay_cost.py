"""
What an event costs: round trips of the relay exactly, WAL within a margin.

``cost.json`` holds the committed figures; whoever changes them says why in the commit.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
import pytest

from outbox.lanes import lane_of
from outbox.session import relay_session
from tests.integration.outbox_fixtures import LANE, LANES

COMMITTED = json.loads(Path(__file__).with_name("cost.json").read_text())
WAL_MARGIN = 0.15
BATCH, STREAMS, ROUNDS = 500, 20, 4
SAVES = 500
PASSES = 5


class CountingCursor(psycopg.ClientCursor[Any]):
    executed = 0

    def execute(self, *args: Any, **kwargs: Any) -> Any:
        CountingCursor.executed += 1
        return super().execute(*args, **kwargs)


def wal_bytes(session: psycopg.Connection[Any]) -> int:
    """
    Return the WAL of this session alone so far, in bytes; other sessions count for themselves.

    A page is copied into the WAL when it is first written after a checkpoint, so the callers take
    the median of several passes.
    """
    cursor = psycopg.ClientCursor(session)
    cursor.execute("SELECT pg_stat_force_next_flush()")
    cursor.execute("SELECT wal_bytes FROM pg_stat_get_backend_wal(pg_backend_pid())")
    return int(cursor.fetchall()[0][0])


def per_event(deltas: Sequence[int], events: int) -> float:
    return round(median(deltas) / events, 1)


@pytest.fixture
def streams() -> list[str]:
    names = [f"relay:{n}" for n in range(1, 1_000) if lane_of(f"relay:{n}", LANES) == LANE]
    return names[:STREAMS]


class TestCost:
    def test_of_recording_and_publishing_is_as_committed(self, bench, streams):
        tickets = [bench.tickets(1, stream)[0] for stream in streams]
        bench.configure(batch=BATCH)
        bench.sink.targets = lambda row: ["tenant", "site"]  # two groups, as for a ticket
        drainer = bench.drainer()
        events = BATCH * ROUNDS

        def fill() -> None:
            for state in range(events // STREAMS):
                bench.admin.execute(
                    "UPDATE relay_ticket SET state = state + 1, name = %s WHERE id = ANY(%s)",
                    [f"change {state}", tickets],
                )

        def measured() -> int:
            def before() -> int:
                with relay_session() as session:
                    session.connection.cursor_factory = CountingCursor
                    CountingCursor.executed = 0
                    return wal_bytes(session.connection)

            def after() -> int:
                with relay_session() as session:
                    return wal_bytes(session.connection)

            start = drainer.call(before)
            drainer.drain()
            return drainer.call(after) - start

        fill()
        drainer.drain()  # new streams, and the first copies of the pages
        deltas = []
        for _ in range(PASSES):
            fill()
            deltas.append(measured())
            assert CountingCursor.executed == COMMITTED["relay_round_trips_per_2000_events"]
        found = per_event(deltas, events)

        assert len(bench.sink.rows) == events * (PASSES + 1)
        committed = COMMITTED["relay_wal_bytes_per_event"]
        assert found == pytest.approx(committed, rel=WAL_MARGIN)

    def test_of_capturing_a_change_is_as_committed(self, bench):
        tickets = bench.tickets(SAVES)
        session = bench.connect()
        session.execute("SET synchronous_commit = off")  # the same WAL, without the wait

        def saved() -> int:
            start = wal_bytes(session)
            for ticket in tickets:
                session.execute(
                    "UPDATE relay_ticket SET state = state + 1, name = 'change' WHERE id = %s",
                    [ticket],
                )
            return wal_bytes(session) - start

        saved()
        found = per_event([saved() for _ in range(PASSES)], SAVES)

        assert found == pytest.approx(COMMITTED["save_wal_bytes"], rel=WAL_MARGIN)
