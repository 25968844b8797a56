"""Handing over to the sink: its failures pause the lane's publishing, never the recording."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from django.db import connection

from outbox import controls, failpoints, relay, slices
from outbox.failpoints import FailpointError
from outbox.lanes import lane_of
from outbox.session import relay_session
from outbox.slices import Slice
from tests.integration.outbox_fixtures import LANE, LANES, STREAM, Bench


def lane_row(bench: Bench) -> tuple[int, float | None]:
    """Return (failures, seconds that the pause still lasts)."""
    ((failures, seconds),) = bench.all(
        "SELECT publish_failures, extract(epoch FROM publish_after - clock_timestamp())::float8 "
        "FROM outbox_lane WHERE lane = %s",
        LANE,
    )
    return failures, seconds


def marks(bench: Bench) -> tuple[int, int]:
    ((last, published),) = bench.all(
        "SELECT last_seq, published_seq FROM outbox_stream WHERE name = %s", STREAM
    )
    return last, published


class TestFailingSink:
    def test_does_not_stop_the_recording(self, bench):
        (one,) = bench.tickets(1)
        bench.sink.error = ConnectionError("the transport is away")
        drainer = bench.drainer()
        for _ in range(3):
            bench.write(one)
            assert drainer.drain() is False

        assert len(bench.log()) == 3
        assert marks(bench) == (3, 0)
        assert bench.sink.rows == []

    def test_is_left_alone_while_the_pause_lasts(self, bench):
        (one,) = bench.tickets(1)
        bench.pause()
        bench.write(one)
        for drainer in (bench.drainer(), bench.drainer()):
            drainer.drain()

        assert marks(bench) == (1, 0)
        assert bench.sink.calls == []
        assert relay.pending_lanes() == []

    def test_is_asked_less_often_after_each_failure_by_the_clock_of_the_database(self, bench):
        (one,) = bench.tickets(1)
        bench.sink.error = ConnectionError("the transport is away")
        drainer = bench.drainer()
        bench.write(one)
        longest = 0.0
        for failure in range(1, 12):
            drainer.one_round()
            failures, seconds = lane_row(bench)
            assert failures == failure
            longest = min(30.0, 0.25 * 2 ** (failure - 1))
            assert longest * 0.5 - 5 < seconds <= longest
            bench.resume()
        assert longest == 30.0

    def test_gets_what_it_missed_when_it_works_again(self, bench):
        tickets = bench.tickets(3)
        drainer = bench.drainer()
        bench.sink.error = ConnectionError("the transport is away")
        bench.write(*tickets)
        drainer.drain()
        bench.write(tickets[0])
        drainer.drain()
        bench.sink.error = None
        bench.resume()
        bench.write(tickets[1])
        drainer.drain()

        assert [row.seq for row in bench.sink.rows] == [1, 2, 3, 4, 5]
        assert bench.findings() == []
        assert lane_row(bench) == (0, None)

    def test_gets_what_it_missed_also_when_nothing_new_comes(self, bench):
        bench.sink.error = ConnectionError("the transport is away")
        bench.write(*bench.tickets(3))
        bench.drainer().drain()
        bench.sink.error = None
        bench.resume()
        bench.admin.execute(
            "UPDATE outbox_stream SET last_recorded_at = clock_timestamp() - interval '1 minute'"
        )
        assert relay.pending_lanes() == [LANE]
        bench.drainer().drain()

        assert relay.pending_lanes() == []
        assert bench.findings() == []

    def test_is_told_of_in_the_log_with_one_traceback_for_an_outage(self, bench, caplog):
        bench.sink.error = ConnectionError("the transport is away")
        bench.write(*bench.tickets(1))
        drainer = bench.drainer()
        for _ in range(3):
            drainer.drain()
            bench.resume()

        paused = [record for record in caplog.records if record.message == "Publishing paused"]
        assert len(paused) == 3
        assert [bool(record.exc_info) for record in paused] == [True, False, False]


class TestRowsForTheSink:
    def test_come_ordered_by_stream_and_seq_also_with_a_missed_slice(self, bench):
        names = [f"relay:{n}" for n in range(1, 300) if lane_of(f"relay:{n}", LANES) == LANE][:3]
        tickets = [bench.tickets(1, name)[0] for name in names]
        drainer = bench.drainer()
        bench.sink.error = ConnectionError("the transport is away")
        bench.write(*tickets)
        drainer.one_round()
        bench.sink.error = None
        bench.resume()
        bench.write(*tickets)
        drainer.one_round()

        (call,) = bench.sink.calls
        assert [(row.stream, row.seq) for row in call] == sorted(
            (name, seq) for name in names for seq in (1, 2)
        )

    def test_are_the_rows_of_the_log(self, bench):
        from outbox import log

        bench.write(*bench.tickets(3))
        bench.drainer().drain()

        assert bench.sink.rows == log.read(STREAM, 0, 10)

    def test_are_the_rows_of_the_log_also_when_they_were_missed(self, bench):
        from outbox import log

        bench.write(*bench.tickets(3))
        hand = bench.hand_drainer()
        hand.lock()
        hand.record()
        hand.commit()
        hand.die()
        bench.drainer().drain()

        assert bench.sink.rows == log.read(STREAM, 0, 10)


class TestBacklog:
    def recorded_unpublished(self, bench: Bench, rows: int) -> None:
        tickets = bench.tickets(1)
        for _ in range(rows):
            bench.write(*tickets)
        hand = bench.hand_drainer()
        hand.lock()
        hand.record()
        hand.commit()
        hand.die()

    def test_up_to_the_limit_is_pushed(self, bench):
        self.recorded_unpublished(bench, 6)
        bench.configure(batch=2, push_rounds=3)
        bench.drainer().drain()

        assert [row.seq for row in bench.sink.rows] == [1, 2, 3, 4, 5, 6]
        assert marks(bench) == (6, 6)

    def test_above_the_limit_is_left_to_the_readers_and_marked(self, bench, caplog):
        self.recorded_unpublished(bench, 7)
        bench.configure(batch=2, push_rounds=3)
        bench.write(*bench.tickets(1))
        bench.drainer().drain()

        assert [row.seq for row in bench.sink.rows] == [8]
        assert marks(bench) == (8, 8)
        assert "Backlog not pushed" in caplog.text


class TestPendingLanes:
    def test_are_those_with_a_message_of_the_age(self, bench):
        bench.write(*bench.tickets(1))

        assert relay.pending_lanes() == [LANE]
        assert relay.pending_lanes(min_age_seconds=60) == []

    def test_are_none_after_the_drain(self, bench):
        bench.write(*bench.tickets(1))
        bench.drainer().drain()

        assert relay.pending_lanes() == []

    def test_name_a_lane_whose_drainer_died_between_record_and_publish(self, bench):
        bench.write(*bench.tickets(2))
        failpoints.arm("committed=raise")
        with pytest.raises(FailpointError):
            bench.drainer().drain()
        failpoints.arm("")
        assert relay.pending_lanes() == []  # another may be about to publish it
        bench.admin.execute(
            "UPDATE outbox_stream SET last_recorded_at = clock_timestamp() - interval '2 seconds'"
        )
        assert relay.pending_lanes() == [LANE]
        bench.drainer().drain()

        assert relay.pending_lanes() == []
        assert bench.findings() == []

    def test_name_a_paused_lane_that_has_something_to_record(self, bench):
        bench.pause()
        bench.write(*bench.tickets(1))

        assert relay.pending_lanes() == [LANE]


class TestSession:
    def test_is_dropped_after_an_error_and_made_anew(self, bench):
        (one,) = bench.tickets(1)
        drainer = bench.drainer()
        bench.write(one)
        first = drainer.pid()
        bench.admin.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
        with pytest.raises(Exception, match="terminating connection"):
            drainer.drain()
        drainer.drain()

        assert drainer.pid() != first
        assert bench.findings() == []

    def test_is_one_per_thread(self, bench):
        first, second = bench.drainer(), bench.drainer()

        assert len({first.pid(), first.pid(), second.pid()}) == 2

    def test_is_kept_for_the_next_use(self, bench):
        with relay_session() as first:
            pass
        with relay_session() as second:
            assert first is second


class TestHeads:
    """Several are locked in the order of their names, by whoever locks them, or two would wait."""

    @pytest.fixture
    def names(self, bench: Bench) -> list[str]:
        names = sorted(
            [name for n in range(999) if lane_of(name := f"relay:{n}", LANES) == LANE][:40]
        )
        for name in names:
            bench.write(*bench.tickets(1, name))
        bench.record_only()
        return names

    def record(self, bench: Bench, names: list[str]) -> Callable[[], Any]:
        bench.write(*[bench.tickets(1, name)[0] for name in reversed(names)])
        hand = bench.hand_drainer()
        hand.lock()
        return hand.record

    def mark(self, bench: Bench, names: list[str]) -> Callable[[], Any]:
        rows = [Slice(name, 0, 1) for name in reversed(names)]
        return lambda: slices.mark(psycopg_client(bench), rows, [])

    def skip(self, bench: Bench, names: list[str]) -> Callable[[], Any]:
        return lambda: controls.skip(LANE, actor="user:1", reason="nobody needs them")

    @pytest.mark.parametrize("who", ["record", "mark", "skip"])
    def test_are_locked_from_the_first_name_on(self, bench, names, who):
        locks = getattr(self, who)(bench, names)
        holder = bench.connect()
        holder.execute("BEGIN")
        holder.execute("SELECT FROM outbox_stream WHERE name = %s FOR UPDATE", [names[0]])
        with ThreadPoolExecutor(1) as thread:
            running = thread.submit(locks)
            bench.wait_for_lock("outbox_stream")
            free = bench.all(
                "SELECT name FROM outbox_stream ORDER BY name FOR UPDATE SKIP LOCKED",
            )
            holder.execute("COMMIT")
            running.result(20)
            thread.submit(lambda: connection.close()).result(20)  # that of the thread

        assert [name for (name,) in free] == names[1:]


def psycopg_client(bench: Bench) -> psycopg.Connection[Any]:
    """A connection of its own, as the relay has it."""
    made = bench.connect()
    made.cursor_factory = psycopg.ClientCursor
    return made
