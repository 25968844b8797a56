"""
The low-water id, by fixed interleavings: ours keeps a ticket's order, its near relatives do not.

The variants are our record statement with one expression changed. They must fail, or these
interleavings would prove nothing.
"""

import pytest

from outbox import relay, sql
from tests.integration.outbox_fixtures import LANE, Bench

OURS = sql.RECORD


def changed(old: str, new: str) -> str:
    assert OURS.count(old) == 1, f"the record statement has changed: adapt the variant {old!r}"
    return OURS.replace(old, new)


GREATEST_RECORDED_ID = changed(
    "low_id = CASE WHEN f.settled THEN GREATEST(l.low_id, l.mark_id) ELSE l.low_id END",
    "low_id = GREATEST(l.low_id, (SELECT top FROM look))",
)
# The last completed xid + 1: a transaction that runs may have just that one.
XMAX_AS_MARK = changed(
    "mark_xid = CASE WHEN f.settled OR f.unmarked THEN pg_current_xact_id()",
    "mark_xid = CASE WHEN f.settled OR f.unmarked THEN pg_snapshot_xmax(pg_current_snapshot())",
)
PROMOTED_BY_A_CUT_LOOK = changed("AND (asked.n < %(n)s OR asked.top >= k.mark_id)", "")
FAR = 5_000  # the first message id of a test, far enough above the low water to mark it


def full_look(bench: Bench) -> None:
    """Let the alarm find what the low water hides, and record it."""
    relay.find_below_low_water()
    bench.drainer().drain()


class TestLowWater:
    @pytest.mark.parametrize(
        ("rule", "holds"), [(OURS, True), (GREATEST_RECORDED_ID, False)], ids=["ours", "greatest"]
    )
    @pytest.mark.parametrize("looks_again", [True, False])
    def test_waits_for_a_lower_id_that_is_not_committed(
        self, rule, holds, looks_again, bench, monkeypatch
    ):
        monkeypatch.setattr(sql, "RECORD", rule)
        one, two = bench.tickets(2)
        bench.next_id(FAR)
        drainer = bench.drainer()
        slow = bench.writer().begin().change(one)
        bench.write(two)
        drainer.drain()

        slow.commit()
        bench.write(one)
        drainer.drain()
        if looks_again:
            full_look(bench)

        findings = bench.findings()
        assert (not findings) == holds, findings
        if not holds:  # a full look cures the loss, never the order
            assert any(line.startswith("chain:") for line in findings)
            assert looks_again != any(line.startswith("lost:") for line in findings)

    @pytest.mark.parametrize(
        ("rule", "holds"), [(OURS, True), (XMAX_AS_MARK, False)], ids=["ours", "xmax"]
    )
    def test_waits_for_a_writer_whose_xid_is_the_next_to_complete(
        self, rule, holds, bench, monkeypatch
    ):
        monkeypatch.setattr(sql, "RECORD", rule)
        one, two = bench.tickets(2)
        drainer = bench.drainer()
        bench.pause(LANE)  # while it publishes nothing, its rounds follow each other directly
        for attempt in range(1, 50):  # until no other transaction of the server comes in between
            bench.next_id(FAR * attempt)
            quick, slow = bench.writer().begin(), bench.writer().begin()
            quick.take_xid()
            with bench.stopped_before_record(drainer):  # it has its xid by the lane's lock
                slow_xid = slow.take_xid()
                slow.change(one)
                quick.change(two).commit()
            drainer.result()  # a round that recorded, and a later one that marked
            ((mark_id, mark_xid),) = bench.all(
                "SELECT mark_id, mark_xid::text::bigint FROM outbox_lane WHERE lane = %s", LANE
            )
            assert mark_id == FAR * attempt + 1
            if holds or mark_xid == slow_xid:
                break
            slow.rollback()
            drainer.drain()
        assert holds == (mark_xid > slow_xid)
        drainer.drain()
        assert holds == (bench.low_id() < mark_id)

        slow.commit()
        bench.write(one)
        drainer.drain()
        bench.resume(LANE)
        full_look(bench)

        assert (not bench.findings()) == holds, bench.findings()

    @pytest.mark.parametrize(
        ("rule", "holds"), [(OURS, True), (PROMOTED_BY_A_CUT_LOOK, False)], ids=["ours", "cut"]
    )
    def test_is_not_raised_by_a_look_that_was_cut_below_the_mark(
        self, rule, holds, bench, monkeypatch
    ):
        monkeypatch.setattr(sql, "RECORD", rule)
        bench.configure(batch=1)
        one, two = bench.tickets(2)
        bench.next_id(FAR)
        drainer = bench.drainer()
        slow = bench.writer().begin().change(one).change(one)
        bench.write(two)
        drainer.drain()

        slow.commit()
        drainer.drain()
        bench.write(one)
        drainer.drain()
        full_look(bench)

        assert (not bench.findings()) == holds, bench.findings()

    def test_is_not_raised_by_a_cut_look_of_which_somebody_deletes_a_row(self, bench):
        """What was looked at counts, not what was left to be recorded."""
        bench.configure(batch=2)
        one, two = bench.tickets(2)
        bench.next_id(FAR)
        drainer = bench.drainer()
        slow = bench.writer().begin().change(one, one, one)
        bench.write(two)
        drainer.drain()  # records it, and marks it
        slow.commit()
        deleting = bench.connect()
        deleting.execute("BEGIN")
        deleting.execute("DELETE FROM outbox_message WHERE id = %s", [FAR])

        drainer.start()
        bench.wait_for_lock("outbox_message")
        deleting.execute("COMMIT")
        drainer.result()
        drainer.drain()

        assert bench.one("SELECT count(*) FROM outbox_message") == 0
        assert relay.find_below_low_water() == []

    def test_rises_when_the_writers_of_lower_ids_have_ended(self, bench):
        (one,) = bench.tickets(1)
        bench.next_id(FAR)
        drainer = bench.drainer()
        bench.write(one)
        drainer.drain()  # records, and marks in its last round
        low_ids = set()
        for _ in range(50):  # any writer of the server that is older than the mark holds it back
            drainer.drain()
            low_ids.add(bench.low_id())
            if FAR in low_ids:
                break

        assert low_ids <= {0, FAR}
        assert FAR in low_ids
        assert relay.find_below_low_water() == []

    def test_stays_while_a_writer_that_is_older_than_the_mark_is_open(self, bench):
        one, two = bench.tickets(2)
        bench.next_id(FAR)
        drainer = bench.drainer()
        slow = bench.writer().begin().change(one)
        bench.write(two)
        for _ in range(5):
            drainer.drain()

        assert bench.low_id() == 0
        slow.rollback()

    def test_a_message_of_an_explicit_id_below_it_is_an_alarm_and_recorded_all_the_same(
        self, bench, caplog
    ):
        (one,) = bench.tickets(1)
        bench.admin.execute("UPDATE outbox_lane SET low_id = 100 WHERE lane = %s", [LANE])
        bench.admin.execute(
            "INSERT INTO outbox_message (id, lane, stream, type, subject, payload) "
            "OVERRIDING SYSTEM VALUE "
            "SELECT 7, outbox_lane_of(stream), stream, 'ticket_updated', 'ticket:' || id, "
            "jsonb_build_object('name', 'explicit') FROM relay_ticket WHERE id = %s",
            [one],
        )
        bench.drainer().drain()
        assert bench.log() == []

        assert relay.find_below_low_water() == [LANE]
        bench.drainer().drain()

        assert bench.log() == [(1, "explicit")]
        assert bench.low_id() == 0
        assert "below the low-water id" in caplog.text
        assert relay.find_below_low_water() == []


class TestTakingAnXid:
    def test_precedes_the_id_of_an_insert_that_is_the_first_statement(self, bench):
        """The xid rule knows only writers that have one."""
        insert = (
            "INSERT INTO outbox_message (lane, stream, type, subject, payload) "
            "VALUES (0, 's', 't', 'x', jsonb_build_object('xid', "
            "(SELECT pg_current_xact_id_if_assigned()::text), 'id', currval("
            "pg_get_serial_sequence('outbox_message', 'id')))) RETURNING payload->>'xid'"
        )
        bench.admin.execute("SELECT nextval(pg_get_serial_sequence('outbox_message', 'id'))")
        assert bench.one(insert) is not None

        bench.admin.execute("ALTER TABLE outbox_message DISABLE TRIGGER outbox_take_xid")
        try:
            assert bench.one(insert) is None
        finally:
            bench.admin.execute("ALTER TABLE outbox_message ENABLE TRIGGER outbox_take_xid")

    def test_lets_the_low_water_wait_for_such_an_insert(self, bench):
        one, two = bench.tickets(2)
        bench.next_id(FAR)
        direct = bench.connect()
        direct.execute("BEGIN")
        direct.execute(
            "INSERT INTO outbox_message (lane, stream, type, subject, payload) "
            "VALUES (%s, 'relay:1', 't', 'x', '{\"name\": \"direct\"}')",
            [LANE],
        )
        drainer = bench.drainer()
        bench.write(one, two)
        for _ in range(3):
            drainer.drain()
        direct.execute("COMMIT")
        drainer.drain()

        assert [name for _, name in bench.log()][-1] == "direct"
        assert relay.find_below_low_water() == []
