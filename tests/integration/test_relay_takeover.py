"""What a dead drainer left: taken over at once, then one by one; the third crash is a death."""

from typing import Any

import pytest

from outbox import failpoints, handover, log, takeover
from outbox.errors import TransportDown
from outbox.failpoints import FailpointError
from outbox.models import Attempt, DeadLetter
from outbox.session import relay_session
from outbox.takeover import LEASE_SECONDS
from tests.integration import outbox_fixtures
from tests.integration.failing_relay import JUDGE, counts, marks, publish
from tests.integration.outbox_fixtures import LANE, STREAM, Bench


class TestCrash:
    """A holder that died leaves its mark; ``old`` makes one look as if it was left long ago."""

    def old(self, bench: Bench, event_id: Any = None) -> None:
        bench.admin.execute(
            "UPDATE outbox_lane SET takeover_at = clock_timestamp() - make_interval(secs => %s),"
            " takeover_by = 'host:1', solo_event_id = %s WHERE lane = %s",
            [LEASE_SECONDS + 1, event_id, LANE],
        )

    def age(self, bench: Bench) -> None:
        """Let the mark that is there look old."""
        bench.admin.execute(
            "UPDATE outbox_lane SET takeover_at = takeover_at - make_interval(secs => %s)"
            " WHERE lane = %s",
            [LEASE_SECONDS + 1, LANE],
        )

    def event_id(self, bench: Bench, seq: int) -> Any:
        return bench.one("SELECT event_id FROM event_log WHERE seq = %s", seq)

    def test_of_a_holder_is_followed_by_one_push_of_all(self, bench, names):
        names(5)
        bench.drainer().drain()

        assert [len(call) for call in bench.sink.calls] == [5]
        assert bench.all(
            "SELECT takeover_at, takeover_by FROM outbox_lane WHERE lane = %s", LANE
        ) == [(None, None)]

    def test_of_the_next_holder_too_is_followed_by_one_event_at_a_time(self, bench, names):
        names(4)
        self.old(bench)
        bench.write(*bench.tickets(2))
        bench.drainer().drain()

        # What is new goes first: it must not wait for what may kill this process too.
        assert [[row.seq for row in call] for call in bench.sink.calls] == [
            [5, 6], [1], [2], [3], [4]
        ]  # fmt: skip
        assert marks(bench) == (6, 6)
        assert not Attempt.objects.exists()

    def test_is_noted_before_the_event_is_handed_over(self, bench, names):
        names(3)
        self.old(bench)
        seen = []
        send = bench.sink.deliver

        def deliver(rows: Any) -> None:
            seen.append(bench.one("SELECT solo_event_id FROM outbox_lane WHERE lane = %s", LANE))
            send(rows)

        bench.sink.deliver = deliver
        bench.drainer().drain()

        assert seen == [self.event_id(bench, seq) for seq in (1, 2, 3)]

    def test_at_one_event_is_counted_and_kills_it_the_third_time(self, bench, names):
        names(4)
        killer = self.event_id(bench, 3)
        for number in (1, 2):
            self.old(bench, killer)
            bench.drainer().drain()
            bench.admin.execute("UPDATE outbox_stream SET published_seq = 0")
            assert Attempt.objects.filter(reason="crash").count() == number
            assert not DeadLetter.objects.exists()
        self.old(bench, killer)
        bench.sink.calls.clear()
        bench.drainer().drain()

        letter = DeadLetter.objects.get()
        assert (letter.seq, letter.reason, letter.attempts) == (3, "crash", 3)
        assert [a.number for a in Attempt.objects.order_by("id")] == [1, 2, 3]
        assert {a.worker for a in Attempt.objects.all()} == {"host:1"}
        assert {a.duration_ms for a in Attempt.objects.all()} == {None}
        assert [row.seq for row in bench.sink.rows] == [1, 2, 4]
        assert marks(bench) == (4, 4)
        assert counts(bench) == {"crash": 3}

    def test_is_counted_once_though_the_next_holder_dies_before_its_first_event(self, bench, names):
        names(3)
        innocent = self.event_id(bench, 2)
        found = []
        for _ in range(2):
            self.old(bench, innocent) if not found else self.age(bench)
            with relay_session() as session:
                mark = takeover.begin(session.connection, LANE)
                found.append(mark and (mark.died, mark.former_event_id))

        assert found == [(True, innocent), (True, None)]

    def test_is_counted_also_at_an_event_that_is_poison_already(self, bench):
        bench.configure(judge=JUDGE)
        publish("it lacks a key", None)
        bench.record_only()
        bench.drainer().drain()
        killer = self.event_id(bench, 1)
        for event_id in (killer, killer, killer, None):
            self.old(bench, event_id)
            bench.sink.calls.clear()
            bench.admin.execute("UPDATE outbox_stream SET published_seq = 0")
            bench.drainer().drain()

        assert [a.number for a in Attempt.objects.filter(reason="crash")] == [1, 2, 3]
        assert DeadLetter.objects.get().reason == "poison"
        assert [row.seq for row in bench.sink.rows] == [2]
        assert marks(bench) == (2, 2)

    def test_leaves_one_event_at_a_time_until_the_time_is_over_and_then_goes_on(self, bench, names):
        names(4)
        self.old(bench)
        drainer = bench.drainer()
        for seq in (1, 2):
            drainer.one_round()  # its deadline has passed
            assert bench.sink.rows[-1].seq == seq
            assert marks(bench) == (4, seq)
        assert outbox_fixtures.relay.pending_lanes(min_age_seconds=-9) == [LANE]
        drainer.drain()

        assert [[row.seq for row in call] for call in bench.sink.calls] == [[1], [2], [3], [4]]
        assert marks(bench) == (4, 4)
        assert not Attempt.objects.exists()
        assert bench.one("SELECT takeover_at FROM outbox_lane WHERE lane = %s", LANE) is None

    def test_has_the_marks_follow_one_event_at_a_time(self, bench, names, monkeypatch):
        monkeypatch.setattr(handover, "SETTLE_SECONDS", 0)
        bad = names(4)[0]
        self.old(bench)
        seen = []

        def deliver(rows: Any) -> Any:
            seen.append(marks(bench)[1])
            if rows[0].payload["name"] == bad:
                raise ValueError("a bug")
            return {STREAM: {"a group": [rows[0].seq, rows[-1].seq, len(rows)]}}

        names(1)  # of another round: it may vouch for the sink
        bench.admin.execute("UPDATE outbox_stream SET published_seq = 0")
        bench.sink.deliver = deliver
        witness = bench.tickets(1, "relay:2")
        bench.write(*witness)
        bench.drainer(lane=outbox_fixtures.lane_of("relay:2", 8)).drain()
        seen.clear()
        bench.drainer().drain()

        assert seen[-4:] == [1, 2, 3, 4]
        assert marks(bench) == (5, 5)
        assert [a.number for a in Attempt.objects.order_by("id")] == [1, 2, 3]
        sent = bench.all("SELECT first_seq FROM outbox_broadcast WHERE stream = %s", STREAM)
        assert sorted(sent) == [(2,), (3,), (4,), (5,)]

    def test_is_not_what_another_error_ends(self, bench, names):
        names(3)
        self.old(bench)
        failpoints.arm("published=raise")
        with pytest.raises(FailpointError):
            bench.drainer().drain()

        assert bench.all(
            "SELECT takeover_at, solo_event_id FROM outbox_lane WHERE lane = %s", LANE
        ) == [(None, None)]

    def test_is_not_hidden_by_a_pause_of_another_who_hands_over_new_events(self, bench, names):
        names(3)
        holder = bench.drainer("holder")
        with bench.sink.held_for(holder):
            bench.write(*bench.tickets(1))
            bench.sink.error = TransportDown("away")
            bench.drainer().drain()
            bench.sink.error = None
            held = bench.one("SELECT takeover_at FROM outbox_lane WHERE lane = %s", LANE)
            assert held is not None
        holder.result()

        # The last word is that of who got through.
        assert bench.all(
            "SELECT takeover_at, publish_failures FROM outbox_lane WHERE lane = %s", LANE
        ) == [(None, 0)]
        bench.drainer().drain()
        assert marks(bench) == (4, 4)

    def test_is_not_what_a_living_process_saw_fail(self, bench, names):
        names(3)
        self.old(bench)
        bench.sink.error = TransportDown("away")
        bench.drainer().drain()

        assert bench.all(
            "SELECT takeover_at, solo_event_id FROM outbox_lane WHERE lane = %s", LANE
        ) == [(None, None)]
        bench.sink.error = None
        bench.resume()
        bench.drainer().drain()
        assert not Attempt.objects.exists()
        assert marks(bench) == (3, 3)

    def test_is_not_assumed_while_the_mark_is_fresh(self, bench, names):
        names(3)
        bench.admin.execute(
            "UPDATE outbox_lane SET takeover_at = clock_timestamp() WHERE lane = %s", [LANE]
        )
        bench.write(*bench.tickets(2))
        drainer = bench.drainer()
        assert outbox_fixtures.relay.pending_lanes(min_age_seconds=-9) == [LANE]  # the new ones
        assert drainer.drain() is False  # and does not spin
        assert outbox_fixtures.relay.pending_lanes(min_age_seconds=-9) == []

        assert [row.seq for row in bench.sink.rows] == [4, 5]
        assert marks(bench) == (5, 0)
        self.old(bench)
        drainer.drain()
        assert marks(bench) == (5, 5)

    @pytest.mark.parametrize("error", [TransportDown("away"), None])
    def test_is_not_assumed_any_more_when_one_that_seemed_dead_comes_back(
        self, bench, names, error
    ):
        """Say, the name of the host was looked up for long: that is an outage of everybody."""
        names(3)
        self.old(bench)
        slow, first = bench.drainer("slow"), self.event_id(bench, 1)
        with bench.sink.held_for(slow), relay_session() as session:
            self.age(bench)
            other = takeover.begin(session.connection, LANE)
            assert other is not None
            assert other.former_event_id == first
            other.go_solo(session.connection, log.read(STREAM, 0, 1)[0])
            bench.sink.error = error
        slow.result()

        assert bench.all(
            "SELECT takeover_at, solo_event_id FROM outbox_lane WHERE lane = %s", LANE
        ) == [(other.token, None)]

    def test_leaves_the_mark_of_another_who_took_over_from_a_holder_that_ends_late(
        self, bench, names
    ):
        names(3)
        slow = bench.drainer("slow")
        with bench.sink.held_for(slow):
            self.age(bench)
            with relay_session() as session:
                other = takeover.begin(session.connection, LANE)
        slow.result()

        assert marks(bench) == (3, 3)
        assert other is not None
        assert bench.one("SELECT takeover_at FROM outbox_lane WHERE lane = %s", LANE) == other.token

    def test_leaves_to_the_other_who_took_over_from_a_slow_holder(self, bench, names):
        names(3)
        self.old(bench)
        send = bench.sink.deliver

        def deliver(rows: Any) -> None:
            send(rows)
            if rows[0].seq == 2:
                bench.admin.execute(
                    "UPDATE outbox_lane SET takeover_at = clock_timestamp(),"
                    " takeover_by = 'other:2' WHERE lane = %s",
                    [LANE],
                )

        bench.sink.deliver = deliver
        bench.drainer().drain()

        assert [row.seq for row in bench.sink.rows] == [1, 2]
        assert marks(bench) == (3, 0)
        assert bench.one("SELECT takeover_by FROM outbox_lane WHERE lane = %s", LANE) == "other:2"
