"""Lanes by hand: paused, resumed and skipped, with a reason, by functions and by outbox_lane."""

from io import StringIO

import psycopg
import pytest
from django.core.management import CommandError, call_command

from outbox import controls, status
from outbox.errors import LaneMissing, TransportDown
from outbox.models import LaneAction
from tests.integration import outbox_fixtures
from tests.integration.failing_relay import marks
from tests.integration.outbox_fixtures import LANE, STREAM


class TestControls:
    def test_pause_stops_the_publishing_of_a_lane_and_nothing_else(self, bench):
        assert controls.pause(LANE, actor="user:1", reason="the layer moves house")
        assert not controls.pause(LANE, actor="user:2", reason="again")
        bench.write(*bench.tickets(3))
        bench.drainer().drain()

        assert marks(bench) == (3, 0)
        (lane,) = [lane for lane in status.lanes() if lane.paused]
        assert (lane.lane, lane.why) == (LANE, "stopped by user:1: the layer moves house")
        assert outbox_fixtures.relay.pending_lanes() == []

    def test_pause_stops_also_who_has_waited_for_the_lane(self, bench):
        controls.pause(LANE, actor="user:1", reason="the layer moves house")
        bench.write(*bench.tickets(3))
        holder, waiter = bench.hand_drainer(), bench.drainer()
        holder.lock()
        waiter.start()
        bench.wait_for_lock("outbox_lane")
        holder.commit()
        waiter.result()

        assert marks(bench) == (3, 0)

    def test_resume_goes_on_at_once_also_after_failures(self, bench):
        controls.pause(LANE, actor="user:1", reason="the layer moves house")
        bench.write(*bench.tickets(3))
        bench.drainer().drain()
        assert controls.resume(LANE, actor="user:1", reason="it has moved")
        bench.sink.error = TransportDown("away")
        bench.drainer().drain()
        bench.sink.error = None
        assert controls.resume(LANE, actor="user:1", reason="it is back")
        assert not controls.resume(LANE, actor="user:1", reason="again")
        bench.drainer().drain()

        assert marks(bench) == (3, 3)

    def test_skip_marks_what_is_recorded_as_published(self, bench):
        controls.pause(LANE, actor="user:1", reason="the layer moves house")
        bench.write(*bench.tickets(3))
        bench.drainer().drain()
        bench.admin.execute(
            "UPDATE outbox_lane SET takeover_at = clock_timestamp() WHERE lane = %s", [LANE]
        )
        assert controls.skip(LANE, actor="user:1", reason="nobody needs them") == 3
        assert controls.skip(LANE, actor="user:1", reason="nobody needs them") == 0

        assert marks(bench) == (3, 3)
        assert bench.sink.rows == []
        assert bench.one("SELECT takeover_at FROM outbox_lane WHERE lane = %s", LANE) is None
        skipped = LaneAction.objects.get(action="skip")
        assert skipped.detail == {"events": 3, "slices": {STREAM: [0, 3]}}

    def test_leave_a_row_each_that_is_not_edited(self, bench):
        controls.pause(LANE, actor="user:1", reason="the layer moves house")
        controls.resume(LANE, actor="user:2", reason="it has moved")

        rows = list(
            LaneAction.objects.order_by("id").values_list("lane", "action", "actor", "reason")
        )
        assert rows == [
            (LANE, "pause", "user:1", "the layer moves house"),
            (LANE, "resume", "user:2", "it has moved"),
        ]
        for statement in (
            "UPDATE outbox_lane_action SET actor = 'x'",
            "DELETE FROM outbox_lane_action",
        ):
            with pytest.raises(psycopg.errors.RaiseException, match="who did what"):
                bench.admin.execute(statement)

    @pytest.mark.parametrize("reason", ["", "  ", "x" * 1_001])
    def test_ask_for_a_reason(self, bench, reason):
        with pytest.raises(controls.NoReason):
            controls.pause(LANE, actor="user:1", reason=reason)

        assert not any(lane.paused for lane in status.lanes())

    def test_name_a_lane_that_is_not_there(self, bench):
        with pytest.raises(LaneMissing, match="lane 99"):
            controls.pause(99, actor="user:1", reason="a slip")


class TestLaneCommand:
    def run(self, *arguments: str) -> str:
        out = StringIO()
        call_command("outbox_lane", *arguments, stdout=out)
        return out.getvalue().strip()

    def test_pauses_resumes_and_skips_with_a_reason(self, bench):
        lane, reason = str(LANE), ("--reason", "the layer moves house")

        assert self.run("pause", lane, *reason) == f"lane {LANE} is paused"
        assert self.run("pause", lane, *reason) == f"lane {LANE} was paused already"
        bench.write(*bench.tickets(3))
        bench.drainer().drain()
        assert self.run("skip", lane, *reason) == f"lane {LANE}: 3 events skipped"
        assert self.run("resume", lane, *reason) == f"lane {LANE} is resumed"
        assert self.run("resume", lane, *reason) == f"lane {LANE} was neither paused nor failing"
        assert {row.actor[:4] for row in LaneAction.objects.all()} == {"cli:"}
        assert LaneAction.objects.count() == 3

    def test_says_what_is_wrong(self, bench):
        with pytest.raises(CommandError, match="there is no lane 99"):
            self.run("pause", "99", "--reason", "a slip")
        with pytest.raises(CommandError, match="give a reason"):
            self.run("pause", str(LANE), "--reason", " ")
