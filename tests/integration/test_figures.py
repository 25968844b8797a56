"""The figures of the charts: each event counted once, whatever happens to the runs."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import psycopg
import pytest
from asgiref.sync import async_to_sync
from django.db import DatabaseError, connection, connections, transaction
from django.utils import timezone

import outbox
from apps.helpdesk import actions
from apps.noc.feed import database
from apps.noc.feed.wire import Event
from apps.noc.figures import delays, forgetting, rollup, samples
from apps.noc.figures.buckets import BOUNDS, SIZE, quantiles
from apps.noc.figures.delays import Delays
from apps.noc.health.perch import perch
from apps.noc.models import (
    Anomaly,
    DeliveryCount,
    EventCount,
    EventCursor,
    Finding,
    OpenSample,
    SampleRun,
)
from outbox import epoch, log, relay
from outbox.lanes import lane_of
from outbox.session import close_session
from tests.integration.conftest import Party, World
from tests.integration.feed_world import served_world
from tests.integration.outbox_fixtures import database_url, wait_until
from tests.integration.processes import WORKER, celery, until

LANES = 8

# What is to be counted, straight from the log, and what is.
LOGGED = """
SELECT split_part(stream, ':', 2)::bigint, date_trunc('minute', recorded_at),
       coalesce((payload->>'site_id')::bigint, 0),
       count(*) FILTER (WHERE type LIKE 'ticket%'),
       count(*) FILTER (WHERE type = 'finding_created'),
       count(*) FILTER (WHERE type = 'anomaly_detected')
  FROM event_log WHERE stream LIKE 'tenant:%' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
"""
COUNTED = """
SELECT tenant_id, minute, site_id, ticket, finding, anomaly
  FROM noc_eventcount ORDER BY 1, 2, 3
"""
# As if a restore had brought back a log that ends at this number.
FALL_BACK = """
SET LOCAL session_replication_role = replica;
DELETE FROM event_log WHERE stream = %(stream)s AND seq > %(seq)s;
UPDATE outbox_stream SET last_seq = %(seq)s, published_seq = %(seq)s WHERE name = %(stream)s;
"""


def rows(statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def record(party: Party) -> None:
    relay.drain(lane_of(stream(party), LANES), deadline=monotonic() + 30)


def stream(party: Party) -> str:
    return f"tenant:{party.tenant.pk}"


def write(party: Party, count: int = 1) -> None:
    """Make one event of each kind ``count`` times, in both sites and in none."""
    for number in range(count):
        site = party.far if number % 2 else party.near
        actions.create_ticket(site=site, description="x")
        Finding.objects.create(tenant=party.tenant, title="of the whole tenant")
        Anomaly.objects.create(tenant=party.tenant, site=site, metric="m", observed=1, expected=2)


def count() -> int:
    return rollup.count(deadline=monotonic() + 30)


def age(model: Any, **by: float) -> None:
    """Let the rows of ``model`` be older than they are."""
    table = model._meta.db_table
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {table} SET minute = minute - %s", [timedelta(**by)])


@contextmanager
def held_up(table: str) -> Iterator[None]:
    """Let whoever wants to write into ``table`` wait for the block to end."""
    with psycopg.connect(database_url()) as holder:
        holder.execute(f"LOCK TABLE {table} IN SHARE MODE")
        yield


def waiting(table: str) -> list[int]:
    """Return the backends that wait for a lock on ``table``."""
    query = "SELECT pid FROM pg_locks WHERE NOT granted AND relation = %s::regclass"
    with psycopg.connect(database_url()) as other:
        return [pid for (pid,) in other.execute(query, [table]).fetchall()]


@pytest.fixture
def stats(api: Callable[[Any], Any]) -> Callable[..., dict[str, Any]]:
    def get(user: Any, minutes: int = 5) -> dict[str, Any]:
        answer = api(user).get("/api/v1/noc/stats/", {"minutes": minutes})
        assert answer.status_code == 200, answer.content
        found: dict[str, Any] = answer.json()
        return found

    return get


class TestEventCounts:
    def test_are_those_of_the_log(self, world: World, redis_url: str) -> None:
        for party in (world.a, world.b):
            write(party, 3)
            record(party)

        assert count() == 18
        assert rows(COUNTED) == rows(LOGGED) != []

    @pytest.mark.parametrize("events", [1, 7, 20_000])
    def test_do_not_depend_on_the_size_of_the_steps(
        self, world: World, redis_url: str, events: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rollup, "STEP_EVENTS", events)
        for party in (world.a, world.b, world.a):
            write(party, 2)
            record(party)

        assert count() == 18
        assert rows(COUNTED) == rows(LOGGED)

    def test_are_exact_while_writers_and_several_runs_go_on(
        self, world: World, redis_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(rollup, "STEP_EVENTS", 5)
        stop = threading.Event()

        def in_thread(act: Callable[[], Any], until_stopped: bool) -> None:
            try:
                while True:
                    act()
                    if not until_stopped or stop.is_set():
                        return
            finally:
                close_session()
                connections.close_all()

        parties = (world.a, world.b)
        with ThreadPoolExecutor(8) as pool:
            writers = [pool.submit(in_thread, lambda p=p: write(p, 20), False) for p in parties * 2]
            others = [
                *(pool.submit(in_thread, lambda p=p: record(p), True) for p in parties),
                *(pool.submit(in_thread, count, True) for _ in range(2)),
            ]
            for writer in writers:
                writer.result(60)
            stop.set()
            for other in others:
                other.result(60)
        for party in parties:
            record(party)
        count()

        assert rows(COUNTED) == rows(LOGGED)
        assert log.head(stream(world.a)).last_seq == 120

    def test_are_exact_after_a_run_was_killed(self, world: World, redis_url: str) -> None:
        write(world.a)
        record(world.a)
        count()
        write(world.a)
        record(world.a)

        def run() -> None:
            try:
                count()
            finally:
                connections.close_all()

        with ThreadPoolExecutor(1) as pool:
            with held_up("noc_eventcount"):
                killed = pool.submit(run)
                wait_until(lambda: waiting("noc_eventcount"), "a run in the middle of its step")
                (pid,) = waiting("noc_eventcount")
                rows(f"SELECT pg_terminate_backend({pid}, 5000)")
            with pytest.raises(DatabaseError):
                killed.result(20)

        assert count() == 3
        assert count() == 0
        assert rows(COUNTED) == rows(LOGGED)

    def test_leave_a_second_run_nothing_to_wait_for(self, world: World, redis_url: str) -> None:
        write(world.a)
        record(world.a)
        with psycopg.connect(database_url()) as first:
            first.execute("SELECT pg_advisory_xact_lock(%s)", [rollup.LOCK])

            assert count() == 0
        assert count() == 3

    def test_leave_out_the_canary(self, world: World, redis_url: str) -> None:
        place = perch()
        name = f"tenant:{place.tenant_id}"
        with transaction.atomic():
            outbox.publish("canary", stream=name, subject="canary:1", payload={"site_id": None})
        relay.drain(lane_of(name, LANES), deadline=monotonic() + 30)

        assert log.head(name).last_seq == 1
        assert count() == 0

    def test_begin_a_day_back(self, world: World, redis_url: str) -> None:
        write(world.a, 2)
        record(world.a)
        with psycopg.connect(database_url(), autocommit=False) as owner:
            owner.execute("SET LOCAL session_replication_role = replica")
            owner.execute("UPDATE event_log SET recorded_at = now() - interval '25h' WHERE seq < 3")
            owner.execute("UPDATE event_log SET recorded_at = now() - interval '23h' WHERE seq = 3")
        count()

        assert (
            sum(ticket + finding + anomaly for *_, ticket, finding, anomaly in rows(COUNTED)) == 4
        )
        assert EventCursor.objects.get().seq == 6

    def test_take_what_is_no_site_for_none(self, world: World, redis_url: str) -> None:
        with transaction.atomic():
            for payload in (
                {"site_id": [1]},
                {"site_id": "x"},
                {"site_id": 1e30},
                {"site_id": -1},
                {},
            ):
                outbox.publish(
                    "ticket_odd", stream=stream(world.a), subject="ticket:1", payload=payload
                )
            outbox.publish("other", stream=stream(world.a), subject="o", payload={})
        record(world.a)

        assert count() == 6
        assert [(row[2], row[3]) for row in rows(COUNTED)] == [(0, 5)]

    def test_go_on_in_a_new_epoch(self, world: World, redis_url: str) -> None:
        write(world.a)
        record(world.a)
        count()
        epoch.renew(reason="a test")
        write(world.a)
        record(world.a)

        assert count() == 3
        assert rows(COUNTED) == rows(LOGGED)

    @pytest.mark.parametrize("more", [0, 1, 4])
    def test_go_on_with_what_a_replaced_log_records_anew(
        self, world: World, redis_url: str, more: int
    ) -> None:
        for _ in range(2):  # of two moments
            write(world.a)
            record(world.a)
        count()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(FALL_BACK, {"stream": stream(world.a), "seq": 3})
        epoch.renew(reason="a restore")
        write(world.a, more)
        record(world.a)
        count()

        assert sum(sum(row[3:]) for row in rows(COUNTED)) == 6 + 3 * more
        assert EventCursor.objects.get().seq == 3 + 3 * more

    def test_pass_over_what_the_log_has_lost(self, world: World, redis_url: str) -> None:
        write(world.a)
        record(world.a)
        count()
        write(world.a, 2)
        record(world.a)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL session_replication_role = replica")
            cursor.execute("DELETE FROM event_log WHERE seq < 6")

        assert count() == 6
        assert sum(sum(row[3:]) for row in rows(COUNTED)) == 3 + 4

    def test_survive_a_worker_that_is_killed(
        self, world: World, redis_url: str, tmp_path: Path
    ) -> None:
        from worker.tasks import roll_up

        for round_ in (1, 2):
            write(world.a, 5)
            with celery(*WORKER, redis_url=redis_url, log=tmp_path / f"{round_}.log") as worker:
                until(lambda n=round_: log.head(stream(world.a)).last_seq == 15 * n, seconds=60)
                for _ in range(3):
                    roll_up.delay()
                until(lambda n=round_: EventCursor.objects.filter(seq=15 * n).exists(), seconds=60)
                roll_up.delay()
                worker.send_signal(signal.SIGKILL)

        assert rows(COUNTED) == rows(LOGGED)
        assert SampleRun.objects.exists()


class TestSamples:
    def newest(self, party: Party) -> dict[str, tuple[int, ...]]:
        return {
            sample.site.code: (sample.new, sample.in_progress, sample.on_hold, sample.resolved)
            for sample in OpenSample.objects.filter(site__tenant=party.tenant).order_by("minute")
        }

    def test_tell_what_is_open_in_each_site(self, world: World) -> None:
        for _ in range(3):
            actions.create_ticket(site=world.a.near, description="x")
        taken = actions.create_ticket(site=world.a.near, description="x")
        actions.change_status(ticket_id=taken.pk, to="IN_PROGRESS", actor=None, reason="t")

        assert samples.take()
        assert self.newest(world.a) == {"SITE001": (3, 1, 0, 0), "SITE002": (0, 0, 0, 0)}

    def test_are_taken_once_a_minute(self, world: World) -> None:
        assert samples.take()
        actions.create_ticket(site=world.a.near, description="x")

        assert not samples.take()
        age(SampleRun, minutes=1)
        age(OpenSample, minutes=1)
        assert samples.take()
        assert self.newest(world.a)["SITE001"] == (1, 0, 0, 0)

    def test_are_written_only_when_they_differ(self, world: World) -> None:
        made = actions.create_ticket(site=world.a.near, description="x")
        for _ in range(3):
            samples.take()
            age(SampleRun, minutes=1)
            age(OpenSample, minutes=1)
        before = OpenSample.objects.count()
        made.delete()
        samples.take()

        assert before == 4  # one per site
        assert OpenSample.objects.count() == 5
        assert self.newest(world.a)["SITE001"] == (0, 0, 0, 0)

    def test_of_a_run_that_fails_are_taken_by_the_next(self, world: World) -> None:
        with transaction.atomic():
            samples.take()
            transaction.set_rollback(True)

        assert samples.take()


class TestOpenTickets:
    def test_carry_the_last_sample_forward_and_have_a_hole_where_nobody_looked(
        self, world: World, stats: Callable[..., dict[str, Any]]
    ) -> None:
        now = timezone.now().replace(second=0, microsecond=0)
        minute = timedelta(minutes=1)
        for back in (9, 8, 7, 3, 2, 1, 0):
            SampleRun.objects.create(minute=now - back * minute)
        for site, back, new in (
            (world.a.near, 60, 5),
            (world.a.near, 8, 6),
            (world.a.near, 2, 1),
            (world.a.far, 7, 10),
            (world.b.near, 9, 100),
        ):
            OpenSample.objects.create(
                site=site, minute=now - back * minute, new=new, in_progress=0, on_hold=0, resolved=2
            )

        found = stats(world.a.operator, 10)["open"]
        assert found["NEW"] == [5, 6, 16, 16, None, None, 16, 11, 11, 11]
        assert found["RESOLVED"][-1] == 4
        assert stats(world.a.site_operator, 10)["open"]["NEW"][-1] == 1

    def test_are_unknown_before_the_first_sample(
        self, world: World, stats: Callable[..., dict[str, Any]]
    ) -> None:
        assert stats(world.a.operator, 3)["open"]["ON_HOLD"] == [None, None, None]


def event(seconds: float, now: float) -> Event:
    occurred = datetime.fromtimestamp(now - seconds, tz=UTC)
    return Event("canary", 1, "e", "i", occurred.isoformat(), {})


class TestDelays:
    NOW = 1_700_000_000.0

    def test_are_those_of_a_known_distribution_within_a_bucket(self) -> None:
        counted = Delays()
        durations = [0.01 * n for n in range(1, 1_001)]  # evenly up to 10 s
        counted.observe(1, [event(seconds, self.NOW) for seconds in durations], self.NOW)
        (counts,) = counted._counts.values()

        assert quantiles(counts, 0.5, 0.95) == pytest.approx([5.0, 9.5], rel=0.03)

    @pytest.mark.parametrize("seconds", [0.0011, 0.0123, 0.7, 3.0, 99.0])
    def test_of_one_duration_are_at_most_a_bucket_away(self, seconds: float) -> None:
        counted = Delays()
        counted.observe(1, [event(seconds, self.NOW)] * 9, self.NOW)
        (counts,) = counted._counts.values()

        assert quantiles(counts, 0.5, 0.95) == pytest.approx([seconds] * 2, rel=0.26)

    def test_end_at_the_ends_of_the_buckets(self) -> None:
        counted = Delays()
        counted.observe(1, [event(-5, self.NOW)], self.NOW)  # another machine's clock
        counted.observe(2, [event(9_999, self.NOW)], self.NOW)
        first, last = counted._counts.values()

        assert quantiles(first, 1.0) == [BOUNDS[0]]
        assert quantiles(last, 0.5) == [BOUNDS[-1]]
        assert quantiles([0] * SIZE, 0.5) == [None]

    def test_of_several_processes_add_up(
        self, world: World, stats: Callable[..., dict[str, Any]]
    ) -> None:
        now = timezone.now().timestamp()
        for seconds, tenant in ((0.1, world.a), (2.0, world.a), (2.0, world.a), (50.0, world.b)):
            process = Delays()
            process.observe(tenant.tenant.pk, [event(seconds, now)], now)
            async_to_sync(process.write)()

        found = stats(world.a.site_operator)["delivery"]  # of the tenant, whatever the sites
        at = -1 if found["p50_s"][-1] is not None else -2  # the minute may just have passed
        assert found["p50_s"][at] == pytest.approx(2.0, rel=0.26)
        assert [found["p95_s"].count(None), DeliveryCount.objects.count()] == [4, 2]

    def test_are_kept_while_the_database_fails(self, world: World) -> None:
        process = Delays()
        now = timezone.now().timestamp()
        process.observe(world.a.tenant.pk, [event(1, now)], now)
        with held_up("noc_deliverycount"):
            with pytest.raises(DatabaseError):
                async_to_sync(write_with_timeout)(process)
            process.observe(world.a.tenant.pk, [event(1, now)], now)
        async_to_sync(process.write)()
        async_to_sync(process.write)()

        assert [sum(row.counts) for row in DeliveryCount.objects.all()] == [2]

    def test_leave_out_the_canary_and_deleted_tenants(self, world: World) -> None:
        delays.add({(perch().tenant_id, 1): [1] * SIZE, (2**40, 1): [1] * SIZE})

        assert not DeliveryCount.objects.exists()

    def test_are_of_what_sockets_are_sent_live(self, database: None, redis_url: str) -> None:
        with served_world() as served:
            user = served.user("operator")
            actions.create_ticket(site=served.north, description="before")
            served.drain()
            caught_up = served.connect(user, "?after_seq=0&epoch=" + str(served.head().epoch))
            caught_up.until("synced")
            viewer = served.connect(user)
            viewer.start()
            for _ in range(3):
                actions.create_ticket(site=served.north, description="live")
            served.drain()
            for each in (viewer, caught_up):
                for _ in range(3):
                    each.until("ticket_created")
            tenant_id = served.acme.pk

        found = DeliveryCount.objects.filter(tenant_id=tenant_id)  # written when the server stopped
        assert sum(sum(row.counts) for row in found) == 6


async def write_with_timeout(process: Delays) -> None:
    """Write while the feed's threads wait for no lock longer than a moment."""
    all_there = threading.Barrier(database.THREADS)

    def begin(impatient: bool) -> None:
        all_there.wait(20)  # so that each thread takes one
        connection.close()  # a lost one would have `run` call this again, which none waits for
        if impatient:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '50ms'")

    async def in_each_thread(impatient: bool) -> None:
        await asyncio.gather(*(database.run(begin, impatient) for _ in range(database.THREADS)))

    await in_each_thread(True)
    try:
        await process.write()
    finally:
        await in_each_thread(False)


class TestApi:
    def test_counts_the_sites_in_scope(
        self, world: World, redis_url: str, stats: Callable[..., dict[str, Any]]
    ) -> None:
        for party, times in ((world.a, 4), (world.b, 1)):
            write(party, times)
            record(party)
        count()

        def total(user: Any) -> list[int]:
            return [sum(line) for line in stats(user)["events"].values()]

        assert total(world.a.operator) == [4, 4, 4]
        assert total(world.a.site_operator) == [2, 0, 2]  # a finding of no site is not theirs
        assert total(world.b.operator) == [1, 1, 1]

    @pytest.mark.parametrize(
        ("minutes", "step_s", "values"),
        [(1, 60, 1), (60, 60, 60), (361, 120, 181), (1440, 300, 288)],
    )
    def test_has_one_value_per_step(
        self,
        world: World,
        stats: Callable[..., dict[str, Any]],
        minutes: int,
        step_s: int,
        values: int,
    ) -> None:
        found = stats(world.a.operator, minutes)
        begin, end = (datetime.fromisoformat(found[name]) for name in ("from", "to"))

        assert (end - begin).total_seconds() == step_s * values
        assert (begin.timestamp() % step_s, found["step_s"]) == (0, step_s)
        assert begin <= timezone.now() < end
        lines = [*found["events"].values(), *found["delivery"].values(), *found["open"].values()]
        assert {len(line) for line in lines} == {values}
        assert len(lines) == 3 + 2 + 4

    def test_adds_up_the_minutes_of_a_step(
        self, world: World, stats: Callable[..., dict[str, Any]]
    ) -> None:
        end = datetime.fromisoformat(stats(world.a.operator, 1_440)["to"])
        tenant, site = world.a.tenant, world.a.near
        for back, slow in ((6, 0), (7, 0), (8, 0), (9, 1), (20, 1)):
            minute = end - timedelta(minutes=back)
            EventCount.objects.create(
                tenant=tenant, minute=minute, site_id=site.pk, ticket=back, finding=0, anomaly=1
            )
            counts = [0] * SIZE
            counts[40 if slow else 10] = 1
            DeliveryCount.objects.create(tenant=tenant, minute=minute, counts=counts)
            SampleRun.objects.create(minute=minute)
            OpenSample.objects.create(
                site=site, minute=minute, new=back, in_progress=0, on_hold=0, resolved=0
            )

        found = stats(world.a.operator, 1_440)
        at = -2 if found["to"] == end.strftime("%Y-%m-%dT%H:%M:%S.%fZ") else -3
        assert (found["events"]["ticket"][at], found["events"]["anomaly"][at]) == (30, 4)
        assert found["open"]["NEW"][at] == 6
        assert found["delivery"]["p50_s"][at] < 0.02 < 5 < found["delivery"]["p95_s"][at]

    @pytest.mark.parametrize("query", ["minutes=0", "minutes=1441", "minutes=x", "hours=1"])
    def test_refuses_other_spans(self, world: World, api: Callable[[Any], Any], query: str) -> None:
        assert api(world.a.operator).get(f"/api/v1/noc/stats/?{query}").status_code == 400

    def test_is_for_who_may_view(self, world: World, api: Callable[[Any], Any]) -> None:
        assert api(world.a.guest).get("/api/v1/noc/stats/").status_code == 403
        assert api(None).get("/api/v1/noc/stats/").status_code == 401


class TestForgetting:
    def test_lets_go_of_what_is_older_than_a_week(self, world: World) -> None:
        now = timezone.now()
        tenant, site = world.a.tenant, world.a.near
        for days in (9, 8, 6):
            minute = now - timedelta(days=days)
            EventCount.objects.create(
                tenant=tenant, minute=minute, site_id=site.pk, ticket=days, finding=0, anomaly=0
            )
            DeliveryCount.objects.create(tenant=tenant, minute=minute, counts=[days] * SIZE)
            OpenSample.objects.create(
                site=site, minute=minute, new=days, in_progress=0, on_hold=0, resolved=0
            )
            SampleRun.objects.create(minute=minute)
        old = OpenSample.objects.create(
            site=world.a.far,
            minute=now - timedelta(days=90),
            new=1,
            in_progress=0,
            on_hold=0,
            resolved=0,
        )

        deleted = [forgetting.forget(now=now, limit=3) for _ in range(4)]

        assert deleted == [3, 3, 1, 0]
        assert [row.ticket for row in EventCount.objects.all()] == [6]
        assert [row.counts[0] for row in DeliveryCount.objects.all()] == [6]
        assert SampleRun.objects.count() == 1
        # The last before the week still tells what is open at its beginning.
        assert {(row.site_id, row.new) for row in OpenSample.objects.all()} == {
            (site.pk, 8),
            (site.pk, 6),
            (old.site_id, 1),
        }

    def test_happens_with_the_tenant(self, world: World) -> None:
        DeliveryCount.objects.create(tenant=world.a.tenant, minute=timezone.now(), counts=[1])
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("DELETE FROM tenancy_membership_sites")
            cursor.execute("DELETE FROM tenancy_membership")
            cursor.execute("DELETE FROM tenancy_site")
            cursor.execute("DELETE FROM tenancy_tenant")

        assert not DeliveryCount.objects.exists()
