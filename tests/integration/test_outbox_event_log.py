"""The log's table: append-only on every way in, and its daily partitions."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from django.utils import timezone

from outbox import log, partitions
from outbox.models import LogEntry
from tests.integration.outbox_fixtures import STREAM, Bench

FAR_DAY = date(2031, 3, 5)


def partition(day: date) -> str:
    return f"event_log_p{day:%Y%m%d}"


@pytest.fixture
def far_partition(bench: Bench):
    """A partition of a day that nothing is recorded on."""
    assert bench.one("SELECT outbox_add_partition(%s)", FAR_DAY)
    yield partition(FAR_DAY)
    bench.admin.execute(f"DROP TABLE IF EXISTS {partition(FAR_DAY)}")


def put(bench: Bench, recorded_at: datetime, *, seq: int = 1, published: int | None = None) -> None:
    """Put an event of a chosen time into the log."""
    bench.admin.execute(
        "INSERT INTO outbox_stream (name, lane, epoch, last_seq, published_seq) "
        "SELECT %s, 0, epoch, %s, %s FROM outbox_log ON CONFLICT (name) DO UPDATE "
        "SET last_seq = EXCLUDED.last_seq, published_seq = EXCLUDED.published_seq",
        [STREAM, seq, seq if published is None else published],
    )
    bench.admin.execute(
        "INSERT INTO event_log (stream, seq, event_id, type, subject, payload, context, "
        "schema_version, occurred_at, recorded_at) "
        "VALUES (%s, %s, gen_random_uuid(), 't', 's', '{}', '{}', 1, now(), %s)",
        [STREAM, seq, recorded_at],
    )


class TestAppendOnly:
    @pytest.mark.parametrize("statement", ["UPDATE {} SET type = 'x'", "DELETE FROM {}"])
    def test_refuses_changes_on_parent_and_every_leaf(self, statement, bench, far_partition):
        day = datetime.combine(FAR_DAY, datetime.min.time(), UTC)
        today = timezone.now()
        places = {"event_log": today, partition(today.date()): today, far_partition: day}
        places["event_log_default"] = datetime(2012, 1, 1, tzinfo=UTC)
        for seq, (place, time) in enumerate(places.items(), start=1):
            put(bench, time, seq=seq)
            with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
                bench.admin.execute(statement.format(place))

        assert len(bench.log()) == len(places)

    def test_refuses_truncate_on_parent_and_every_leaf(self, bench, far_partition):
        assert far_partition in partitions.names()
        for place in ["event_log", *partitions.names()]:
            with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
                bench.admin.execute(f"TRUNCATE {place}")

    def test_refuses_changes_by_the_model(self, bench):
        put(bench, timezone.now())
        entry = LogEntry.objects.get()
        with pytest.raises(TypeError):
            entry.save()
        for refused in (entry.delete, LogEntry.objects.all().delete):
            with pytest.raises(Exception, match="append-only"):
                refused()


class TestPartitions:
    def test_of_a_new_day_are_read_by_subject(self, bench, far_partition):
        assert bench.all(
            "SELECT i.inhparent::regclass::text FROM pg_inherits i"
            " JOIN pg_index x ON x.indexrelid = i.inhrelid"
            " WHERE x.indrelid = %s::regclass AND NOT x.indisprimary",
            far_partition,
        ) == [("event_log_by_subject",)]

    def test_exist_ahead_and_making_them_again_does_nothing(self, outbox):
        now = timezone.now()
        partitions.ensure_ahead(now=now)

        assert partitions.ensure_ahead(now=now) == 0
        wanted = {partition((now + timedelta(days=n)).date()) for n in range(8)}
        assert wanted <= set(partitions.names())

    def test_are_made_for_the_days_ahead(self, bench):
        now = datetime(2031, 7, 1, 12, tzinfo=UTC)
        try:
            assert partitions.ensure_ahead(now=now) == 8
            put(bench, now + timedelta(days=7))
            home = "SELECT tableoid::regclass::text FROM event_log"
            assert bench.one(home) == "event_log_p20310708"
        finally:
            for offset in range(8):
                day = (now + timedelta(days=offset)).date()
                bench.admin.execute(f"DROP TABLE IF EXISTS {partition(day)}")

    def test_begin_and_end_at_midnight_utc_whatever_the_time_zone(self, bench):
        with bench.connect() as session:
            session.execute("SET TIME ZONE 'Asia/Kolkata'")
            session.execute("SELECT outbox_add_partition(%s)", [FAR_DAY])
        try:
            for time, home in (
                (datetime(2031, 3, 5, tzinfo=UTC), partition(FAR_DAY)),
                (datetime(2031, 3, 5, 23, 59, 59, 999_999, tzinfo=UTC), partition(FAR_DAY)),
                (datetime(2031, 3, 6, tzinfo=UTC), "event_log_default"),
            ):
                put(bench, time)
                found = "SELECT tableoid::regclass::text FROM event_log WHERE recorded_at = %s"
                assert bench.one(found, time) == home
        finally:
            bench.admin.execute(f"DROP TABLE {partition(FAR_DAY)}")

    def test_have_a_default_one_for_rows_of_no_day(self, bench):
        put(bench, datetime(2012, 1, 1, tzinfo=UTC))

        assert bench.one("SELECT count(*) FROM event_log_default") == 1
        assert len(log.read(STREAM, 0, 10)) == 1

    def test_of_later_days_are_made_although_the_default_one_has_rows_of_today(self, bench, caplog):
        """After a long halt the first rows come before the partitions do."""
        now = datetime(2031, 7, 1, 12, tzinfo=UTC)
        put(bench, now)
        try:
            assert partitions.ensure_ahead(now=now) == 7
            assert "2031-07-01" in caplog.text
            put(bench, now + timedelta(days=1), seq=2)
            homes = bench.all("SELECT tableoid::regclass::text FROM event_log ORDER BY seq")
            assert homes == [("event_log_default",), ("event_log_p20310702",)]
        finally:
            for offset in range(8):
                day = (now + timedelta(days=offset)).date()
                bench.admin.execute(f"DROP TABLE IF EXISTS {partition(day)}")

    def test_can_be_made_by_two_at_once(self, bench):
        make_with = bench.connect(), bench.connect()
        try:
            with ThreadPoolExecutor(2) as threads:
                made = list(
                    threads.map(
                        lambda session: session.execute(
                            "SELECT outbox_add_partition(%s)", [FAR_DAY]
                        ).fetchall()[0][0],
                        make_with,
                    )
                )
            assert sorted(made) == [False, True]
        finally:
            bench.admin.execute(f"DROP TABLE IF EXISTS {partition(FAR_DAY)}")

    def test_can_be_made_while_a_round_records(self, bench):
        """The one that is made waits for the round, or the round for it; neither fails."""
        one, two = bench.tickets(2)
        bench.write(one)
        hand = bench.hand_drainer()
        hand.lock()
        hand.record()
        try:
            assert bench.one("SELECT outbox_add_partition(%s)", FAR_DAY)
            hand.commit()
            bench.write(two)
            bench.drainer().drain()
            assert bench.findings() == []
        finally:
            bench.admin.execute(f"DROP TABLE IF EXISTS {partition(FAR_DAY)}")


class TestDroppingOldPartitions:
    OLD = datetime(2015, 6, 1, 12, tzinfo=UTC)

    @pytest.fixture(autouse=True)
    def old_partition(self, bench):
        self.name = partition(self.OLD.date())
        bench.admin.execute("SELECT outbox_add_partition(%s)", [self.OLD.date()])
        yield
        bench.admin.execute(f"DROP TABLE IF EXISTS {self.name}")

    def test_takes_those_that_are_past_their_days(self, bench):
        put(bench, self.OLD)
        later = self.OLD + timedelta(days=91)

        assert partitions.drop_old(now=self.OLD + timedelta(days=90)) == []
        assert partitions.drop_old(now=later) == [self.name]
        assert self.name not in partitions.names()
        head = log.head(STREAM)
        assert (head.last_seq, head.min_seq) == (1, 2)

    def test_leaves_one_with_an_event_that_is_not_published(self, bench):
        put(bench, self.OLD, published=0)
        later = self.OLD + timedelta(days=91)
        assert partitions.drop_old(now=later) == []

        bench.admin.execute("UPDATE outbox_stream SET published_seq = last_seq")
        assert partitions.drop_old(now=later) == [self.name]

    def test_never_takes_the_default_one(self, bench):
        assert "event_log_default" not in partitions.drop_old(now=self.OLD + timedelta(days=3_000))
        assert "event_log_default" in partitions.names()
