"""The version that an instance carries: right after a save, and right again after a rollback."""

import copy
import pickle
from contextlib import contextmanager, suppress

import pytest
from django.db import connection, transaction

from apps.helpdesk.errors import StaleVersion
from apps.helpdesk.models import Ticket


class Abandoned(Exception):
    """Raised to roll back."""


@contextmanager
def rolled_back():
    with suppress(Abandoned), transaction.atomic():
        yield
        raise Abandoned


def row(ticket):
    return Ticket.objects.values_list("version", "updated_at", "status").get(pk=ticket.pk)


def agrees_with_row(ticket):
    version, updated_at, _ = row(ticket)
    return (ticket.version, ticket.updated_at) == (version, updated_at)


class TestSave:
    def test_counts_in_autocommit(self, ticket):
        ticket.status = "IN_PROGRESS"
        ticket.save()
        ticket.status = "RESOLVED"
        ticket.save()

        assert ticket.version == 3
        assert agrees_with_row(ticket)

    def test_counts_twice_in_one_transaction(self, ticket):
        with transaction.atomic():
            ticket.save()
            assert agrees_with_row(ticket)
            ticket.save()
            assert ticket.version == 3

        assert agrees_with_row(ticket)

    def test_with_update_fields_sends_the_version_and_takes_the_new_one(self, ticket):
        stale = Ticket.objects.get(pk=ticket.pk)
        ticket.status = "RESOLVED"
        ticket.save(update_fields=["status"])
        stale.priority = "LOW"

        with pytest.raises(StaleVersion):
            stale.save(update_fields=["priority"])

        assert ticket.version == 2
        assert agrees_with_row(ticket)

    def test_refuses_a_stale_instance_and_changes_nothing(self, ticket):
        stale = Ticket.objects.get(pk=ticket.pk)
        ticket.status = "RESOLVED"
        ticket.save()
        before = row(ticket)
        stale.status = "CANCELLED"

        with pytest.raises(StaleVersion) as refused:
            stale.save()

        assert refused.value.expected == 1
        assert row(ticket) == before
        assert stale.version == 1

    def test_refuses_to_bring_a_deleted_row_back(self, ticket):
        stale = Ticket.objects.get(pk=ticket.pk)
        ticket.delete()

        with pytest.raises(StaleVersion):
            stale.save()

        assert not Ticket.objects.exists()

    def test_without_the_version_loaded_is_based_on_none(self, ticket):
        deferred = Ticket.objects.defer("version").get(pk=ticket.pk)
        Ticket.objects.filter(pk=ticket.pk).update(priority="LOW")
        deferred.status = "RESOLVED"

        deferred.save()

        assert agrees_with_row(deferred)
        assert deferred.version == 3

    def test_moves_updated_at_unless_the_write_does(self, ticket):
        created = ticket.updated_at
        ticket.save()
        moved = ticket.updated_at
        ticket.updated_at = created
        ticket.save()

        assert moved > created
        assert ticket.updated_at == created
        assert agrees_with_row(ticket)


class TestUpdate:
    def test_and_raw_sql_are_counted(self, ticket):
        Ticket.objects.filter(pk=ticket.pk).update(priority="LOW")
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE helpdesk_ticket SET priority = 'HIGH' WHERE id = %s", [ticket.pk]
            )

        assert row(ticket)[0] == 3
        with pytest.raises(StaleVersion):
            ticket.save()

    def test_may_not_set_the_version(self, ticket):
        with pytest.raises(Exception, match="is at version 1, not 7"):
            Ticket.objects.filter(pk=ticket.pk).update(version=7)


class TestRollback:
    def test_of_the_transaction_takes_the_version_back(self, ticket):
        updated_at = ticket.updated_at
        with rolled_back():
            ticket.save()
            ticket.save()

        assert (ticket.version, ticket.updated_at) == (1, updated_at)
        ticket.save()
        assert agrees_with_row(ticket)

    def test_of_a_savepoint_takes_back_what_was_saved_in_it(self, ticket):
        with transaction.atomic():
            ticket.save()
            with rolled_back():
                ticket.save()
                with transaction.atomic():
                    ticket.save()
            assert ticket.version == 2
            assert agrees_with_row(ticket)
            ticket.save()

        assert ticket.version == 3
        assert agrees_with_row(ticket)

    def test_of_a_released_savepoint_with_its_transaction(self, ticket):
        with rolled_back(), transaction.atomic():
            ticket.save()

        assert agrees_with_row(ticket)

    def test_on_demand_takes_the_version_back(self, ticket):
        with transaction.atomic():
            ticket.save()
            transaction.set_rollback(True)

        assert agrees_with_row(ticket)

    def test_keeps_what_refresh_from_db_read_before_it(self, ticket):
        with transaction.atomic():
            ticket.save()
            with rolled_back():
                ticket.save()
            ticket.refresh_from_db()
            assert ticket.version == 2

        assert agrees_with_row(ticket)

    def test_after_a_refresh_inside_takes_the_version_back(self, ticket):
        with rolled_back():
            ticket.save()
            ticket.refresh_from_db()

        assert agrees_with_row(ticket)

    def test_of_a_stale_save_leaves_the_version_as_loaded(self, ticket):
        Ticket.objects.filter(pk=ticket.pk).update(priority="LOW")
        with pytest.raises(StaleVersion), transaction.atomic():
            ticket.save()

        assert ticket.version == 1
        ticket.refresh_from_db()
        ticket.save()
        assert agrees_with_row(ticket)

    def test_of_an_insert_lets_the_instance_be_inserted_again(self, world):
        made = Ticket(tenant=world.a.tenant, site=world.a.near, ticket_no="SITE001#900")
        with rolled_back():
            made.save()
            made.save()

        made.save()

        assert made.version == 1
        assert agrees_with_row(made)


class TestCommit:
    def test_hooks_read_the_new_version(self, ticket):
        read = []
        with transaction.atomic():
            transaction.on_commit(lambda: read.append(ticket.version))
            ticket.save()
            transaction.on_commit(lambda: read.append(ticket.version))

        assert read == [2, 2]

    def test_keeps_the_version_when_a_hook_raises(self, ticket):
        def fail():
            raise Abandoned

        with suppress(Abandoned), transaction.atomic():
            transaction.on_commit(fail)
            ticket.save()

        assert ticket.version == 2
        assert agrees_with_row(ticket)

    def test_lets_a_hook_save_again(self, ticket):
        with transaction.atomic():
            ticket.save()
            transaction.on_commit(ticket.save)

        assert ticket.version == 3
        assert agrees_with_row(ticket)


class TestCopies:
    @pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
    def test_are_taken_back_by_a_rollback_too(self, ticket, copied):
        with rolled_back():
            ticket.save()
            twin = copied(ticket)

        assert agrees_with_row(ticket)
        assert agrees_with_row(twin)

    def test_by_pickle_keep_the_version_as_it_is_then(self, ticket):
        with transaction.atomic():
            ticket.save()
            twin = pickle.loads(pickle.dumps(ticket))  # noqa: S301 - our own bytes

        assert twin.version == 2
        twin.save()
        assert agrees_with_row(twin)
