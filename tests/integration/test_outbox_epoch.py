"""The epoch: renewed when the server is another one, and then on all streams at once."""

import pytest
from django.core.management import call_command

from outbox import epoch, log, relay
from tests.integration.outbox_fixtures import LANE, STREAM, Bench

ANOTHER_SERVER = "UPDATE outbox_log SET system_identifier = system_identifier + 1"
ANOTHER_TIMELINE = "UPDATE outbox_log SET timeline = timeline + 1"


def epochs(bench: Bench) -> set[str]:
    """Return the epochs of the log and of all streams."""
    return {
        str(value)
        for (value,) in bench.all(
            "SELECT epoch FROM outbox_log UNION SELECT epoch FROM outbox_stream"
        )
    }


class TestRenewing:
    def test_is_not_done_on_the_same_server(self, bench):
        before = epochs(bench)

        assert epoch.renew_if_moved() is None
        assert epochs(bench) == before

    @pytest.mark.parametrize("moved", [ANOTHER_SERVER, ANOTHER_TIMELINE])
    def test_is_done_on_another_server_or_timeline(self, moved, bench):
        bench.write(*bench.tickets(1), *bench.tickets(1, "relay:2"))
        for lane in range(8):
            bench.drainer(lane=lane).drain()
        bench.admin.execute("UPDATE outbox_lane SET low_id = 5, mark_id = 6, mark_xid = '7'")
        (before,) = epochs(bench)
        bench.admin.execute(moved)

        renewed = epoch.renew_if_moved()

        assert epochs(bench) == {str(renewed)} != {before}
        assert epoch.renew_if_moved() is None
        assert set(bench.all("SELECT low_id, mark_id, mark_xid FROM outbox_lane")) == {(0, 0, None)}

    def test_is_seen_on_every_row_that_is_read_or_published_from_then_on(self, bench):
        (one,) = bench.tickets(1)
        drainer = bench.drainer()
        bench.write(one)
        drainer.drain()
        renewed = epoch.renew(reason="a restore")
        bench.write(one)
        drainer.drain()

        assert [row.epoch == renewed for row in bench.sink.rows] == [False, True]
        assert {row.epoch for row in log.read(STREAM, 0, 10)} == {renewed}
        assert log.head(STREAM).epoch == log.head("nobody").epoch == renewed

    def test_is_done_before_a_new_session_of_the_relay_records(self, bench):
        """Numbers that the old server gave after the copy must not be given again as its own."""
        (one,) = bench.tickets(1)
        bench.write(one)
        bench.drainer().drain()
        (before,) = epochs(bench)
        bench.admin.execute(ANOTHER_TIMELINE)
        bench.write(one)
        bench.drainer().drain()

        (after,) = epochs(bench)
        assert after != before
        assert [str(row.epoch) for row in bench.sink.rows] == [before, after]

    def test_waits_for_a_round_in_progress(self, bench):
        bench.write(*bench.tickets(1))
        hand = bench.hand_drainer()
        hand.lock()
        hand.record()
        renewing = bench.drainer()
        running = renewing._thread.submit(self._renew_and_close)
        bench.wait_for_lock("outbox_lane")
        assert not running.done()
        hand.commit()
        renewed = running.result(20)

        assert epochs(bench) == {str(renewed)}

    @staticmethod
    def _renew_and_close():
        from django.db import connections

        try:
            return epoch.renew(reason="a test")
        finally:
            connections.close_all()

    def test_can_be_ordered_by_hand(self, bench, capsys):
        call_command("outbox_new_epoch", reason="restored into the same server")

        (present,) = epochs(bench)
        assert capsys.readouterr().out == f"epoch {present}\n"

    def test_keeps_what_waits(self, bench):
        """After a restore, ids may be lower than the low water that came along."""
        bench.write(*bench.tickets(1))
        bench.admin.execute("UPDATE outbox_lane SET low_id = 1000 WHERE lane = %s", [LANE])
        bench.admin.execute(ANOTHER_SERVER)
        epoch.renew_if_moved()
        bench.drainer().drain()

        assert bench.findings() == []
        assert relay.pending_lanes() == []
