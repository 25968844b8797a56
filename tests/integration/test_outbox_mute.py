"""mute(): writes without events, never by accident and never without a trace."""

import pytest
from django.db import DatabaseError, connection, transaction

import outbox as package
from outbox.errors import NotInTransaction
from outbox.models import Message, Mute
from tests.integration.outbox_fixtures import CHANGE, Bench


def change(ticket: int, state: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(CHANGE, [state, f"c{state}", ticket])


def captured() -> list[str]:
    return list(Message.objects.order_by("id").values_list("payload__name", flat=True))


@pytest.fixture
def ticket(bench: Bench) -> int:
    return bench.tickets(1)[0]


class TestMute:
    def test_captures_nothing_inside_and_everything_after(self, ticket):
        with transaction.atomic():
            change(ticket, 1)
            with package.mute(reason="restore"):
                change(ticket, 2)
            change(ticket, 3)
        change(ticket, 4)

        assert captured() == ["c1", "c3", "c4"]

    def test_leaves_one_audit_row_per_use(self, ticket):
        for reason in ("restore", "fixtures"):
            with transaction.atomic(), package.mute(reason=reason):
                change(ticket, len(reason))

        assert list(Mute.objects.order_by("id").values_list("reason", flat=True)) == [
            "restore",
            "fixtures",
        ]
        assert {mute.role for mute in Mute.objects.all()} == {connection.settings_dict["USER"]}

    def test_ends_with_its_block_also_by_an_error_of_the_caller(self, ticket):
        """The transaction goes on: what follows must be captured."""
        with transaction.atomic():
            with pytest.raises(ZeroDivisionError), package.mute(reason="restore"):
                raise ZeroDivisionError
            change(ticket, 1)

        assert captured() == ["c1"]

    def test_ends_with_its_block_also_by_an_error_of_the_database(self, ticket):
        with transaction.atomic():
            with pytest.raises(DatabaseError), transaction.atomic(), package.mute(reason="restore"):
                connection.cursor().execute("SELECT 1 / 0")
            change(ticket, 1)

        assert captured() == ["c1"]

    def test_keeps_the_error_of_the_database(self, ticket):
        with (
            pytest.raises(DatabaseError, match="division by zero"),
            transaction.atomic(),
            package.mute(reason="restore"),
        ):
            connection.cursor().execute("SELECT 1 / 0")

    def test_can_be_nested(self, ticket):
        with transaction.atomic(), package.mute(reason="restore"):
            with package.mute(reason="of its notes"):
                change(ticket, 1)
            change(ticket, 2)
            with pytest.raises(ZeroDivisionError), package.mute(reason="of its files"):
                raise ZeroDivisionError
            change(ticket, 3)

        assert captured() == []

    def test_has_no_effect_on_other_transactions(self, ticket, bench):
        with transaction.atomic(), package.mute(reason="restore"):
            bench.write(ticket)

        assert captured() == [bench.journal[0].changes[0].name]

    def test_has_no_effect_without_the_audit_row_of_this_transaction(self, ticket):
        with transaction.atomic(), package.mute(reason="restore"):
            pass
        entry = Mute.objects.get().pk
        for setting in (entry, entry + 1, "x"):
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("SELECT set_config('outbox.mute', %s, true)", [str(setting)])
                change(ticket, len(captured()) + 1)

        assert captured() == ["c1", "c2", "c3"]

    def test_needs_a_transaction(self, outbox):
        with pytest.raises(NotInTransaction), package.mute(reason="restore"):
            pass

    @pytest.mark.parametrize("reason", ["", "  \n"])
    def test_needs_a_reason(self, reason, outbox):
        with (
            transaction.atomic(),
            pytest.raises(ValueError, match="reason"),
            package.mute(reason=reason),
        ):
            pass

    def test_can_be_used_from_sql(self, ticket, bench):
        with bench.connect() as session:
            session.execute("BEGIN")
            session.execute("SELECT outbox_mute('restore by psql')")
            session.execute(CHANGE, [1, "c1", ticket])
            session.execute("COMMIT")
            session.execute(CHANGE, [2, "c2", ticket])

        assert captured() == ["c2"]
        assert Mute.objects.get().reason == "restore by psql"

    @pytest.mark.parametrize(
        "statement",
        [
            "DELETE FROM outbox_mute",
            "TRUNCATE outbox_mute",
            "UPDATE outbox_mute SET reason = 'another'",
        ],
    )
    def test_leaves_a_trace_that_cannot_be_removed(self, statement, ticket):
        with transaction.atomic(), package.mute(reason="restore"):
            change(ticket, 1)
            with pytest.raises(DatabaseError, match="refused"), transaction.atomic():
                connection.cursor().execute(statement)
        assert Mute.objects.count() == 1
