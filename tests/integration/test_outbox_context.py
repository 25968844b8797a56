"""context(): who and why reach the trigger with each write, and nobody else's."""

import asyncio
import threading

import psycopg
import pytest
from asgiref.sync import sync_to_async
from django.db import connection, connections, transaction

from outbox import context, publish
from outbox.context import current
from outbox.models import Message
from tests.integration.outbox_fixtures import CHANGE, STREAM, Bench


def change(ticket: int, state: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(CHANGE, [state, f"c{state}", ticket])


def contexts() -> list[dict[str, str]]:
    return list(Message.objects.order_by("id").values_list("context", flat=True))


@pytest.fixture
def ticket(bench: Bench) -> int:
    return bench.tickets(1)[0]


class TestContext:
    def test_reaches_the_trigger_of_a_write_without_a_transaction(self, ticket):
        with context(actor="user:7"):
            change(ticket, 1)
        change(ticket, 2)

        assert contexts() == [{"actor": "user:7"}, {}]

    def test_reaches_each_write_of_a_transaction(self, ticket):
        with context(actor="user:7", request_id=None), transaction.atomic():
            change(ticket, 1)
            change(ticket, 2)

        assert contexts() == [{"actor": "user:7"}] * 2

    def test_survives_the_rollback_of_a_savepoint(self, ticket):
        with context(actor="user:7"), transaction.atomic():
            with pytest.raises(ZeroDivisionError), transaction.atomic():  # noqa: PT012
                change(ticket, 1)
                raise ZeroDivisionError
            change(ticket, 2)

        assert contexts() == [{"actor": "user:7"}]

    def test_adds_to_the_outer_one_and_ends_with_its_block(self, ticket):
        with transaction.atomic(), context(actor="user:7"):
            change(ticket, 1)
            with context(request_id="r1", actor="job:2"):
                change(ticket, 2)
            change(ticket, 3)

        assert contexts() == [
            {"actor": "user:7"},
            {"actor": "job:2", "request_id": "r1"},
            {"actor": "user:7"},
        ]
        assert current() == {}

    def test_ends_with_its_block_inside_the_transaction(self, ticket):
        with transaction.atomic():
            with context(actor="user:7"):
                change(ticket, 1)
            change(ticket, 2)
            with transaction.atomic():
                change(ticket, 3)

        assert contexts() == [{"actor": "user:7"}, {}, {}]

    def test_stays_ended_when_the_savepoint_that_said_so_is_rolled_back(self, ticket):
        with transaction.atomic():
            with context(actor="user:7"):
                change(ticket, 1)
            with pytest.raises(ZeroDivisionError), transaction.atomic():  # noqa: PT012
                change(ticket, 2)
                raise ZeroDivisionError
            change(ticket, 3)

        assert contexts() == [{"actor": "user:7"}, {}]

    def test_ends_with_an_error(self, ticket):
        with pytest.raises(ZeroDivisionError), context(actor="user:7"):
            raise ZeroDivisionError
        change(ticket, 1)

        assert contexts() == [{}]

    def test_is_not_seen_by_another_transaction(self, ticket, bench):
        other = bench.writer()
        with context(actor="user:7"), transaction.atomic():
            other.begin().change(ticket).commit()
            change(ticket, 99)

        assert contexts() == [{}, {"actor": "user:7"}]

    def test_reaches_executemany(self, ticket):
        with context(actor="user:7"), transaction.atomic(), connection.cursor() as cursor:
            cursor.executemany(CHANGE, [(1, "c1", ticket), (2, "c2", ticket)])

        assert contexts() == [{"actor": "user:7"}] * 2

    def test_reaches_executemany_without_a_transaction(self, ticket):
        with context(actor="user:7"), connection.cursor() as cursor:
            cursor.executemany(CHANGE, [(1, "c1", ticket), (2, "c2", ticket)])

        assert contexts() == [{"actor": "user:7"}] * 2

    def test_leaves_percent_signs_alone(self, ticket):
        with context(actor="100 %s"), connection.cursor() as cursor:
            cursor.execute(f"UPDATE relay_ticket SET state = 5, name = '5 %' WHERE id = {ticket}")
            cursor.execute(
                "UPDATE relay_ticket SET state = 6, name = '%%' || %s WHERE id = %s", ["s", ticket]
            )
            cursor.execute(
                f"UPDATE relay_ticket SET state = 7, name = '%%' WHERE id = {ticket}", []
            )

        assert contexts() == [{"actor": "100 %s"}] * 3
        names = Message.objects.order_by("id").values_list("payload__name", flat=True)
        assert list(names) == ["5 %", "%s", "%"]

    def test_leaves_the_results_as_they_are(self, ticket):
        with context(actor="user:7"), connection.cursor() as cursor:
            cursor.execute(CHANGE + " RETURNING version", [1, "c1", ticket])
            assert cursor.fetchall() == [(2,)]
            cursor.execute(CHANGE, [2, "c2", ticket])
            assert cursor.rowcount == 1
            cursor.execute(CHANGE, [2, "c2", -1])
            assert cursor.rowcount == 0

    def test_leaves_several_results_as_they_are(self, ticket):
        """The context's own result goes; the others are the caller's, the first one first."""
        several = (
            f"UPDATE relay_ticket SET state = 9 WHERE id = {ticket} RETURNING 'first';"
            "SELECT 'second'"
        )

        def results() -> list[str]:
            with connection.cursor() as cursor:
                cursor.execute(several)
                found = [cursor.fetchone()[0]]
                while cursor.nextset():
                    found.append(cursor.fetchone()[0])
                return found

        without = results()
        with context(actor="user:7"):
            assert results() == without == ["first", "second"]

    def test_lets_inserts_return_their_keys(self, outbox):
        from django.contrib.auth.models import Group

        with context(actor="user:7"):
            one = Group.objects.create(name="one")
            two, three = Group.objects.bulk_create([Group(name="two"), Group(name="three")])

        assert [one.pk, two.pk, three.pk] == sorted(Group.objects.values_list("pk", flat=True))

    @pytest.mark.parametrize(
        "value", ["it's", 'a "quote"', "back\\slash", "\\'; --", "é漢", "{}", "%(x)s", "\n"]
    )
    def test_carries_any_text(self, value, ticket):
        with context(actor=value):
            change(ticket, 1)

        assert contexts() == [{"actor": value}]

    @pytest.mark.parametrize("value", ["a\x00b", "\ud800"], ids=["nul", "surrogate"])
    def test_never_fails_a_write_by_text_that_cannot_be_stored(self, value, ticket):
        with context(actor=value):
            change(ticket, 1)

        (found,) = contexts()
        assert "?" in found["actor"]

    @pytest.mark.parametrize(
        "prefix", ["", "  \n", "-- the report\n", "/* the report */ ", "/* a */-- b\n\t/* c\n*/"]
    )
    def test_reaches_a_write_behind_blanks_and_comments(self, prefix, ticket):
        with context(actor="user:7"), connection.cursor() as cursor:
            cursor.execute(prefix + CHANGE, [1, "c1", ticket])

        assert contexts() == [{"actor": "user:7"}]

    def test_reaches_a_composed_statement(self, ticket):
        statement = psycopg.sql.SQL("UPDATE {} SET state = 3, name = {} WHERE id = {}").format(
            psycopg.sql.Identifier("relay_ticket"),
            psycopg.sql.Literal("5 %"),
            psycopg.sql.Literal(ticket),
        )
        with context(actor="user:7"), connection.cursor() as cursor:
            cursor.execute(statement)

        assert contexts() == [{"actor": "user:7"}]

    def test_leaves_another_wrapper_of_the_connection_alone(self, ticket):
        def count(execute, sql, params, many, given):
            calls.append(sql)
            return execute(sql, params, many, given)

        calls: list[str] = []

        def first_context_of_a_thread() -> None:
            with connection.execute_wrapper(count), context(actor="user:7"):
                change(ticket, 1)
            before = len(calls)
            with context(actor="user:8"):
                change(ticket, 2)
            assert len(calls) == before
            connections.close_all()

        self._in_a_thread(first_context_of_a_thread)
        assert contexts() == [{"actor": "user:7"}, {"actor": "user:8"}]

    def test_reaches_the_thread_that_async_code_writes_in(self, ticket):
        async def handler() -> None:
            with context(actor="user:7"):
                await sync_to_async(change)(ticket, 1)
                await sync_to_async(connections.close_all)()

        asyncio.run(handler())

        assert contexts() == [{"actor": "user:7"}]

    def test_is_carried_by_publish(self, outbox):
        with context(actor="user:7"), transaction.atomic():
            publish("note_added", stream=STREAM, subject="note:1", payload={})

        assert contexts() == [{"actor": "user:7"}]

    @staticmethod
    def _in_a_thread(run) -> None:
        errors: list[BaseException] = []

        def catch() -> None:
            try:
                run()
            except BaseException as error:
                errors.append(error)

        thread = threading.Thread(target=catch)
        thread.start()
        thread.join(20)
        assert errors == []
