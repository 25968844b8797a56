"""What fails, and what is made of it: an outage blames nobody, an event dies with its story."""

import random
import string
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone

import outbox
from outbox import dead_letters, handover, log, replay, sql, status
from outbox.dead_letters import fingerprint
from outbox.errors import TransportDown
from outbox.models import Attempt, DeadLetter
from outbox.replay import Choice
from outbox.session import relay_session
from tests.integration import outbox_fixtures
from tests.integration.failing_relay import JUDGE, counts, marks, publish
from tests.integration.outbox_fixtures import LANE, STREAM, Bench

RAW = (  # what another program may write
    "INSERT INTO outbox_message (lane, stream, type, subject, payload, context)"
    " VALUES (%s, %s, 'said', 'it:1', %s, %s)"
)


class TestTransport:
    @pytest.mark.parametrize("error", [TransportDown("away"), ConnectionError("away")])
    def test_that_is_away_for_long_blames_no_event(self, bench, error):
        bench.write(*bench.tickets(20))
        bench.sink.error = error
        drainer = bench.drainer()
        for _ in range(70):  # 30 minutes at the longest pause
            drainer.drain()
            bench.resume()
        bench.write(*bench.tickets(3))
        drainer.drain()
        bench.sink.error = None
        bench.resume()
        drainer.drain()

        assert marks(bench) == (23, 23)
        assert not DeadLetter.objects.exists()
        assert not Attempt.objects.exists()
        assert counts(bench) == {"transport": 71}
        assert [row.seq for row in bench.sink.rows] == list(range(1, 24))

    def test_pauses_the_lane_and_says_why_without_secrets(self, bench):
        bench.write(*bench.tickets(1))
        bench.sink.error = TransportDown("redis://user:hunter22@host refused, password=hunter22")
        bench.drainer().drain()

        (lane,) = [lane for lane in status.lanes() if lane.paused]
        assert lane.lane == LANE
        assert lane.why == "TransportDown: redis://[removed]@host refused, password=[removed]"

    def test_pauses_lanes_for_different_times_lest_all_come_at_once(self, bench):
        bench.admin.execute("UPDATE outbox_lane SET publish_failures = 10")
        with relay_session() as session:
            for lane in range(8):
                params = {"lane": lane, "token": None, "cap": 30, "error": "away"}
                session.connection.execute(sql.PAUSE_PUBLISHING, params)
        ((shortest, longest),) = bench.all(
            "SELECT min(s), max(s) FROM (SELECT extract(epoch FROM publish_after -"
            " clock_timestamp())::float8 AS s FROM outbox_lane) t"
        )

        assert shortest > 5
        assert shortest + 1 < longest <= 30

    def test_that_fails_in_the_middle_of_single_events_blames_none(self, bench):
        bench.write(*bench.tickets(4))
        fails_at(bench, 2, TransportDown("away"), batch=ValueError("a batch"))
        bench.drainer().drain()

        assert not DeadLetter.objects.exists()
        assert marks(bench) == (4, 0)
        bench.sink.deliver = type(bench.sink).deliver.__get__(bench.sink)
        bench.resume()
        bench.drainer().drain()
        assert marks(bench) == (4, 4)


def fails_at(bench: Bench, seq: int, error: Exception, *, batch: Exception) -> None:
    """Let the sink raise ``batch`` for several rows, and ``error`` for the one with this seq."""

    def deliver(rows: Any) -> None:
        if len(rows) > 1:
            raise batch
        if rows[0].seq == seq:
            raise error
        bench.sink.calls.append(list(rows))

    bench.sink.deliver = deliver


class TestBrokenSink:
    """It fails at everything, by an error of its own making: no event is to blame."""

    def test_that_takes_nothing_pauses_the_lane(self, bench):
        bench.write(*bench.tickets(3))
        bench.sink.error = KeyError("a bug")
        drainer = bench.drainer()
        for _ in range(5):
            drainer.drain()
            bench.resume()

        assert not DeadLetter.objects.exists()
        assert not Attempt.objects.exists()
        assert counts(bench) == {"sink": 5}
        assert marks(bench) == (3, 0)

    def test_is_told_by_an_event_that_it_took_before(self, bench):
        bench.write(*bench.tickets(2))
        drainer = bench.drainer()
        drainer.drain()
        bench.write(*bench.tickets(1))
        bench.sink.error = KeyError("a bug")
        drainer.drain()

        assert not DeadLetter.objects.exists()
        assert [row.seq for row in bench.sink.tries[-1]] == [2]  # asked last
        bench.sink.error = None
        bench.resume()
        drainer.drain()
        assert marks(bench) == (3, 3)

    def test_is_told_from_a_transport_that_goes_down_meanwhile(self, bench, names):
        names(2)
        drainer = bench.drainer()
        drainer.drain()
        suspect = names(1)[0]

        def deliver(rows: Any) -> None:
            raise KeyError("a bug") if rows[0].payload["name"] == suspect else TransportDown("away")

        bench.sink.deliver = deliver
        drainer.drain()

        assert counts(bench) == {"transport": 1}

    def test_is_not_vouched_for_by_an_event_of_which_nothing_is_sent(self, bench, names):
        def deliver(rows: Any) -> dict[str, Any]:
            if {row.stream for row in rows} == {"unseen:1"}:
                return {}
            raise KeyError("a bug")

        bench.sink.deliver = deliver
        names(2)
        bench.write(*bench.tickets(1, "unseen:1"))
        bench.drainer(lane=outbox_fixtures.lane_of("unseen:1", 8)).drain()
        bench.drainer().drain()

        assert not DeadLetter.objects.exists()
        assert counts(bench) == {"sink": 1}

    @pytest.mark.parametrize("dead", [True, False])
    def test_is_not_asked_about_by_events_that_have_failed_before(self, bench, names, dead):
        if dead:
            bench.sink.refuses = {names(2)[1]}
            bench.drainer().drain()  # the mark is at a dead letter
        else:
            names(2)
            bench.drainer().drain()
            now = timezone.now()
            crash = dead_letters.Attempt(
                row=log.read(STREAM, 1, 1)[0], number=1, reason="crash", started_at=now, error="x"
            )
            with relay_session() as session:
                dead_letters.note(session.connection, [crash])
        other = next(n for n in range(2, 99) if outbox_fixtures.lane_of(f"relay:{n}", 8) != LANE)
        bench.write(*bench.tickets(1, f"relay:{other}"))
        bench.sink.error = KeyError("a bug")
        bench.sink.tries.clear()
        bench.drainer(lane=outbox_fixtures.lane_of(f"relay:{other}", 8)).drain()

        assert {row.stream for try_ in bench.sink.tries for row in try_} == {f"relay:{other}"}
        assert DeadLetter.objects.count() == dead


class TestSinkError:
    def test_of_one_event_makes_one_dead_letter_and_the_others_pass_first(self, bench, names):
        written = names(400)
        bad = written[200]
        bench.sink.refuses = {bad}
        bench.drainer().drain()

        (letter,) = DeadLetter.objects.all()
        assert (letter.seq, letter.reason, letter.attempts) == (201, "sink_error", 3)
        assert letter.payload["name"] == bad
        assert letter.error == f"ValueError: cannot take '{bad}' of 201"
        assert marks(bench) == (400, 400)
        passed = sorted(row.seq for row in bench.sink.rows)
        assert passed == [seq for seq in range(1, 401) if seq != 201]
        alone = [try_[0].seq for try_ in bench.sink.tries if len(try_) == 1]
        assert alone.count(201) == 3
        # Whoever shared its batch was through before it was tried again.
        assert alone[-2:] == [201, 201]

    def test_keeps_each_attempt_with_time_worker_duration_error_and_traceback(self, bench, names):
        bench.sink.refuses = {names(3)[1]}
        bench.drainer().drain()

        attempts = list(Attempt.objects.order_by("id"))
        assert [attempt.number for attempt in attempts] == [1, 2, 3]
        assert {attempt.event_id for attempt in attempts} == {DeadLetter.objects.get().event_id}
        for attempt in attempts:
            assert attempt.duration_ms is not None
            assert attempt.worker.count(":") == 1
            assert attempt.traceback.startswith("Traceback (most recent call last)")
            assert "cannot take" in attempt.traceback
        assert counts(bench) == {"sink_error": 3}

    def test_of_the_database_keeps_its_message_and_no_row(self, bench, names):
        bad = names(3)[1]

        def deliver(rows: Any) -> None:
            for row in rows:
                if row.payload["name"] == bad:
                    with connection.cursor() as cursor:
                        cursor.execute(
                            "INSERT INTO relay_ticket SELECT * FROM relay_ticket WHERE id = %s",
                            [row.payload["ticket"]],
                        )

        bench.sink.deliver = deliver
        drainer = bench.drainer()
        drainer.drain()
        drainer.call(lambda: connection.close())  # that of the thread

        why = 'duplicate key value violates unique constraint "relay_ticket_pkey"'
        assert DeadLetter.objects.get().error == f"IntegrityError: {why}"
        for attempt in Attempt.objects.all():
            assert why in attempt.traceback
            assert "DETAIL" not in attempt.traceback + attempt.error

    def test_of_a_single_event_is_told_from_a_broken_sink_by_one_that_passed_before(
        self, bench, names
    ):
        names(1)
        drainer = bench.drainer()
        drainer.drain()
        bench.sink.refuses = {names(1)[0]}
        drainer.drain()

        assert DeadLetter.objects.get().seq == 2
        assert marks(bench) == (2, 2)

    def test_in_a_batch_that_takes_long_alone_goes_on_where_the_time_was_over(self, bench):
        send = bench.sink.deliver

        def deliver(rows: Any) -> None:
            if len(rows) > 1:
                raise ValueError("a batch")
            send(rows)

        bench.sink.deliver = deliver
        bench.write(*bench.tickets(5))
        drainer = bench.drainer()
        drainer.one_round()  # its deadline has passed: one event, and no kill by a time limit
        assert [row.seq for row in bench.sink.rows] == [1]
        drainer.drain()

        assert [row.seq for row in bench.sink.rows] == [1, 1, 2, 3, 4, 5]
        assert marks(bench) == (5, 5)
        assert not Attempt.objects.exists()

    def test_that_passes_later_leaves_attempts_and_no_dead_letter(self, bench, names):
        bad = names(3)[1]
        bench.sink.refuses = {bad}
        send = bench.sink.deliver

        def deliver(rows: Any) -> None:
            if len(rows) == 1 and len([t for t in bench.sink.tries if len(t) == 1]) >= 3:
                bench.sink.refuses = set()
            send(rows)

        bench.sink.deliver = deliver
        bench.drainer().drain()

        assert not DeadLetter.objects.exists()
        assert Attempt.objects.count() == 1
        assert sorted(row.seq for row in bench.sink.rows) == [1, 2, 3]

    def test_of_many_events_is_one_cause(self, bench, names):
        written = names(10)
        bench.sink.refuses = set(written[2:9])
        bench.drainer().drain()

        assert DeadLetter.objects.count() == 7
        assert len(set(DeadLetter.objects.values_list("fingerprint", flat=True))) == 1

    def test_is_filed_once_though_its_holder_died_before_the_mark(self, bench, names):
        bench.sink.refuses = {names(3)[1]}
        bench.drainer().drain()
        bench.admin.execute("UPDATE outbox_stream SET published_seq = 0")
        bench.drainer().drain()

        assert DeadLetter.objects.count() == 1
        assert Attempt.objects.count() == 3
        assert marks(bench) == (3, 3)


class TestPoison:
    def test_makes_one_dead_letter_with_the_row_as_it_is_and_is_delivered_in_its_place(self, bench):
        bench.configure(judge=JUDGE)
        publish(*[None] * 500, "it lacks a key", *[None] * 499)
        bench.drainer().drain()

        (letter,) = DeadLetter.objects.all()
        assert (letter.seq, letter.reason, letter.error) == (501, "poison", "it lacks a key")
        assert (letter.attempts, letter.state, letter.type) == (1, "dead", "said")
        assert letter.payload == {"name": "n500", "fault": "it lacks a key"}
        assert letter.sink == bench.settings.OUTBOX["sink"]
        (attempt,) = Attempt.objects.all()
        assert (attempt.reason, attempt.event_id) == ("poison", letter.event_id)
        # It delays nobody: the rounds are those of any thousand events.
        assert [len(call) for call in bench.sink.calls] == [500, 500]

    def test_is_filed_while_nothing_can_be_published(self, bench):
        bench.configure(judge=JUDGE)
        bench.pause()
        publish(None, "it is too large")
        bench.drainer().drain()

        assert DeadLetter.objects.get().seq == 2
        assert marks(bench) == (2, 0)

    def test_is_filed_though_its_recorder_died_at_once(self, bench):
        bench.configure(judge=JUDGE)
        publish(None, "it lacks a key")
        bench.record_only()
        assert not DeadLetter.objects.exists()
        bench.drainer().drain()

        assert DeadLetter.objects.get().seq == 2

    def test_is_filed_in_a_backlog_that_nobody_pushes(self, bench):
        bench.configure(judge=JUDGE, batch=2, push_rounds=3)
        publish(*[None] * 8, "it lacks a key", *[None] * 8)
        bench.record_only()
        bench.drainer().drain()

        assert DeadLetter.objects.get().seq == 9
        assert bench.sink.calls == []
        assert marks(bench) == (17, 17)

    def test_in_such_a_backlog_is_looked_for_as_long_as_there_is_time(self, bench, monkeypatch):
        bench.configure(judge=JUDGE, batch=2, push_rounds=3)
        publish(*[None] * 8, "it lacks a key", *[None] * 8)
        bench.record_only()
        clock = iter([0.0])  # then it is late
        monkeypatch.setattr(handover, "monotonic", lambda: next(clock, 1e12))
        drainer = bench.drainer()
        drainer.drain()
        assert marks(bench) == (17, 6)
        assert not DeadLetter.objects.exists()
        monkeypatch.undo()
        drainer.drain()

        assert DeadLetter.objects.get().seq == 9
        assert marks(bench) == (17, 17)

    def test_is_what_the_judge_fails_at(self, bench):
        bench.configure(judge=JUDGE)
        publish("fail", None)
        bench.drainer().drain()

        letter = DeadLetter.objects.get()
        assert letter.error == "it could not be judged: RuntimeError: the judge fails"
        assert marks(bench) == (2, 2)

    def test_is_filed_whatever_the_length_of_its_names(self, bench):
        bench.configure(judge=JUDGE)
        rng = random.Random(7)  # what cannot be compressed
        name = "".join(rng.choice(string.ascii_letters) for _ in range(6_000))
        with transaction.atomic():
            payload = {"fault": "it lacks a key"}
            outbox.publish(name[:255], stream=STREAM, subject=name, payload=payload)
        bench.drainer().drain()

        letter = DeadLetter.objects.get(subject=name)
        assert (letter.type, marks(bench)) == (name[:255], (1, 1))

    def test_has_an_error_of_a_bounded_length(self, bench):
        bench.configure(judge=JUDGE)
        publish("x" * 1_000_000)
        bench.drainer().drain()

        assert DeadLetter.objects.get().error == "x" * 1_000

    def test_keeps_a_payload_of_any_size_and_a_number_of_any_digits(self, bench):
        bench.configure(judge=JUDGE)
        digits = "123456789012345678901234567890.5"
        bench.admin.execute(
            "INSERT INTO outbox_message (lane, stream, type, subject, payload) VALUES (%s, %s,"
            " 'said', 'it:1', jsonb_build_object('fault', 'big', 'n', %s::numeric,"
            " 'text', repeat('x', 2000000)))",
            [LANE, STREAM, digits],
        )
        bench.drainer().drain()

        kept = bench.one("SELECT payload->>'n' FROM outbox_dead_letter")
        assert kept == digits
        assert bench.one("SELECT length(payload->>'text') FROM outbox_dead_letter") == 2_000_000

    @pytest.mark.parametrize(
        "payload", ['{"n": 1e5000, "fault": "big"}', "[" * 3_000 + "]" * 3_000, "[]", "null"]
    )
    def test_is_filed_and_passed_also_when_python_cannot_read_its_payload(self, bench, payload):
        bench.configure(judge=JUDGE)
        bench.admin.execute(RAW, [LANE, STREAM, payload, "[]"])
        publish(None)
        bench.drainer().drain()

        letter = DeadLetter.objects.only("seq").get()
        assert (letter.seq, marks(bench)) == (1, (2, 2))
        assert [row.seq for row in log.read(STREAM, 0, 9)] == [1, 2]  # its readers pass it too
        assert replay.plan(Choice()).total == 1


class TestBroadcasts:
    def test_are_written_down_with_slice_groups_worker_and_time(self, bench, names):
        names(3)
        bench.sink.deliver = lambda rows: {
            STREAM: {"a group": [rows[0].seq, rows[-1].seq, len(rows)]}
        }
        bench.drainer().drain()

        ((stream, first, last, targets, worker, age),) = bench.all(
            "SELECT stream, first_seq, last_seq, targets, worker,"
            " extract(epoch FROM clock_timestamp() - published_at)::float8 FROM outbox_broadcast"
        )
        assert (stream, first, last, targets) == (STREAM, 1, 3, {"a group": [1, 3, 3]})
        assert worker.count(":") == 1
        assert 0 <= age < 60

    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE outbox_broadcast SET worker = 'x'",
            "DELETE FROM outbox_broadcast",
            "TRUNCATE outbox_broadcast",
            "TRUNCATE outbox_broadcast_default",
        ],
    )
    def test_are_not_edited(self, bench, names, statement):
        names(1)
        bench.sink.deliver = lambda rows: {STREAM: {}}
        bench.drainer().drain()

        with pytest.raises(psycopg.errors.RaiseException, match="append-only"):
            bench.admin.execute(statement)


class TestHistory:
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE outbox_dead_letter SET error = 'x'",
            "DELETE FROM outbox_dead_letter",
            "TRUNCATE outbox_dead_letter",
            "UPDATE outbox_attempt SET error = 'x'",
            "DELETE FROM outbox_attempt",
            "TRUNCATE outbox_attempt",
        ],
    )
    def test_of_a_dead_letter_is_not_edited(self, bench, statement):
        bench.configure(judge=JUDGE)
        publish("it lacks a key")
        bench.drainer().drain()

        with pytest.raises(psycopg.errors.RaiseException):
            bench.admin.execute(statement)


class TestFingerprint:
    def test_is_of_the_cause_and_not_of_what_differs(self):
        one = fingerprint("sink_error", "said", "ValueError: cannot take 'c17' of 201")
        same = fingerprint("sink_error", "said", "ValueError: cannot take 'c9' of 7")
        other = fingerprint("sink_error", "said", "KeyError: cannot take 'c9' of 7")

        assert one == same
        assert len({one, other, fingerprint("poison", "said", "ValueError: x")}) == 3
