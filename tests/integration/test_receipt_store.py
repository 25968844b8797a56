"""The rows of the feed's connections: saved in bulk, never set back, closed for the dead."""

import threading
import uuid
from dataclasses import replace
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.db import Error, IntegrityError, connection, transaction
from django.utils import timezone

from apps.noc.feed.models import FeedProcess
from apps.noc.models import FeedSession
from apps.noc.receipts import store
from apps.tenancy.models import Membership, Site, Tenant
from tests.integration.processes import until
from tests.integration.receipt_parts import OPENED, PROCESS, later, part_of

EPOCH = uuid.UUID(int=7)
HOT = """
SELECT pg_stat_force_next_flush(), pg_stat_clear_snapshot();
SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'noc_feedsession'
"""


@pytest.fixture
def part(world):
    return part_of(world.a.operator, epoch=EPOCH, start=10, sent=20, acked=15)


def saved(*parts):
    store.save(parts)
    return FeedSession.objects.get(session=parts[-1].session, part=parts[-1].part)


class TestSave:
    def test_keeps_what_is_known(self, world, part):
        part.sites = [3, 4]
        part.acked_at = later(2.5)
        part.slowest_ack_ms = 120

        row = saved(part)

        assert {name: str(getattr(row, name)) for name in store.COLUMNS} == {
            name: str(getattr(part, name) if name != "epoch" else EPOCH) for name in store.COLUMNS
        }

    def test_tells_no_site_from_every_site(self, world, part):
        assert saved(part).sites is None
        assert saved(replace(part, part=1, sites=[])).sites == []

    def test_is_one_statement_for_a_thousand_parts(self, world, django_assert_num_queries):
        parts = [
            part_of(world.a.operator, epoch=EPOCH, sites=[world.a.near] * (number % 3))
            for number in range(1_000)
        ]

        with django_assert_num_queries(1):
            store.save(parts)
        with django_assert_num_queries(1):
            store.save([replace(part, sent_seq=5) for part in parts])

        assert FeedSession.objects.filter(sent_seq=5).count() == 1_000

    def test_of_nothing_asks_nothing(self, world, django_assert_num_queries):
        with django_assert_num_queries(0):
            store.save([])

    def test_takes_the_last_of_two_of_the_same_part(self, part):
        assert saved(part, replace(part, sent_seq=30)).sent_seq == 30

    def test_moves_positions_forward_only(self, part):
        saved(replace(part, acked_at=later(9), slowest_ack_ms=900))

        row = saved(replace(part, sent_seq=18, acked_seq=12, acked_at=later(1), slowest_ack_ms=100))

        assert (row.sent_seq, row.acked_seq) == (20, 15)
        assert (row.acked_at, row.slowest_ack_ms) == (later(9), 900)
        row = saved(replace(part, sent_seq=25, acked_seq=22))
        assert (row.sent_seq, row.acked_seq) == (25, 22)
        assert (row.acked_at, row.slowest_ack_ms) == (later(9), 900)

    def test_changes_nothing_else_of_a_part(self, world, part):
        saved(part)

        row = saved(
            replace(
                part,
                user_id=world.b.operator.pk,
                tenant_id=world.b.tenant.pk,
                sites=[1],
                start_seq=0,
                epoch=str(uuid.uuid4()),
                opened_at=later(5),
            )
        )

        assert (row.user_id, row.tenant_id) == (part.user_id, part.tenant_id)
        assert (row.sites, row.start_seq, row.epoch) == (None, 10, EPOCH)
        assert row.opened_at == OPENED

    def test_never_opens_a_closed_part_again(self, part):
        saved(replace(part, closed_at=later(60), close_code=4000))

        row = saved(replace(part, sent_seq=21))

        assert (row.closed_at, row.close_code, row.sent_seq) == (later(60), 4000, 21)

    def test_leaves_out_the_parts_of_a_deleted_user(self, world, part):
        gone = part_of(world.a.reader, epoch=EPOCH)
        world.a.reader.delete()

        store.save([gone, part])

        assert FeedSession.objects.get().user == world.a.operator

    def test_leaves_out_the_parts_of_a_deleted_tenant(self, world, part):
        gone = part_of(world.b.operator, epoch=EPOCH)
        Membership.objects.filter(tenant=world.b.tenant).delete()
        Site.objects.filter(tenant=world.b.tenant).delete()
        world.b.tenant.delete()

        store.save([gone, part])

        assert FeedSession.objects.get().user == world.a.operator

    def test_leaves_out_a_user_who_is_deleted_at_the_same_moment(self, world, part):
        gone = part_of(world.a.reader, epoch=EPOCH)
        saving = threading.Thread(target=save_and_close, args=[[gone, part]])

        with transaction.atomic():
            world.a.reader.delete()
            saving.start()
            until(waits_for_a_lock, what="the save waits for the deletion")
        saving.join()

        assert FeedSession.objects.get().user == world.a.operator

    def test_refuses_what_cannot_be_and_writes_none_of_it(self, part):
        for wrong in (
            replace(part, start_seq=30),
            replace(part, acked_seq=21),
            replace(part, start_seq=-1),
            replace(part, close_code=4000),
        ):
            with pytest.raises(IntegrityError, match="feedsession_"):
                store.save([replace(part, session=uuid.uuid4()), wrong])
        assert not FeedSession.objects.exists()

    def test_raises_the_databases_error_when_it_cannot_write(self, part):
        with connection.cursor() as cursor:
            cursor.execute("SET default_transaction_read_only = on")

        with pytest.raises(Error, match="read-only"):
            store.save([part])

    def test_of_open_parts_touches_no_index(self, world):
        parts = [part_of(world.a.operator, epoch=EPOCH) for _ in range(500)]
        store.save(parts)
        before = updates()

        for sent in range(1, 21):
            store.save([replace(part, sent_seq=sent, acked_seq=sent) for part in parts])

        done, hot = (now - then for now, then in zip(updates(), before, strict=True))
        assert done == 10_000
        assert hot / done > 0.95


def save_and_close(parts):
    try:
        store.save(parts)
    finally:
        connection.close()


def waits_for_a_lock():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return cursor.fetchone()[0]


def updates():
    with connection.cursor() as cursor:
        flush, read = HOT.split(";")
        cursor.execute(flush)
        cursor.execute(read)
        return cursor.fetchone()


class TestDeletion:
    def test_of_a_user_takes_the_parts_along(self, world, part):
        store.save([part, part_of(world.a.reader, epoch=EPOCH)])

        world.a.operator.delete()

        assert FeedSession.objects.get().user == world.a.reader

    def test_of_users_by_sql_takes_the_parts_along(self, world, part):
        store.save([part])

        Membership.objects.all().delete()
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM auth_user")

        assert not FeedSession.objects.exists()
        assert not User.objects.exists()

    def test_of_a_tenant_takes_the_parts_along(self, world, part):
        store.save([part])
        Membership.objects.all().delete()
        Site.objects.all().delete()

        Tenant.objects.all().delete()

        assert not FeedSession.objects.exists()


class TestCloseDead:
    @pytest.fixture
    def seen(self, world):
        def see(process, *, seconds_ago):
            at = timezone.now() - timedelta(seconds=seconds_ago)
            FeedProcess.objects.create(id=process, started_at=at, seen_at=at)
            return at

        return see

    def test_closes_the_parts_of_a_lost_process_when_it_was_last_seen(self, part, seen):
        at = seen(PROCESS, seconds_ago=100)
        store.save([part, replace(part, part=1)])

        assert store.close_dead(45) == 2

        assert set(FeedSession.objects.values_list("closed_at", "close_code")) == {(at, None)}
        assert store.close_dead(45) == 0

    def test_leaves_the_parts_of_a_living_process_open(self, part, seen):
        seen(PROCESS, seconds_ago=30)
        store.save([part])

        assert store.close_dead(45) == 0
        assert FeedSession.objects.get().closed_at is None

    def test_leaves_closed_parts_as_they_are(self, part, seen):
        seen(PROCESS, seconds_ago=100)
        store.save([replace(part, closed_at=later(60), close_code=4000)])

        assert store.close_dead(45) == 0
        assert FeedSession.objects.get().closed_at == later(60)

    @pytest.mark.parametrize(("acked_at", "closed_at"), [(None, OPENED), (later(8), later(8))])
    def test_of_a_forgotten_process_takes_the_last_sign_of_the_client(
        self, part, acked_at, closed_at
    ):
        store.save([replace(part, acked_at=acked_at)])

        assert store.close_dead(45) == 1
        assert FeedSession.objects.get().closed_at == closed_at

    def test_gives_way_to_the_true_end(self, part):
        store.save([part])
        store.close_dead(45)

        row = saved(replace(part, closed_at=later(90), close_code=4001))

        assert (row.closed_at, row.close_code) == (later(90), 4001)


class TestForget:
    def test_deletes_what_was_closed_before_a_bit_at_a_time(self, part):
        closed = [
            replace(part, session=uuid.uuid4(), closed_at=later(second)) for second in range(5)
        ]
        store.save([part, *closed])

        deleted = [store.forget(before=later(3), limit=2) for _ in range(3)]

        assert deleted == [2, 1, 0]
        assert set(FeedSession.objects.values_list("closed_at", flat=True)) == {
            None,
            later(3),
            later(4),
        }
