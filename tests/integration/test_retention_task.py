"""The hourly task that lets go of what is old, and leaves what is still needed."""

import logging
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.contrib.sessions.models import Session
from django.db import OperationalError, connection
from django.utils import timezone
from django_celery_beat.models import PeriodicTask

from apps.noc.receipts import store
from apps.noc.receipts.models import FeedSession
from outbox import partitions, retention
from tests.integration.conftest import World
from tests.integration.outbox_fixtures import database_url
from tests.integration.receipt_parts import part_of
from worker import tasks
from worker.schedule import ensure_schedule

OLD = datetime(2015, 6, 1, 12, tzinfo=UTC)


def session(expires: datetime) -> str:
    key = uuid4().hex
    Session.objects.create(session_key=key, session_data="x", expire_date=expires)
    return key


@pytest.fixture
def old_partition(database: None) -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT outbox_add_partition(%s)", [OLD.date()])
    return f"event_log_p{OLD:%Y%m%d}"


class TestForget:
    def test_drops_partitions_receipts_and_sessions_that_are_past_their_time(
        self, world: World, old_partition: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        now = timezone.now()
        epoch = uuid4()
        ended = [now - timedelta(days=91), now - timedelta(days=89), None]
        store.save(
            [
                part_of(
                    world.a.operator,
                    epoch=epoch,
                    opened_at=now - timedelta(days=92),
                    closed_at=closed,
                )
                for closed in ended
            ]
        )
        expired, live = session(now - timedelta(1)), session(now + timedelta(1))
        with caplog.at_level(logging.INFO, logger="worker.tasks"):
            tasks.forget()

        assert old_partition not in partitions.names()
        assert set(FeedSession.objects.values_list("closed_at", flat=True)) == set(ended[1:])
        assert set(Session.objects.values_list("pk", flat=True)) == {live} - {expired}
        (line,) = [each for each in caplog.records if each.message == "Forgot what is old"]
        assert (line.partitions, line.receipts, line.sessions) == (1, 1, 1)

    def test_forgets_the_rest_also_while_somebody_holds_the_log(self, old_partition: str) -> None:
        session(timezone.now() - timedelta(1))
        with psycopg.connect(database_url()) as reader, connection.cursor() as cursor:
            reader.execute(f"LOCK TABLE {old_partition} IN ACCESS SHARE MODE")
            cursor.execute("SET lock_timeout = '50ms'")
            with pytest.raises(OperationalError):
                tasks.forget()

        assert not Session.objects.exists()
        assert old_partition in partitions.names()
        connection.close()

    def test_drops_the_audit_of_the_day_with_its_log(self, old_partition: str) -> None:
        audit = old_partition.replace("event_log", "outbox_broadcast")

        def there() -> bool:
            with connection.cursor() as cursor:
                cursor.execute("SELECT to_regclass(%s) IS NOT NULL", [audit])
                return bool(cursor.fetchone()[0])

        assert there()
        tasks.forget()
        assert not there()

    def test_may_be_scheduled_otherwise_by_an_admin(self, database: None) -> None:
        ensure_schedule()
        PeriodicTask.objects.filter(task="outbox.forget").update(enabled=False)
        ensure_schedule()

        assert not PeriodicTask.objects.get(task="outbox.forget").enabled


class TestBatches:
    def delete(self, left: list[int]) -> Any:
        def take(*, limit: int) -> int:
            taken = min(limit, left[0])
            left[0] -= taken
            return taken

        return take

    def test_go_on_until_nothing_is_left(self) -> None:
        left = [2 * retention.BATCH + 7]

        assert retention.in_batches(self.delete(left), deadline=monotonic() + 60) == 10_007
        assert left == [0]

    def test_end_with_the_budget_and_leave_the_rest_for_the_next_run(self) -> None:
        left = [2 * retention.BATCH + 7]

        assert retention.in_batches(self.delete(left), deadline=monotonic()) == 0
        assert left == [10_007]
