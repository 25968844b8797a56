"""Going back a release and forth again, on a database with events."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from outbox import partitions
from outbox.models import DeadLetter
from tests.integration import outbox_fixtures
from tests.integration.outbox_fixtures import STREAM, Bench

JUDGE = f"{outbox_fixtures.__name__}.judge"


@pytest.fixture
def migrate(bench: Bench) -> Iterator[None]:
    before = set(partitions.names())
    yield
    for name in set(partitions.names()) - before:
        bench.admin.execute(f"DROP TABLE {name}, {name.replace('event_log', 'outbox_broadcast')}")
    bench.admin.execute(
        "SET session_replication_role = replica; DELETE FROM event_log_default;"
        " SET session_replication_role = origin"
    )
    call_command("migrate", verbosity=0)
    partitions.ensure_ahead(now=timezone.now())


class TestGoingBackBeforeTheFailures:
    def test_keeps_log_and_partitions_going_and_can_be_undone(self, bench, migrate):
        bench.configure(judge=JUDGE)
        bench.write(*bench.tickets(3))
        bench.drainer().drain()
        ahead = timezone.now() + timedelta(days=40)
        call_command("migrate", "outbox", "0003", verbosity=0)

        assert partitions.ensure_ahead(now=ahead) == 8
        assert partitions.drop_old(now=ahead) == []
        assert len(bench.log()) == 3

        call_command("migrate", verbosity=0)
        assert partitions.ensure_ahead(now=ahead) == 8  # those of the broadcasts
        bench.write(*bench.tickets(2))
        bench.drainer().drain()
        assert bench.all(
            "SELECT last_seq, published_seq FROM outbox_stream WHERE name = %s", STREAM
        ) == [(5, 5)]

    def test_can_be_undone_though_a_day_has_rows_and_no_partition(self, bench, migrate):
        day = timezone.now() + timedelta(days=3)
        call_command("migrate", "outbox", "0003", verbosity=0)
        bench.admin.execute(f"DROP TABLE event_log_p{day:%Y%m%d}")
        bench.admin.execute(
            "INSERT INTO event_log VALUES (%s, 1, gen_random_uuid(), 't', 's', '{}', '{}', 1, NULL,"
            " %s, %s)",
            [STREAM, day, day],
        )
        call_command("migrate", verbosity=0)

        assert f"event_log_p{day:%Y%m%d}" not in partitions.names()
        assert not DeadLetter.objects.exists()
