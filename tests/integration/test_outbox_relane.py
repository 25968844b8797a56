"""Changing the number of lanes under writers and drainers."""

import psycopg
import pytest
from django.core.management import CommandError, call_command

from outbox import controls
from outbox.errors import BadSettings, LaneCountDiffers
from outbox.lanes import lane_of
from outbox.relane import relane
from tests.integration.outbox_fixtures import LANE, LANES, STREAM, Bench, wait_until

OTHER = next(n for n in (3, 5, 6, 7) if lane_of(STREAM, n) != lane_of(STREAM, LANES))


@pytest.fixture(autouse=True)
def lanes_restored(bench: Bench):
    yield
    relane(LANES)


def drain_all(bench: Bench, lanes: int) -> None:
    bench.configure(lanes=lanes)
    for lane in range(lanes):
        bench.drainer(lane=lane).drain()


class TestRelane:
    def test_moves_streams_and_waiting_messages(self, bench):
        (one,) = bench.tickets(1)
        bench.write(one)
        drain_all(bench, LANES)
        bench.write(one)

        assert relane(OTHER) == 1

        lane = lane_of(STREAM, OTHER)
        assert bench.all("SELECT lane FROM outbox_message") == [(lane,)]
        assert bench.all("SELECT lane FROM outbox_stream") == [(lane,)]
        assert bench.one("SELECT outbox_lanes()") == OTHER
        assert bench.all("SELECT lane FROM outbox_lane ORDER BY 1") == [(n,) for n in range(OTHER)]
        drain_all(bench, OTHER)
        assert bench.findings() == []

    def test_refuses_while_a_lane_is_stopped_by_hand(self, bench):
        """Its streams would go on in another one, and those of another would stop."""
        controls.pause(LANE, actor="user:1", reason="the layer moves house")
        with pytest.raises(BadSettings, match=f"lane {LANE} is stopped by hand"):
            relane(OTHER)

        assert bench.one("SELECT outbox_lanes()") == LANES
        controls.resume(LANE, actor="user:1", reason="it has moved")
        bench.pause(0)  # failures are those of the streams that were there
        relane(OTHER)
        assert bench.one("SELECT publish_after FROM outbox_lane WHERE lane = 0") is None

    @pytest.mark.parametrize("lanes", [1, 3, 13])
    def test_keeps_the_order_of_a_ticket(self, lanes, bench):
        tickets = [bench.tickets(1, f"relay:{n}")[0] for n in range(1, 10)]
        for _ in range(3):
            bench.write(*tickets)
        relane(lanes)
        bench.write(*tickets)
        drain_all(bench, lanes)

        assert bench.findings() == []

    def test_waits_for_a_writer_and_its_next_message_has_the_new_lane(self, bench):
        one, two = bench.tickets(2)
        early, late = bench.writer().begin(), bench.writer().begin()
        early.change(one)
        mover = bench.drainer()
        moving = mover._thread.submit(relane, OTHER)
        bench.wait_for_lock("outbox_message")
        late_change = bench.drainer()._thread.submit(late.change, two)
        wait_until(
            lambda: bench.one("SELECT count(*) FROM pg_locks WHERE NOT granted") >= 2,
            "both waiters",
        )
        early.change(one).commit()
        assert moving.result(20) == 2
        late_change.result(20)
        late.commit()
        mover._thread.submit(_close_django).result(20)

        lane = lane_of(STREAM, OTHER)
        assert bench.all("SELECT DISTINCT lane FROM outbox_message") == [(lane,)]
        drain_all(bench, OTHER)
        assert bench.findings() == []

    def test_reaches_a_writer_whose_session_has_its_plans_made_already(self, bench):
        """A trigger keeps the plan of its INSERT: the old count must not live on in it."""
        (one,) = bench.tickets(1)
        writer = bench.writer()
        for _ in range(12):  # after five runs the plan is kept
            writer.begin().change(one).commit()
        relane(OTHER)
        writer.begin().change(one).commit()

        assert bench.all("SELECT DISTINCT lane FROM outbox_message") == [(lane_of(STREAM, OTHER),)]
        drain_all(bench, OTHER)
        assert bench.findings() == []

    def test_makes_a_warm_drainer_look_for_slices_that_came_to_its_lane(self, bench):
        """Its memory says that all of the lane is published; that was another lane."""
        lane = lane_of(STREAM, OTHER)
        name = next(f"warm:{n}" for n in range(999) if lane_of(f"warm:{n}", LANES) == lane)
        warm = bench.drainer(lane=lane)
        bench.write(*bench.tickets(1, name))
        warm.drain()
        (one,) = bench.tickets(1)
        bench.write(one)
        hand = bench.hand_drainer()
        hand.lock()
        hand.record()
        hand.commit()
        hand.die()
        relane(OTHER)
        bench.configure(lanes=OTHER)
        warm.drain()
        bench.write(one)
        warm.drain()
        drain_all(bench, OTHER)

        assert bench.findings() == []

    def test_fails_relays_of_the_old_count_loudly(self, bench):
        relane(OTHER)
        with pytest.raises(LaneCountDiffers, match=f"outbox_relane {LANES}"):
            bench.drainer().drain()

    @pytest.mark.parametrize("lanes", [0, -1, 1025])
    def test_refuses_a_count_out_of_range(self, lanes, bench):
        with pytest.raises(BadSettings):
            relane(lanes)
        with pytest.raises(CommandError):
            call_command("outbox_relane", str(lanes))

    def test_can_be_repeated(self, bench, capsys):
        call_command("outbox_relane", str(OTHER))
        call_command("outbox_relane", str(OTHER))

        assert "0 waiting messages" in capsys.readouterr().out


def _close_django() -> None:
    from django.db import connections

    connections.close_all()


class TestLaneOf:
    def test_is_the_same_in_python_and_sql(self, bench):
        from hypothesis import HealthCheck, given, settings, strategies

        texts = strategies.text(
            strategies.characters(blacklist_categories=["Cs"], blacklist_characters="\x00"),
            max_size=40,
        ) | strategies.text("\\x0123 'é漢", max_size=12)

        @settings(
            max_examples=300,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(texts)
        def agree(stream: str) -> None:
            assert lane_of(stream, LANES) == bench.one("SELECT outbox_lane_of(%s)", stream)

        agree()
        for stream in ("\\", "\\\\", "\\x41", "\\101", "tenant:7", "x" * 10_000):
            assert lane_of(stream, LANES) == bench.one("SELECT outbox_lane_of(%s)", stream)

    def test_has_no_stream_with_a_nul(self, bench):
        with pytest.raises(psycopg.DataError):
            bench.one("SELECT outbox_lane_of(%s)", "a\x00b")
