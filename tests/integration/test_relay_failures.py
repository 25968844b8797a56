"""What fails, and what is made of it: an outage blames nobody, an event dies with its story."""

import random
import string
from io import StringIO
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

import outbox
from outbox import controls, dead_letters, failpoints, handover, log, replay, sql, status, takeover
from outbox.dead_letters import fingerprint
from outbox.errors import LaneMissing, TransportDown
from outbox.failpoints import FailpointError
from outbox.models import Attempt, DeadLetter, LaneAction
from outbox.replay import Choice
from outbox.session import relay_session
from outbox.takeover import LEASE_SECONDS
from tests.integration import outbox_fixtures
from tests.integration.outbox_fixtures import LANE, STREAM, Bench

JUDGE = f"{outbox_fixtures.__name__}.judge"
RAW = (  # what another program may write
    "INSERT INTO outbox_message (lane, stream, type, subject, payload, context)"
    " VALUES (%s, %s, 'said', 'it:1', %s, %s)"
)


@pytest.fixture
def names(bench: Bench) -> Any:
    """Write changes and return their names in order."""

    def write(count: int) -> list[str]:
        before = len(bench.log())
        bench.write(*bench.tickets(count))
        bench.record_only()
        return [name for _, name in bench.log()[before:]]

    return write


def marks(bench: Bench) -> tuple[int, int]:
    return bench.all("SELECT last_seq, published_seq FROM outbox_stream WHERE name = %s", STREAM)[0]


def counts(bench: Bench) -> dict[str, int]:
    return dict(bench.all("SELECT kind, total FROM outbox_failure_count"))


def publish(*faults: str | None) -> None:
    with transaction.atomic():
        for number, fault in enumerate(faults):
            payload = {"name": f"n{number}"} | ({"fault": fault} if fault else {})
            outbox.publish("said", stream=STREAM, subject="it:1", payload=payload)


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


class TestCrash:
    """A holder that died leaves its mark; ``old`` makes one look as if it was left long ago."""

    def old(self, bench: Bench, event_id: Any = None) -> None:
        bench.admin.execute(
            "UPDATE outbox_lane SET takeover_at = clock_timestamp() - make_interval(secs => %s),"
            " takeover_by = 'host:1', solo_event_id = %s WHERE lane = %s",
            [LEASE_SECONDS + 1, event_id, LANE],
        )

    def age(self, bench: Bench) -> None:
        """Let the mark that is there look old."""
        bench.admin.execute(
            "UPDATE outbox_lane SET takeover_at = takeover_at - make_interval(secs => %s)"
            " WHERE lane = %s",
            [LEASE_SECONDS + 1, LANE],
        )

    def event_id(self, bench: Bench, seq: int) -> Any:
        return bench.one("SELECT event_id FROM event_log WHERE seq = %s", seq)

    def test_of_a_holder_is_followed_by_one_push_of_all(self, bench, names):
        names(5)
        bench.drainer().drain()

        assert [len(call) for call in bench.sink.calls] == [5]
        assert bench.all(
            "SELECT takeover_at, takeover_by FROM outbox_lane WHERE lane = %s", LANE
        ) == [(None, None)]

    def test_of_the_next_holder_too_is_followed_by_one_event_at_a_time(self, bench, names):
        names(4)
        self.old(bench)
        bench.write(*bench.tickets(2))
        bench.drainer().drain()

        # What is new goes first: it must not wait for what may kill this process too.
        assert [[row.seq for row in call] for call in bench.sink.calls] == [
            [5, 6], [1], [2], [3], [4]
        ]  # fmt: skip
        assert marks(bench) == (6, 6)
        assert not Attempt.objects.exists()

    def test_is_noted_before_the_event_is_handed_over(self, bench, names):
        names(3)
        self.old(bench)
        seen = []
        send = bench.sink.deliver

        def deliver(rows: Any) -> None:
            seen.append(bench.one("SELECT solo_event_id FROM outbox_lane WHERE lane = %s", LANE))
            send(rows)

        bench.sink.deliver = deliver
        bench.drainer().drain()

        assert seen == [self.event_id(bench, seq) for seq in (1, 2, 3)]

    def test_at_one_event_is_counted_and_kills_it_the_third_time(self, bench, names):
        names(4)
        killer = self.event_id(bench, 3)
        for number in (1, 2):
            self.old(bench, killer)
            bench.drainer().drain()
            bench.admin.execute("UPDATE outbox_stream SET published_seq = 0")
            assert Attempt.objects.filter(reason="crash").count() == number
            assert not DeadLetter.objects.exists()
        self.old(bench, killer)
        bench.sink.calls.clear()
        bench.drainer().drain()

        letter = DeadLetter.objects.get()
        assert (letter.seq, letter.reason, letter.attempts) == (3, "crash", 3)
        assert [a.number for a in Attempt.objects.order_by("id")] == [1, 2, 3]
        assert {a.worker for a in Attempt.objects.all()} == {"host:1"}
        assert {a.duration_ms for a in Attempt.objects.all()} == {None}
        assert [row.seq for row in bench.sink.rows] == [1, 2, 4]
        assert marks(bench) == (4, 4)
        assert counts(bench) == {"crash": 3}

    def test_is_counted_once_though_the_next_holder_dies_before_its_first_event(self, bench, names):
        names(3)
        innocent = self.event_id(bench, 2)
        found = []
        for _ in range(2):
            self.old(bench, innocent) if not found else self.age(bench)
            with relay_session() as session:
                mark = takeover.begin(session.connection, LANE)
                found.append(mark and (mark.died, mark.former_event_id))

        assert found == [(True, innocent), (True, None)]

    def test_is_counted_also_at_an_event_that_is_poison_already(self, bench):
        bench.configure(judge=JUDGE)
        publish("it lacks a key", None)
        bench.record_only()
        bench.drainer().drain()
        killer = self.event_id(bench, 1)
        for event_id in (killer, killer, killer, None):
            self.old(bench, event_id)
            bench.sink.calls.clear()
            bench.admin.execute("UPDATE outbox_stream SET published_seq = 0")
            bench.drainer().drain()

        assert [a.number for a in Attempt.objects.filter(reason="crash")] == [1, 2, 3]
        assert DeadLetter.objects.get().reason == "poison"
        assert [row.seq for row in bench.sink.rows] == [2]
        assert marks(bench) == (2, 2)

    def test_leaves_one_event_at_a_time_until_the_time_is_over_and_then_goes_on(self, bench, names):
        names(4)
        self.old(bench)
        drainer = bench.drainer()
        for seq in (1, 2):
            drainer.one_round()  # its deadline has passed
            assert bench.sink.rows[-1].seq == seq
            assert marks(bench) == (4, seq)
        assert outbox_fixtures.relay.pending_lanes(min_age_seconds=-9) == [LANE]
        drainer.drain()

        assert [[row.seq for row in call] for call in bench.sink.calls] == [[1], [2], [3], [4]]
        assert marks(bench) == (4, 4)
        assert not Attempt.objects.exists()
        assert bench.one("SELECT takeover_at FROM outbox_lane WHERE lane = %s", LANE) is None

    def test_has_the_marks_follow_one_event_at_a_time(self, bench, names, monkeypatch):
        monkeypatch.setattr(handover, "SETTLE_SECONDS", 0)
        bad = names(4)[0]
        self.old(bench)
        seen = []

        def deliver(rows: Any) -> Any:
            seen.append(marks(bench)[1])
            if rows[0].payload["name"] == bad:
                raise ValueError("a bug")
            return {STREAM: {"a group": [rows[0].seq, rows[-1].seq, len(rows)]}}

        names(1)  # of another round: it may vouch for the sink
        bench.admin.execute("UPDATE outbox_stream SET published_seq = 0")
        bench.sink.deliver = deliver
        witness = bench.tickets(1, "relay:2")
        bench.write(*witness)
        bench.drainer(lane=outbox_fixtures.lane_of("relay:2", 8)).drain()
        seen.clear()
        bench.drainer().drain()

        assert seen[-4:] == [1, 2, 3, 4]
        assert marks(bench) == (5, 5)
        assert [a.number for a in Attempt.objects.order_by("id")] == [1, 2, 3]
        sent = bench.all("SELECT first_seq FROM outbox_broadcast WHERE stream = %s", STREAM)
        assert sorted(sent) == [(2,), (3,), (4,), (5,)]

    def test_is_not_what_another_error_ends(self, bench, names):
        names(3)
        self.old(bench)
        failpoints.arm("published=raise")
        with pytest.raises(FailpointError):
            bench.drainer().drain()

        assert bench.all(
            "SELECT takeover_at, solo_event_id FROM outbox_lane WHERE lane = %s", LANE
        ) == [(None, None)]

    def test_is_not_hidden_by_a_pause_of_another_who_hands_over_new_events(self, bench, names):
        names(3)
        holder = bench.drainer("holder")
        with bench.sink.held_for(holder):
            bench.write(*bench.tickets(1))
            bench.sink.error = TransportDown("away")
            bench.drainer().drain()
            bench.sink.error = None
            held = bench.one("SELECT takeover_at FROM outbox_lane WHERE lane = %s", LANE)
            assert held is not None
        holder.result()

        # The last word is that of who got through.
        assert bench.all(
            "SELECT takeover_at, publish_failures FROM outbox_lane WHERE lane = %s", LANE
        ) == [(None, 0)]
        bench.drainer().drain()
        assert marks(bench) == (4, 4)

    def test_is_not_what_a_living_process_saw_fail(self, bench, names):
        names(3)
        self.old(bench)
        bench.sink.error = TransportDown("away")
        bench.drainer().drain()

        assert bench.all(
            "SELECT takeover_at, solo_event_id FROM outbox_lane WHERE lane = %s", LANE
        ) == [(None, None)]
        bench.sink.error = None
        bench.resume()
        bench.drainer().drain()
        assert not Attempt.objects.exists()
        assert marks(bench) == (3, 3)

    def test_is_not_assumed_while_the_mark_is_fresh(self, bench, names):
        names(3)
        bench.admin.execute(
            "UPDATE outbox_lane SET takeover_at = clock_timestamp() WHERE lane = %s", [LANE]
        )
        bench.write(*bench.tickets(2))
        drainer = bench.drainer()
        assert outbox_fixtures.relay.pending_lanes(min_age_seconds=-9) == [LANE]  # the new ones
        assert drainer.drain() is False  # and does not spin
        assert outbox_fixtures.relay.pending_lanes(min_age_seconds=-9) == []

        assert [row.seq for row in bench.sink.rows] == [4, 5]
        assert marks(bench) == (5, 0)
        self.old(bench)
        drainer.drain()
        assert marks(bench) == (5, 5)

    @pytest.mark.parametrize("error", [TransportDown("away"), None])
    def test_is_not_assumed_any_more_when_one_that_seemed_dead_comes_back(
        self, bench, names, error
    ):
        """Say, the name of the host was looked up for long: that is an outage of everybody."""
        names(3)
        self.old(bench)
        slow, first = bench.drainer("slow"), self.event_id(bench, 1)
        with bench.sink.held_for(slow), relay_session() as session:
            self.age(bench)
            other = takeover.begin(session.connection, LANE)
            assert other is not None
            assert other.former_event_id == first
            other.go_solo(session.connection, log.read(STREAM, 0, 1)[0])
            bench.sink.error = error
        slow.result()

        assert bench.all(
            "SELECT takeover_at, solo_event_id FROM outbox_lane WHERE lane = %s", LANE
        ) == [(other.token, None)]

    def test_leaves_the_mark_of_another_who_took_over_from_a_holder_that_ends_late(
        self, bench, names
    ):
        names(3)
        slow = bench.drainer("slow")
        with bench.sink.held_for(slow):
            self.age(bench)
            with relay_session() as session:
                other = takeover.begin(session.connection, LANE)
        slow.result()

        assert marks(bench) == (3, 3)
        assert other is not None
        assert bench.one("SELECT takeover_at FROM outbox_lane WHERE lane = %s", LANE) == other.token

    def test_leaves_to_the_other_who_took_over_from_a_slow_holder(self, bench, names):
        names(3)
        self.old(bench)
        send = bench.sink.deliver

        def deliver(rows: Any) -> None:
            send(rows)
            if rows[0].seq == 2:
                bench.admin.execute(
                    "UPDATE outbox_lane SET takeover_at = clock_timestamp(),"
                    " takeover_by = 'other:2' WHERE lane = %s",
                    [LANE],
                )

        bench.sink.deliver = deliver
        bench.drainer().drain()

        assert [row.seq for row in bench.sink.rows] == [1, 2]
        assert marks(bench) == (3, 0)
        assert bench.one("SELECT takeover_by FROM outbox_lane WHERE lane = %s", LANE) == "other:2"


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


class TestControls:
    def test_pause_stops_the_publishing_of_a_lane_and_nothing_else(self, bench):
        assert controls.pause(LANE, actor="user:1", reason="the layer moves house")
        assert not controls.pause(LANE, actor="user:2", reason="again")
        bench.write(*bench.tickets(3))
        bench.drainer().drain()

        assert marks(bench) == (3, 0)
        (lane,) = [lane for lane in status.lanes() if lane.paused]
        assert (lane.lane, lane.why) == (LANE, "stopped by user:1: the layer moves house")
        assert outbox_fixtures.relay.pending_lanes() == []

    def test_pause_stops_also_who_has_waited_for_the_lane(self, bench):
        controls.pause(LANE, actor="user:1", reason="the layer moves house")
        bench.write(*bench.tickets(3))
        holder, waiter = bench.hand_drainer(), bench.drainer()
        holder.lock()
        waiter.start()
        bench.wait_for_lock("outbox_lane")
        holder.commit()
        waiter.result()

        assert marks(bench) == (3, 0)

    def test_resume_goes_on_at_once_also_after_failures(self, bench):
        controls.pause(LANE, actor="user:1", reason="the layer moves house")
        bench.write(*bench.tickets(3))
        bench.drainer().drain()
        assert controls.resume(LANE, actor="user:1", reason="it has moved")
        bench.sink.error = TransportDown("away")
        bench.drainer().drain()
        bench.sink.error = None
        assert controls.resume(LANE, actor="user:1", reason="it is back")
        assert not controls.resume(LANE, actor="user:1", reason="again")
        bench.drainer().drain()

        assert marks(bench) == (3, 3)

    def test_skip_marks_what_is_recorded_as_published(self, bench):
        controls.pause(LANE, actor="user:1", reason="the layer moves house")
        bench.write(*bench.tickets(3))
        bench.drainer().drain()
        bench.admin.execute(
            "UPDATE outbox_lane SET takeover_at = clock_timestamp() WHERE lane = %s", [LANE]
        )
        assert controls.skip(LANE, actor="user:1", reason="nobody needs them") == 3
        assert controls.skip(LANE, actor="user:1", reason="nobody needs them") == 0

        assert marks(bench) == (3, 3)
        assert bench.sink.rows == []
        assert bench.one("SELECT takeover_at FROM outbox_lane WHERE lane = %s", LANE) is None
        skipped = LaneAction.objects.get(action="skip")
        assert skipped.detail == {"events": 3, "slices": {STREAM: [0, 3]}}

    def test_leave_a_row_each_that_is_not_edited(self, bench):
        controls.pause(LANE, actor="user:1", reason="the layer moves house")
        controls.resume(LANE, actor="user:2", reason="it has moved")

        rows = list(
            LaneAction.objects.order_by("id").values_list("lane", "action", "actor", "reason")
        )
        assert rows == [
            (LANE, "pause", "user:1", "the layer moves house"),
            (LANE, "resume", "user:2", "it has moved"),
        ]
        for statement in (
            "UPDATE outbox_lane_action SET actor = 'x'",
            "DELETE FROM outbox_lane_action",
        ):
            with pytest.raises(psycopg.errors.RaiseException, match="who did what"):
                bench.admin.execute(statement)

    @pytest.mark.parametrize("reason", ["", "  ", "x" * 1_001])
    def test_ask_for_a_reason(self, bench, reason):
        with pytest.raises(controls.NoReason):
            controls.pause(LANE, actor="user:1", reason=reason)

        assert not any(lane.paused for lane in status.lanes())

    def test_name_a_lane_that_is_not_there(self, bench):
        with pytest.raises(LaneMissing, match="lane 99"):
            controls.pause(99, actor="user:1", reason="a slip")


class TestLaneCommand:
    def run(self, *arguments: str) -> str:
        out = StringIO()
        call_command("outbox_lane", *arguments, stdout=out)
        return out.getvalue().strip()

    def test_pauses_resumes_and_skips_with_a_reason(self, bench):
        lane, reason = str(LANE), ("--reason", "the layer moves house")

        assert self.run("pause", lane, *reason) == f"lane {LANE} is paused"
        assert self.run("pause", lane, *reason) == f"lane {LANE} was paused already"
        bench.write(*bench.tickets(3))
        bench.drainer().drain()
        assert self.run("skip", lane, *reason) == f"lane {LANE}: 3 events skipped"
        assert self.run("resume", lane, *reason) == f"lane {LANE} is resumed"
        assert self.run("resume", lane, *reason) == f"lane {LANE} was neither paused nor failing"
        assert {row.actor[:4] for row in LaneAction.objects.all()} == {"cli:"}
        assert LaneAction.objects.count() == 3

    def test_says_what_is_wrong(self, bench):
        with pytest.raises(CommandError, match="there is no lane 99"):
            self.run("pause", "99", "--reason", "a slip")
        with pytest.raises(CommandError, match="give a reason"):
            self.run("pause", str(LANE), "--reason", " ")
