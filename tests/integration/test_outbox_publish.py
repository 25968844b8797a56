"""publish(): what it refuses, and its order per subject."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.db import connection, connections, transaction

from outbox import log, publish, relay
from outbox.errors import BadEvent, NotInTransaction
from outbox.lanes import lane_of
from outbox.models import Message
from tests.integration.outbox_fixtures import LANE, LANES, STREAM, Bench, nudges


def deep(levels: int) -> dict:
    value: dict = {}
    for _ in range(levels):
        value = {"a": value}
    return value


class TestPublish:
    def test_needs_a_transaction(self, outbox):
        with pytest.raises(NotInTransaction, match="atomic"):
            publish("note_added", stream=STREAM, subject="note:1", payload={})
        assert not Message.objects.exists()

    def test_writes_one_message_with_the_id_that_it_returns(self, outbox):
        with transaction.atomic():
            event_id = publish(
                "note_added", stream=STREAM, subject="note:1", payload={"text": "é漢\\u0000"}
            )
        (message,) = Message.objects.all()

        assert message.event_id == event_id
        assert (message.type, message.stream, message.subject) == ("note_added", STREAM, "note:1")
        assert message.payload == {"text": "é漢\\u0000"}
        assert (message.lane, message.schema_version) == (LANE, 1)
        assert nudges == [(LANE,)]

    def test_writes_nothing_when_the_transaction_rolls_back(self, outbox):
        with pytest.raises(ZeroDivisionError), transaction.atomic():  # noqa: PT012
            publish("note_added", stream=STREAM, subject="note:1", payload={})
            raise ZeroDivisionError

        assert not Message.objects.exists()
        assert nudges == []

    def test_stores_what_django_can_serialise(self, outbox):
        payload = {"at": datetime(2026, 1, 1, tzinfo=UTC), "amount": Decimal("1.50"), "n": 10**40}
        with transaction.atomic():
            publish("note_added", stream=STREAM, subject="note:1", payload=payload)

        assert Message.objects.get().payload == {
            "at": "2026-01-01T00:00:00Z",
            "amount": "1.50",
            "n": 10**40,
        }

    @pytest.mark.parametrize(
        "payload",
        [
            {"text": "a\x00b"},
            {"a\x00b": 1},
            {"text": "\\\x00"},
            {"text": "\ud800"},
            {"\udfff": 1},
            {"n": math.nan},
            {"n": math.inf},
            {"n": object()},
            {(1, 2): 1},
            None,
            "",
            [],
            [("a", 1)],
            7,
            deep(100_000),
            deep(20_000),
        ],
        ids=lambda payload: ascii(payload)[:20] if not isinstance(payload, dict) else None,
    )
    def test_refuses_a_payload_that_is_no_storable_json_object(self, payload, outbox):
        with transaction.atomic():
            with pytest.raises(BadEvent):
                publish("note_added", stream=STREAM, subject="note:1", payload=payload)
            publish("note_added", stream=STREAM, subject="note:1", payload={})  # it can go on

        assert Message.objects.count() == 1

    def test_refuses_a_payload_that_is_larger_than_any_event(self, outbox):
        with transaction.atomic(), pytest.raises(BadEvent, match="16,777,216"):
            publish("note_added", stream=STREAM, subject="note:1", payload={"x": "y" * 2**24})

    @pytest.mark.parametrize("bad", ["", "a\x00b", "\ud800"], ids=["empty", "nul", "surrogate"])
    @pytest.mark.parametrize("name", ["type", "stream", "subject"])
    def test_refuses_a_name_that_cannot_be_stored(self, name, bad, outbox):
        names = {"type": "note_added", "stream": STREAM, "subject": "note:1"} | {name: bad}
        with transaction.atomic():
            with pytest.raises(BadEvent, match=name):
                publish(names.pop("type"), **names, payload={})
            assert connection.is_usable()  # the transaction can go on

        assert not Message.objects.exists()

    def test_refuses_a_stream_whose_name_no_index_of_the_log_can_hold(self, bench):
        """Such a message would be taken into the outbox and stop its lane for ever."""
        import random

        rng = random.Random(7)
        name = "".join(rng.choice("0123456789abcdefghijklmnopqrstuvwxyz") for _ in range(6_000))
        with pytest.raises(BadEvent, match="stream"), transaction.atomic():
            publish("note_added", stream=name, subject="note:1", payload={})
        # Any other writer is refused by the table.
        with pytest.raises(Exception, match="outbox_message"):
            bench.admin.execute(
                "INSERT INTO outbox_message (lane, stream, type, subject, payload) "
                "VALUES (outbox_lane_of(%s), %s, 't', 's', '{}')",
                [name, name],
            )

    def test_refuses_a_type_that_no_index_of_dead_letters_can_hold(self, bench):
        with pytest.raises(BadEvent, match="type has 256 bytes"), transaction.atomic():
            publish("t" * 256, stream=STREAM, subject="note:1", payload={})
        with pytest.raises(Exception, match="outbox_type_name"):
            bench.admin.execute(
                "INSERT INTO outbox_message (lane, stream, type, subject, payload) "
                "VALUES (outbox_lane_of(%s), %s, repeat('t', 256), 's', '{}')",
                [STREAM, STREAM],
            )

    def test_takes_the_longest_names_that_the_log_can_hold(self, bench):
        import random

        rng = random.Random(7)
        name = "".join(rng.choice("0123456789abcdefghijklmnopqrstuvwxyz") for _ in range(255))
        with transaction.atomic():
            publish("note_added", stream=name, subject="s" * 20_000, payload={})
        bench.drainer(lane=lane_of(name, LANES)).drain()

        (row,) = log.read(name, 0, 10)
        assert row.subject == "s" * 20_000

    def test_keeps_the_order_of_commits_per_subject(self, bench):
        """A second publisher of the subject waits for the first; its id is drawn afterwards."""

        def second() -> None:
            with transaction.atomic():
                publish("second", stream=STREAM, subject="note:1", payload={})
            connections.close_all()

        with ThreadPoolExecutor(1) as thread:
            with transaction.atomic():
                publish("first", stream=STREAM, subject="note:1", payload={})
                running = thread.submit(second)
                self._wait_for_the_subject(bench)
                assert not running.done()
                publish("first_again", stream=STREAM, subject="note:1", payload={})
            running.result(20)
        bench.drainer().drain()

        assert [row.type for row in log.read(STREAM, 0, 10)] == ["first", "first_again", "second"]

    @staticmethod
    def _wait_for_the_subject(bench: Bench) -> None:
        from tests.integration.outbox_fixtures import wait_until

        query = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        wait_until(lambda: bench.one(query) == 1, "the second publisher at the subject's lock")

    def test_does_not_wait_for_another_subject(self, outbox):
        def other() -> None:
            with transaction.atomic():
                publish("other", stream=STREAM, subject="note:2", payload={})
            connections.close_all()

        with ThreadPoolExecutor(1) as thread, transaction.atomic():
            publish("first", stream=STREAM, subject="note:1", payload={})
            thread.submit(other).result(20)

        assert Message.objects.count() == 2


class TestNudge:
    def test_is_one_per_lane_and_transaction(self, outbox):
        with transaction.atomic():
            for n in range(5):
                publish("note_added", stream=STREAM, subject=f"note:{n}", payload={})

        assert nudges == [(LANE,)]

    def test_is_one_also_when_each_write_has_a_savepoint_of_its_own(self, outbox):
        with transaction.atomic():
            for n in range(5):
                with transaction.atomic():
                    publish("note_added", stream=STREAM, subject=f"note:{n}", payload={})

        assert nudges == [(LANE,)]

    def test_survives_the_rollback_of_another_savepoint(self, outbox):
        with transaction.atomic():
            with pytest.raises(ZeroDivisionError), transaction.atomic():  # noqa: PT012
                publish("note_added", stream=STREAM, subject="note:1", payload={})
                raise ZeroDivisionError
            publish("note_added", stream=STREAM, subject="note:2", payload={})
            with pytest.raises(ZeroDivisionError), transaction.atomic():  # noqa: PT012
                publish("note_added", stream=STREAM, subject="note:3", payload={})
                raise ZeroDivisionError

        assert nudges == [(LANE,)]

    def test_survives_the_rollback_of_an_outer_savepoint_it_was_made_in(self, outbox):
        with transaction.atomic():
            with pytest.raises(ZeroDivisionError), transaction.atomic():  # noqa: PT012
                with transaction.atomic():
                    publish("note_added", stream=STREAM, subject="note:1", payload={})
                raise ZeroDivisionError
            publish("note_added", stream=STREAM, subject="note:2", payload={})

        assert nudges == [(LANE,)]


class TestReading:
    def test_gives_slices_and_heads(self, bench):
        with transaction.atomic():
            for n in range(5):
                publish("note_added", stream=STREAM, subject="note:1", payload={"n": n})
        bench.drainer().drain()

        assert [row.payload for row in log.read(STREAM, 2, 2)] == [{"n": 2}, {"n": 3}]
        head = log.head(STREAM)
        assert (head.last_seq, head.published_seq, head.min_seq) == (5, 5, 1)
        assert log.heads([STREAM, "none"]) == {STREAM: (head.epoch, 5)}

    def test_gives_an_unknown_stream_the_epoch_of_the_log(self, outbox):
        head = log.head("nobody")

        assert (head.last_seq, head.published_seq, head.min_seq) == (0, 0, 1)
        with connection.cursor() as cursor:
            cursor.execute("SELECT epoch FROM outbox_log")
            assert cursor.fetchone() == (head.epoch,)

    def test_gives_the_context_and_the_replayed_number(self, bench):
        import outbox as package

        with package.context(actor="user:7"), transaction.atomic():
            publish(
                "note_added",
                stream=STREAM,
                subject="note:1",
                payload={},
                schema_version=2,
                replay_of=9,
            )
        relay.drain(LANE, deadline=1e12)

        (row,) = log.read(STREAM, 0, 1)
        assert (row.context, row.schema_version, row.replay_of) == ({"actor": "user:7"}, 2, 9)
        assert json.loads(json.dumps(row.payload)) == {}
