"""Rounds of the relay, by fixed interleavings: takeovers, waits, last looks, crashes."""

import pytest

from outbox import failpoints, relay, sql
from outbox.errors import LaneMissing
from outbox.failpoints import FailpointError
from tests.integration.outbox_fixtures import LANE, STREAM, Bench, wait_until

# What each commit of the relay asked of the server, by what it wrote.
WATCH_COMMITS = """
CREATE TABLE relay_commit (written text, synchronous_commit text);
CREATE FUNCTION relay_watch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO relay_commit VALUES (TG_ARGV[0], current_setting('synchronous_commit'));
  RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER relay_watch_heads AFTER INSERT OR UPDATE OF last_seq ON outbox_stream
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION relay_watch('heads');
CREATE CONSTRAINT TRIGGER relay_watch_lanes AFTER UPDATE ON outbox_lane
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION relay_watch('lane');
CREATE CONSTRAINT TRIGGER relay_watch_marks AFTER UPDATE OF published_seq ON outbox_stream
  DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION relay_watch('mark');
"""
UNWATCH = """
DROP TRIGGER relay_watch_heads ON outbox_stream;
DROP TRIGGER relay_watch_marks ON outbox_stream;
DROP TRIGGER relay_watch_lanes ON outbox_lane;
DROP FUNCTION relay_watch; DROP TABLE relay_commit;
"""


@pytest.fixture
def commits(bench: Bench):
    """Return what was asked at each commit since the last call, as {(written, setting)}."""
    bench.admin.execute(WATCH_COMMITS)

    def read() -> set[tuple[str, str]]:
        return set(bench.all("DELETE FROM relay_commit RETURNING *"))

    yield read
    bench.admin.execute(UNWATCH)


class TestCommit:
    """A round that recorded must survive a crash: its numbers are published right after."""

    @pytest.mark.parametrize("default", ["on", "off"])
    def test_waits_for_the_disk_if_it_recorded_whatever_the_default(
        self, default, bench, commits, monkeypatch
    ):
        monkeypatch.setenv("PGOPTIONS", f"-c synchronous_commit={default}")
        (one,) = bench.tickets(1)
        drainer = bench.drainer()
        for _ in range(2):  # a new stream, and a known one
            bench.write(one)
            drainer.one_round()
            assert commits() == {("heads", "on"), ("lane", "on"), ("mark", "off")}

    def test_need_not_wait_if_it_only_kept_the_low_water(self, bench, commits):
        (one,) = bench.tickets(1)
        bench.next_id(5_000)
        drainer = bench.drainer()
        bench.write(one)
        drainer.one_round()
        commits()

        drainer.one_round()  # writes the mark

        assert commits() == {("lane", "off")}


class TestDrain:
    def test_records_a_late_commit_with_a_lower_id_after_the_higher_one(self, bench):
        one, two = bench.tickets(2)
        drainer = bench.drainer()
        late = bench.writer().begin().change(one)
        bench.write(two)
        drainer.drain()
        late.commit()
        drainer.drain()

        assert [ticket for _, ticket in bench.log()] == [
            bench.journal[1].changes[0].name,
            bench.journal[0].changes[0].name,
        ]
        assert bench.findings() == []

    def test_leaves_nothing_of_a_rollback_and_no_hole(self, bench):
        one, two = bench.tickets(2)
        bench.writer().begin().change(one).rollback()
        bench.write(two)
        bench.drainer().drain()

        assert bench.log() == [(1, bench.journal[1].changes[0].name)]
        assert bench.findings() == []

    def test_numbers_each_stream_of_a_lane_by_itself(self, bench):
        here = bench.tickets(3)
        neighbour = next(
            name
            for name in (f"relay:{n}" for n in range(2, 500))
            if bench.one("SELECT outbox_lane_of(%s)", name) == LANE
        )
        there = bench.tickets(2, neighbour)
        bench.write(here[0], there[0], here[1], there[1], here[2])
        bench.drainer().drain()

        assert [seq for seq, _ in bench.log()] == [1, 2, 3]
        assert [seq for seq, _ in bench.log(neighbour)] == [1, 2]
        assert bench.findings() == []

    def test_asks_to_be_run_again_when_its_time_is_over(self, bench):
        bench.configure(batch=1)
        bench.write(*bench.tickets(2))
        drainer = bench.drainer()

        assert drainer.one_round() is True
        assert len(bench.log()) == 1
        assert drainer.drain() is False
        assert bench.findings() == []

    def test_marks_only_what_it_published_when_a_successor_died(self, bench):
        """A records 1 to 3; B takes over, records 4 and 5 and dies; A must not hide them."""
        tickets = bench.tickets(6)
        a, b = bench.drainer("a"), bench.drainer("b")
        bench.write(*tickets[:3])
        with bench.sink.held_for(a):
            bench.write(*tickets[3:5])
            failpoints.arm("committed=raise")
            with pytest.raises(FailpointError):
                b.drain()
            failpoints.arm("")
            bench.write(tickets[5])
        a.result()

        assert len(bench.log()) == 6
        assert bench.findings() == []

    def test_marks_nothing_beyond_its_own_slice(self, bench):
        """The same, looked at while A has published and not looked again."""
        tickets = bench.tickets(5)
        a = bench.drainer("a")
        bench.write(*tickets[:3])
        with bench.stopped_at("published", a):
            bench.write(*tickets[3:])
            hand = bench.hand_drainer()
            hand.lock()
            hand.record()
            hand.commit()
            hand.die()
        a.result()

        assert bench.findings() == []
        assert [row.seq for row in bench.sink.rows] == [1, 2, 3, 4, 5]

    def test_moves_no_mark_past_a_slice_that_nobody_published(self, bench):
        tickets = bench.tickets(4)
        dying, later = bench.hand_drainer(), bench.hand_drainer()
        for hand, some in ((dying, tickets[:2]), (later, tickets[2:])):
            bench.write(*some)
            hand.lock()
            hand.record()
            hand.commit()
        later.mark()

        assert bench.one("SELECT published_seq FROM outbox_stream") == 0
        dying.mark()
        later.mark()
        dying.mark()  # late and again: never downwards
        assert bench.one("SELECT published_seq FROM outbox_stream") == 4

    def test_publishes_a_slice_again_with_the_same_numbers_and_ids(self, bench):
        tickets = bench.tickets(3)
        bench.write(*tickets)
        a, b = bench.drainer("a"), bench.drainer("b")
        with bench.sink.held_for(a):
            b.drain()
        a.result()

        assert len(bench.sink.rows) == 6
        assert len(set(bench.sink.publications())) == 3
        assert bench.findings() == []

    @pytest.mark.parametrize(
        "point",
        [
            "before_lane_lock",
            "lane_locked",
            "recorded",
            "committed",
            "before_publish",
            "published",
            "marked",
        ],
    )
    def test_goes_on_where_another_broke_off(self, point, bench):
        tickets = bench.tickets(3)
        a, b = bench.drainer("a"), bench.drainer("b")
        bench.write(*tickets)
        failpoints.arm(f"{point}=raise")
        if point == "before_publish":  # seen as a failure of the sink
            a.drain()
            bench.resume()
        else:
            with pytest.raises(FailpointError):
                a.drain()
        failpoints.arm("")
        bench.write(*tickets)
        b.drain()
        a.drain()

        assert bench.findings() == []

    def test_never_lets_recorded_at_fall_after_a_wait_for_the_lane(self, bench):
        (one,) = bench.tickets(1)
        first, second = bench.hand_drainer(), bench.drainer()
        first.lock()
        second.start()  # its transaction begins here, before the first one records
        bench.wait_for_lock("outbox_lane")
        bench.write(one)
        first.record()
        bench.write(one)
        written = bench.one("SELECT clock_timestamp()")
        first.commit()
        second.result()

        times = [time for (time,) in bench.all("SELECT recorded_at FROM event_log ORDER BY seq")]
        assert len(times) == 2
        assert times[0] < written < times[1]
        assert bench.findings() == []

    def test_never_lets_recorded_at_fall_when_the_clock_was_set_back(self, bench):
        (one,) = bench.tickets(1)
        bench.write(one)
        bench.drainer().drain()
        ahead = bench.one(
            "UPDATE outbox_stream SET last_recorded_at = last_recorded_at + interval '1 hour' "
            "RETURNING last_recorded_at"
        )
        bench.write(one)
        bench.drainer().drain()

        recorded = bench.all("SELECT recorded_at FROM event_log ORDER BY seq")
        assert recorded[0] < recorded[1] == (ahead,)

    def test_raises_and_records_nothing_when_the_lane_has_no_row(self, bench):
        (one,) = bench.tickets(1)
        drainer = bench.drainer()
        drainer.drain()  # its session has passed the start checks
        bench.write(one)
        bench.admin.execute("DELETE FROM outbox_lane WHERE lane = %s", [LANE])
        with pytest.raises(LaneMissing):
            drainer.drain()
        with pytest.raises(LaneMissing):  # by the start check of a new session
            bench.drainer().drain()

        assert bench.log() == []
        assert bench.one("SELECT count(*) FROM outbox_message") == 1

    def test_lets_go_of_the_lane_when_it_is_idle_in_the_middle(self, bench):
        """A frozen holder is cut off by the server, and what it had recorded is undone."""
        (one,) = bench.tickets(1)
        bench.write(one)
        frozen = bench.hand_drainer()
        frozen.lock()
        frozen.record()
        ((seconds,),) = frozen.connection.execute(
            "SELECT setting::int / 1000 FROM pg_settings "
            "WHERE name = 'idle_in_transaction_session_timeout'"
        ).fetchall()
        assert seconds == 5

    def test_reads_in_read_committed_whatever_the_default(self, bench, monkeypatch):
        monkeypatch.setenv("PGOPTIONS", "-c default_transaction_isolation=serializable")
        (one,) = bench.tickets(1)
        holder, waiting = bench.hand_drainer(), bench.drainer()
        bench.write(one)
        holder.lock()
        waiting.start()
        bench.wait_for_lock("outbox_lane")
        holder.record()  # moves the lane's row, which an older snapshot could not lock any more
        holder.commit()
        waiting.result()

        assert bench.findings() == []


class TestLooks:
    """Note [Who looks last]: what is committed during a look is seen by it or by the next."""

    def test_leave_nothing_that_was_committed_during_the_last_one(self, bench):
        (one,) = bench.tickets(1)
        holder, waiter, third = bench.drainer("a"), bench.drainer("b"), bench.drainer("c")
        third.pid()
        with bench.stopped_at("recorded", holder):  # it has looked, and seen nothing
            bench.write(one)
            waiter.start()
            bench.wait_for_lock("outbox_lane")
            assert third.drain() is False  # one waiter is enough
            assert waiter.running is not None
            assert not waiter.running.done()
        assert holder.result() is False
        assert waiter.result() is False

        assert bench.findings() == []

    def test_leave_nothing_that_was_committed_during_the_waiters_first_one(self, bench):
        (one,) = bench.tickets(1)
        waiter, third = bench.drainer("a"), bench.drainer("b")
        third.pid()
        holder = bench.hand_drainer()
        holder.lock()
        with self._waiter_stopped_after_its_look(bench, waiter, holder):
            bench.write(one)
            assert third.drain() is False  # it counts on the waiter
        assert waiter.result() is False

        assert bench.findings() == []

    @staticmethod
    def _waiter_stopped_after_its_look(bench, waiter, holder):
        original = waiter.start

        def start() -> None:
            original()
            bench.wait_for_lock("outbox_lane")
            holder.commit()

        waiter.start = start
        return bench.stopped_at("recorded", waiter)

    def test_are_waited_for_by_one_at_a_time(self, bench):
        holder = bench.hand_drainer()
        holder.lock()
        drainers = [bench.drainer() for _ in range(4)]
        first, *others = drainers
        first.start()
        bench.wait_for_lock("outbox_lane")

        assert [drainer.drain() for drainer in others] == [False, False, False]
        assert not first.running.done()
        gates = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = %s"
        assert bench.one(gates + " AND objid = %s AND granted", relay.GATE, LANE) == 1
        holder.commit()
        first.result()


class TestControls:
    """Relays that break a rule, stepped by hand: the checker must see each of them."""

    def test_publishing_before_the_commit_gives_one_number_to_two_events(self, bench):
        one, two = bench.tickets(2)
        slow = bench.writer().begin().change(one)
        bench.write(two)
        wrong = bench.hand_drainer()
        wrong.lock()
        bench.sink.deliver(wrong.record())
        wrong.die()
        slow.commit()
        bench.drainer().drain()

        (finding,) = bench.findings()
        assert finding == f"published otherwise: {STREAM} 1 was 2 events"

    def test_marking_before_publishing_hides_what_was_never_published(self, bench):
        bench.write(*bench.tickets(2))
        wrong = bench.hand_drainer()
        wrong.lock()
        wrong.record()
        wrong.commit()
        wrong.mark()
        wrong.die()
        bench.drainer().drain()

        assert [line.split(":")[0] for line in bench.findings()] == ["never published"] * 2

    @pytest.mark.parametrize("lane_lock", [True, False])
    def test_two_on_a_lane_without_its_lock_break_the_order(self, lane_lock, bench, monkeypatch):
        if not lane_lock:
            monkeypatch.setattr(
                sql, "OPEN_ROUND", sql.OPEN_ROUND.replace("FOR UPDATE SKIP LOCKED", "")
            )
            monkeypatch.setattr(
                sql,
                "RECORD",
                sql.RECORD.replace(
                    "ORDER BY id LIMIT %(n)s", "ORDER BY id LIMIT %(n)s FOR UPDATE SKIP LOCKED"
                ),
            )
        bench.configure(batch=1)
        (one,) = bench.tickets(1)
        bench.write(one)
        bench.drainer().drain()  # the stream has its row
        bench.write(one)
        bench.write(one)
        dying, other = bench.drainer("a"), bench.drainer("b")
        pid = dying.pid()
        other.pid()
        head = bench.connect()
        head.execute("BEGIN; SELECT FROM outbox_stream WHERE name = 'relay:1' FOR UPDATE")
        dying.start()
        bench.wait_for_lock("outbox_stream")  # it has picked the first message
        other.start()
        waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'outbox-relay' "
        wait_until(lambda: bench.one(waits + "AND wait_event_type = 'Lock'") == 2, "two waiters")
        bench.admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        head.execute("ROLLBACK")
        with pytest.raises(Exception, match="terminating connection"):
            dying.result()
        other.result()
        bench.drainer().drain()

        assert (bench.findings() == []) == lane_lock, bench.findings()

    def test_the_checker_is_content_with_an_honest_run(self, bench):
        bench.write(*bench.tickets(3))
        bench.writer().begin().change(*bench.tickets(1)).rollback()
        bench.drainer().drain()

        assert bench.findings() == []
        assert [seq for seq, _ in bench.log(STREAM)] == [1, 2, 3]
