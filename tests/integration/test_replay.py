"""Replay: what a dry run shows is what is sent, once, by somebody, for a reason, and no faster."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import StringIO
from time import monotonic
from typing import Any

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.utils import timezone

import outbox
from outbox import failpoints, replay, retention, sql
from outbox.errors import ReplayError, StaleSelection, TooManyReplays
from outbox.failpoints import FailpointError
from outbox.models import Attempt, DeadLetter, Message, Replay, ReplayItem
from outbox.replay import Choice
from outbox.replay.progress import progress
from outbox.session import close_session
from tests.integration import outbox_fixtures
from tests.integration.outbox_fixtures import LANE, STREAM, Bench
from tests.integration.processes import until
from worker.timer import Timer

JUDGE = f"{outbox_fixtures.__name__}.judge"
OTHER = next(
    f"relay:{n}" for n in range(2, 999) if outbox_fixtures.lane_of(f"relay:{n}", 8) == LANE
)
stale: dict[str, str] = {}


def moved_on(rows: Any) -> dict[Any, str]:
    return {row.event_id: stale[row.subject] for row in rows if row.subject in stale}


def publish(subject: str, *, stream: str = STREAM, type: str = "said", **payload: Any) -> None:
    with transaction.atomic():
        outbox.publish(type, stream=stream, subject=subject, payload=payload)


@pytest.fixture
def dead(bench: Bench) -> Iterator[Callable[..., None]]:
    """Make dead letters of which a later release knows better."""
    stale.clear()
    bench.configure(judge=JUDGE, moved_on=f"{__name__}.moved_on")

    def make(*subjects: str, fault: str = "it lacks a key", **more: Any) -> None:
        for subject in subjects:
            publish(subject, fault=fault, **more)
        bench.drainer().drain()

    yield make
    stale.clear()


def release(bench: Bench) -> None:
    """From here on what was poison can be delivered."""
    bench.configure(judge="")


def start(choice: Choice | None = None, **more: Any) -> int:
    choice = choice or Choice()
    action, forced = more.get("action", "replay"), more.get("forced", False)
    plan = replay.plan(choice, action=action, forced=forced)
    options: dict[str, Any] = {"reason": "it is mended", "actor": "user:1", "rate": 1_000, **more}
    return replay.start(choice, fingerprint=plan.fingerprint, **options)


def finish(replay_id: int) -> dict[str, Any]:
    """Step until the replay is over, and return what came of it."""

    def over() -> bool:
        replay.step()
        return Replay.objects.get(pk=replay_id).state != Replay.State.RUNNING

    until(over)
    return progress(Replay.objects.get(pk=replay_id))


def letters(**filters: Any) -> list[str]:
    return list(
        DeadLetter.objects.filter(**filters).order_by("seq").values_list("subject", flat=True)
    )


class TestPlan:
    def test_counts_shows_and_changes_nothing(self, bench, dead):
        dead("it:1", "it:2", "it:3")
        release(bench)
        stale["it:2"] = "the ticket has since moved to version 9"
        plan = replay.plan(Choice())

        assert (plan.total, plan.ready) == (3, 2)
        assert plan.blocked == {"the ticket has since moved to version 9": 1}
        assert [(s.subject, s.verdict) for s in plan.sample] == [
            ("it:2", "superseded"),
            ("it:1", "ready"),
            ("it:3", "ready"),
        ]
        assert not Replay.objects.exists()
        assert letters(state="dead") == ["it:1", "it:2", "it:3"]
        assert not Message.objects.exists()

    def test_tells_what_would_die_again(self, bench, dead):
        dead("it:1", "it:2")
        plan = replay.plan(Choice())

        assert (plan.total, plan.ready, plan.blocked) == (2, 0, {"it lacks a key": 2})

    def test_tells_what_the_judge_fails_at(self, bench, dead):
        dead("it:1", fault="fail")
        why = "it could not be judged: RuntimeError: the judge fails"

        assert replay.plan(Choice()).blocked == {why: 1}

    def test_has_another_fingerprint_when_the_set_or_a_verdict_is_another(self, bench, dead):
        dead("it:1", "it:2")
        prints = [replay.plan(Choice()).fingerprint]
        assert prints == [replay.plan(Choice()).fingerprint]
        release(bench)
        prints.append(replay.plan(Choice()).fingerprint)
        prints.append(replay.plan(Choice(), action="discard").fingerprint)
        stale["it:2"] = "it moved on"
        prints.append(replay.plan(Choice()).fingerprint)
        prints.append(replay.plan(Choice(), forced=True).fingerprint)
        prints.append(replay.plan(Choice(subject="it:1")).fingerprint)

        assert len(set(prints)) == len(prints)

    def test_shows_at_most_twenty_those_that_are_blocked_first(self, bench, dead):
        dead(*(f"it:{n}" for n in range(30)))
        release(bench)
        stale["it:29"] = "it moved on"
        plan = replay.plan(Choice())

        assert len(plan.sample) == 20
        assert plan.sample[0].subject == "it:29"
        assert plan.total == 30


class TestChoice:
    @pytest.fixture
    def various(self, bench: Bench, dead: Callable[..., None]) -> None:
        dead("it:1", fault="it lacks a key", site_id=7)
        dead("it:2", fault="it is too large", site_id=8)
        publish("it:3", stream=OTHER, type="sung", fault="it lacks a key", site_id=None)
        bench.drainer().drain()

    @pytest.mark.parametrize(
        ("filters", "subjects"),
        [
            ({}, ["it:1", "it:2", "it:3"]),
            ({"stream": STREAM}, ["it:1", "it:2"]),
            ({"types": ["sung", "x"]}, ["it:3"]),
            ({"subject": "it:2"}, ["it:2"]),
            ({"reasons": ["crash"]}, []),
            ({"reasons": ["poison"]}, ["it:1", "it:2", "it:3"]),
            ({"text": "TOO large"}, ["it:2"]),
            ({"text": "%"}, []),
            ({"since": datetime(2026, 1, 1, tzinfo=UTC)}, ["it:1", "it:2", "it:3"]),
            ({"until": datetime(2026, 1, 1, tzinfo=UTC)}, []),
            ({"stream": STREAM, "first_seq": 2}, ["it:2"]),
            ({"stream": STREAM, "last_seq": 1}, ["it:1"]),
            ({"site_ids": [7, 9]}, ["it:1"]),
            ({"site_ids": []}, []),
            ({"event_ids": []}, []),
        ],
    )
    def test_narrows_by_each_filter(self, various, filters, subjects):
        shown = replay.plan(Choice(**filters)).sample

        assert [each.subject for each in shown] == subjects

    def test_narrows_by_fingerprint_and_event(self, various):
        one = DeadLetter.objects.get(subject="it:1")
        assert [
            each.subject for each in replay.plan(Choice(fingerprint=one.fingerprint)).sample
        ] == ["it:1"]
        assert [each.subject for each in replay.plan(Choice(event_ids=[one.event_id])).sample] == [
            "it:1"
        ]

    def test_refuses_more_than_can_be_looked_through(self, bench, dead, monkeypatch):
        dead("it:1", "it:2")
        monkeypatch.setattr("outbox.replay.choice.MAX_EVENTS", 1)
        with pytest.raises(ReplayError, match="narrow the filter"):
            replay.plan(Choice())

    @pytest.mark.parametrize(
        ("filters", "remedy"),
        [
            ({"source": "outbox"}, "use dead_letters or log"),
            ({"source": "log"}, "name it"),
            ({"source": "log", "stream": STREAM}, "give first_seq and last_seq"),
            ({"source": "log", "stream": STREAM, "first_seq": 1}, "give first_seq and last_seq"),
            (
                {"source": "log", "stream": STREAM, "first_seq": 1, "last_seq": 2, "text": "x"},
                "dead letters alone",
            ),
            ({"since": datetime(2026, 1, 1)}, "no time zone"),  # noqa: DTZ001
        ],
    )
    def test_says_what_is_missing(self, filters, remedy):
        with pytest.raises(ReplayError, match=remedy):
            Choice(**filters)


class TestStart:
    def test_refuses_a_set_that_is_another_by_now(self, bench, dead):
        dead("it:1")
        plan = replay.plan(Choice())
        dead("it:2")

        with pytest.raises(StaleSelection, match="2 are chosen now"):
            replay.start(Choice(), reason="x", actor="user:1", fingerprint=plan.fingerprint)
        assert not Replay.objects.exists()

    @pytest.mark.parametrize(
        ("options", "remedy"),
        [
            ({"reason": " "}, "give a reason"),
            ({"reason": "x" * 1_001}, "give a reason"),
            ({"rate": 0}, "use 1 to 1,000"),
            ({"rate": 1_001}, "use 1 to 1,000"),
            ({"action": "edit"}, "use replay or discard"),
        ],
    )
    def test_says_what_to_change(self, bench, dead, options, remedy):
        dead("it:1")
        with pytest.raises(ReplayError, match=remedy):
            start(**options)

    def test_refuses_to_do_nothing(self, bench, dead):
        with pytest.raises(ReplayError, match="nothing is chosen"):
            start()

    def test_refuses_to_discard_what_was_delivered(self, bench):
        choice = Choice(source="log", stream=STREAM, first_seq=1, last_seq=2)
        with pytest.raises(ReplayError, match="only dead letters are discarded"):
            start(choice, action="discard")

    def test_refuses_a_sixth_that_runs(self, bench, dead):
        dead("it:1")
        for _ in range(5):
            start()
        with pytest.raises(TooManyReplays, match="cancel one"):
            start()

    def test_keeps_who_why_and_what(self, bench, dead):
        dead("it:1")
        found = Replay.objects.get(pk=start(Choice(subject="it:1"), reason=" it is mended\x00 "))

        assert (found.actor, found.reason) == ("user:1", "it is mended?")
        assert found.filters == {"source": "dead_letters", "subject": "it:1"}
        assert found.total == 1


class TestReplay:
    def test_sends_each_event_again_as_it_was_and_files_the_old_one_away(self, bench, dead):
        digits = "123456789012345678901234567890.5"
        dead("it:1")
        bench.admin.execute(
            "INSERT INTO outbox_message (lane, stream, type, subject, payload, context,"
            " schema_version) VALUES (%s, %s, 'said', 'it:2', jsonb_build_object('fault', 'big',"
            ' \'n\', %s::numeric), \'{"actor": "user:9", "request_id": "r1"}\', 3)',
            [LANE, STREAM, digits],
        )
        bench.drainer().drain()
        release(bench)
        replay_id = start()
        result = finish(replay_id)
        bench.drainer().drain()

        assert (result["replayed"], result["done"], result["state"]) == (2, 2, "done")
        rows = bench.all(
            "SELECT seq, subject, type, replay_of, payload->>'n', context, schema_version"
            " FROM event_log WHERE seq > 2 ORDER BY seq"
        )
        assert rows == [
            (3, "it:1", "said", 1, None, {"replay": str(replay_id)}, 1),
            (
                *(4, "it:2", "said", 2, digits),
                {"actor": "user:9", "request_id": "r1", "replay": str(replay_id)},
                3,
            ),
        ]
        assert letters(state="replayed", replay_id=replay_id) == ["it:1", "it:2"]
        assert bench.sink.rows[-1].replay_of == 2

    def test_wakes_the_relay(self, bench, dead):
        dead("it:1")
        release(bench)
        outbox_fixtures.nudges.clear()
        finish(start())

        assert [set(lanes) for lanes in outbox_fixtures.nudges] == [{LANE}]

    def test_leaves_one_audit_row_per_event_with_the_new_one(self, bench, dead):
        dead("it:1", "it:2")
        release(bench)
        replay_id = start()
        finish(replay_id)

        items = list(ReplayItem.objects.filter(replay_id=replay_id).order_by("number"))
        assert [(item.number, item.seq, item.outcome) for item in items] == [
            (1, 1, "replayed"),
            (2, 2, "replayed"),
        ]
        sent = set(Message.objects.values_list("event_id", flat=True))
        assert {item.new_event_id for item in items} == sent

    def test_skips_what_its_subject_moved_past_unless_it_is_forced(self, bench, dead):
        dead("it:1", "it:2")
        release(bench)
        stale["it:2"] = "the ticket has since moved to version 9"
        result = finish(start())
        assert (result["replayed"], result["superseded"]) == (1, 1)
        assert letters(state="dead") == ["it:2"]
        forced = finish(start(forced=True))

        assert (forced["replayed"], forced["superseded"]) == (1, 0)
        assert letters(state="dead") == []

    def test_tells_the_first_error_and_leaves_what_failed_dead(self, bench, dead):
        dead("it:1", "it:2")
        result = finish(start())

        assert (result["failed"], result["replayed"]) == (2, 0)
        assert result["first_error"] == f"{STREAM} 1: it lacks a key"
        assert letters(state="dead") == ["it:1", "it:2"]
        assert not Message.objects.exists()

    def test_passes_what_the_judge_fails_at_and_keeps_no_other_from_its_turn(self, bench, dead):
        dead("it:1", "it:2", fault="fail")
        release(bench)
        first, second = start(Choice(subject="it:1")), start(Choice(subject="it:2"))
        bench.configure(judge=JUDGE)

        assert finish(second)["failed"] == 1
        assert finish(first)["first_error"].endswith("RuntimeError: the judge fails")

    def test_is_all_or_nothing_for_each_event_when_the_process_dies(self, bench, dead):
        dead(*(f"it:{n}" for n in range(60)))
        release(bench)
        replay_id = start()
        failpoints.arm("replay_claimed=raise")
        with pytest.raises(FailpointError):
            replay.step()
        failpoints.arm("")

        assert len(letters(state="dead")) == 60
        assert not Message.objects.exists()
        assert not ReplayItem.objects.exclude(outcome=None).exists()
        assert finish(replay_id)["replayed"] == 60
        assert Message.objects.count() == 60

    def test_keeps_to_its_rate_by_the_clock_of_the_database(self, bench, dead):
        dead(*(f"it:{n}" for n in range(90)))
        release(bench)
        replay_id = start(rate=10)
        assert replay.step() == 10  # one second's worth, then it rests
        assert replay.step() == 0
        assert not replay.due()
        ahead = bench.one(
            "SELECT extract(epoch FROM next_at - clock_timestamp())::float8 FROM outbox_replay"
        )
        assert ahead <= 1
        found = Replay.objects.get(pk=replay_id)
        assert (found.state, found.replayed) == ("running", 10)
        bench.admin.execute("UPDATE outbox_replay SET next_at = clock_timestamp() - interval '1 h'")
        assert replay.due()

        assert 20 <= replay.step() <= 50  # it catches up for two seconds and no longer

    def test_lets_others_have_their_turns(self, bench, dead):
        dead(*(f"it:{n}" for n in range(120)))
        release(bench)
        first, second = start(), start(action="discard")
        for _ in range(2):
            replay.step(seconds=0.001)

        done = dict(Replay.objects.values_list("pk", "already"))
        assert Replay.objects.get(pk=first).replayed == 50
        assert done[second] + Replay.objects.get(pk=second).discarded == 50

    def test_ends_when_it_is_cancelled_and_keeps_what_it_sent(self, bench, dead):
        dead(*(f"it:{n}" for n in range(30)))
        release(bench)
        replay_id = start(rate=10)
        replay.step()
        assert replay.cancel(replay_id, actor="user:2")
        assert not replay.cancel(replay_id, actor="user:2")
        bench.admin.execute("UPDATE outbox_replay SET next_at = clock_timestamp()")

        assert replay.step() == 0
        found = Replay.objects.get(pk=replay_id)
        assert (found.state, found.cancelled_by, found.replayed) == ("cancelled", "user:2", 10)
        outcomes = ReplayItem.objects.values_list("outcome", flat=True)
        assert sorted(outcomes) == ["cancelled"] * 20 + ["replayed"] * 10
        assert len(letters(state="dead")) == 20

    def test_discards_what_nobody_wants_and_sends_nothing(self, bench, dead):
        dead("it:1", "it:2")
        result = finish(start(Choice(subject="it:1"), action="discard"))

        assert result["discarded"] == 1
        assert letters(state="discarded") == ["it:1"]
        assert letters(state="dead") == ["it:2"]
        assert not Message.objects.exists()

    def test_dies_again_when_it_is_poison_again(self, bench, dead):
        dead("it:1")
        release(bench)
        finish(start())
        bench.configure(judge=JUDGE)
        bench.drainer().drain()

        assert letters(state="dead") == ["it:1"]
        assert DeadLetter.objects.get(state="dead").replay_of == 1


class TestTimer:
    def test_steps_again_after_a_failure_and_a_restart_of_the_database(self, bench, dead):
        dead("it:1")
        release(bench)
        replay_id = start()
        connection.close()
        with ThreadPoolExecutor(1) as thread:  # as in a worker, its connection is its own

            def tick() -> None:
                thread.submit(Timer().tick).result(20)

            failpoints.arm("replay_claimed=raise")
            tick()
            failpoints.arm("")
            end_sessions(bench)

            def done() -> bool:
                tick()
                return Replay.objects.get(pk=replay_id).state == Replay.State.DONE

            until(done, seconds=5)
            thread.submit(close_session).result(20)
        assert letters(state="replayed") == ["it:1"]


def end_sessions(bench: Bench) -> None:
    """End all others than that of ``bench.admin``, as a restart does."""
    bench.admin.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        " AND datname = current_database() AND backend_type = 'client backend'"
    )


class TestTwoAdmins:
    def test_at_once_replay_each_event_once(self, bench, dead):
        dead(*(f"it:{n}" for n in range(120)))
        release(bench)
        plan = replay.plan(Choice())
        barrier = threading.Barrier(4)
        made: list[int] = []

        def admin(name: str) -> None:
            try:
                barrier.wait(20)
                replay_id = replay.start(
                    Choice(), reason="x", actor=name, rate=1_000, fingerprint=plan.fingerprint
                )
                made.append(replay_id)
                finish(replay_id)
            finally:
                connection.close()

        threads = [threading.Thread(target=admin, args=[f"user:{n}"]) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

        results = [progress(each) for each in Replay.objects.filter(pk__in=made)]
        assert len(results) == len(made)
        assert sum(each["replayed"] for each in results) == 120
        assert sum(each["done"] for each in results) == 120 * len(results)
        assert Message.objects.count() == 120
        assert len(set(Message.objects.values_list("replay_of", flat=True))) == 120

    def test_of_delivered_events_replay_them_once_and_later_again(self, bench):
        publish("it:1")
        publish("it:2")
        bench.drainer().drain()
        choice = Choice(source="log", stream=STREAM, first_seq=1, last_seq=2)
        first, second = start(choice), start(choice)
        results = [finish(first), finish(second)]

        assert [(each["replayed"], each["already"]) for each in results] == [(2, 0), (0, 2)]
        assert finish(start(choice))["replayed"] == 2  # on purpose, afterwards

    def test_who_looked_before_the_other_was_done_looks_again(self, bench):
        publish("it:1")
        bench.drainer().drain()
        choice = Choice(source="log", stream=STREAM, first_seq=1, last_seq=1)
        plan = replay.plan(choice)
        finish(start(choice))

        with pytest.raises(StaleSelection):
            replay.start(choice, reason="x", actor="user:2", fingerprint=plan.fingerprint)


class TestLock:
    @pytest.mark.parametrize("who", ["start", "cancel"])
    def test_lets_nobody_look_while_a_step_is_not_committed(self, bench, who):
        """Who looked would not see what the step has sent, and send it again."""
        publish("it:1")
        bench.drainer().drain()
        choice = Choice(source="log", stream=STREAM, first_seq=1, last_seq=1)
        made = start(choice)

        def act() -> None:
            try:
                start(choice) if who == "start" else replay.cancel(made, actor="user:2")
            finally:
                connection.close()

        step = bench.connect()
        step.execute("BEGIN")
        assert step.execute(sql.TRY_LOCK_REPLAYS).fetchall() == [(True,)]
        acting = threading.Thread(target=act)
        acting.start()
        waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        until(lambda: bench.one(waits) == 1)
        assert replay.step() == 0  # nor do two step at once
        step.execute("COMMIT")
        acting.join(20)


class TestDeliveredEvents:
    @pytest.fixture
    def delivered(self, bench: Bench) -> None:
        for number in range(1, 7):
            publish(f"it:{number}", site_id=number)
        publish("it:1", stream=OTHER)
        bench.drainer().drain()

    @pytest.mark.parametrize(
        ("filters", "seqs"),
        [
            ({"first_seq": 2, "last_seq": 4}, [2, 3, 4]),
            ({"first_seq": 1, "last_seq": 9, "subject": "it:5"}, [5]),
            ({"first_seq": 1, "last_seq": 9, "types": ["sung"]}, []),
            ({"first_seq": 1, "last_seq": 9, "site_ids": [3]}, [3]),
            ({"since": "now", "until": "now"}, [1, 2, 3, 4, 5, 6]),
        ],
    )
    def test_are_chosen_by_seq_or_time_of_one_stream(self, delivered, filters, seqs):
        if "since" in filters:
            now = timezone.now()
            hour = timedelta(hours=1)
            filters = {"since": now - hour, "until": now + hour}
        plan = replay.plan(Choice(source="log", stream=STREAM, **filters))

        assert [each.seq for each in plan.sample] == seqs

    def test_are_sent_again_under_new_numbers(self, bench, delivered):
        choice = Choice(source="log", stream=STREAM, first_seq=2, last_seq=3)
        result = finish(start(choice))
        bench.drainer().drain()

        assert result["replayed"] == 2
        assert bench.all(
            "SELECT seq, replay_of FROM event_log WHERE stream = %s AND seq > 6 ORDER BY seq",
            STREAM,
        ) == [(7, 2), (8, 3)]

    def test_that_are_no_longer_kept_fail(self, bench, delivered):
        replay_id = start(Choice(source="log", stream=STREAM, first_seq=1, last_seq=2))
        bench.admin.execute(
            "SET session_replication_role = replica; DELETE FROM event_log WHERE seq = 1;"
            " SET session_replication_role = origin"
        )
        result = finish(replay_id)

        assert (result["replayed"], result["failed"]) == (1, 1)
        assert result["first_error"] == f"{STREAM} 1: it is no longer kept"


class TestHistory:
    @pytest.mark.parametrize(
        "statement",
        [
            "UPDATE outbox_replay SET actor = 'user:2'",
            "UPDATE outbox_replay SET reason = 'another'",
            "DELETE FROM outbox_replay",
            "TRUNCATE outbox_replay CASCADE",
            "UPDATE outbox_replay_item SET outcome = 'failed'",
            "UPDATE outbox_replay_item SET detail = 'x'",
            "DELETE FROM outbox_replay_item",
            "UPDATE outbox_dead_letter SET state = 'dead', resolved_at = NULL",
            "UPDATE event_log SET type = 'x'",
        ],
    )
    def test_of_a_replay_is_not_edited(self, bench, dead, statement):
        dead("it:1")
        release(bench)
        finish(start())

        with pytest.raises(psycopg.errors.RaiseException):
            bench.admin.execute(statement)


class TestRetention:
    def test_never_deletes_what_is_dead_nor_its_attempts(self, bench, dead):
        dead("it:1", "it:2", "it:3")
        release(bench)
        finish(start(Choice(subject="it:1")))
        finish(start(Choice(subject="it:2"), action="discard"))
        later = timezone.now() + timedelta(days=91)
        soon = timezone.now() + timedelta(days=89)
        assert retention.forget_failures(now=soon, deadline=monotonic() + 20) == 0
        assert retention.forget_failures(now=later, deadline=monotonic() - 1) == 0
        assert retention.forget_failures(now=later, deadline=monotonic() + 20) == 4

        assert letters() == ["it:3"]
        assert Attempt.objects.count() == 1
        assert ReplayItem.objects.count() == 2  # the audit stays

    def test_counts_from_when_a_letter_was_resolved_and_not_from_its_death(self, bench, dead):
        dead("it:1")
        finish(start(action="discard"))
        bench.admin.execute(
            "SET session_replication_role = replica;"
            " UPDATE outbox_dead_letter SET died_at = died_at - interval '100 days';"
            " UPDATE outbox_attempt SET noted_at = noted_at - interval '100 days';"
            " SET session_replication_role = origin"
        )
        assert retention.forget_failures(now=timezone.now(), deadline=monotonic() + 20) == 0


class TestCommand:
    def run(self, *arguments: str) -> str:
        out = StringIO()
        call_command("outbox_replay", *arguments, stdout=out, stderr=out)
        return out.getvalue()

    def test_shows_with_dry_run_and_changes_nothing(self, bench, dead):
        dead("it:1", "it:2")
        release(bench)
        stale["it:2"] = "the ticket has since moved to version 9"
        text = self.run("--dry-run")

        assert "2 chosen, 1 would be sent" in text
        assert "1 would not: the ticket has since moved to version 9" in text
        assert json.loads(self.run("--dry-run", "--json"))["ready"] == 1
        assert not Replay.objects.exists()

    def test_sends_without_a_worker_and_says_what_came_of_it(self, bench, dead):
        dead("it:1", "it:2")
        release(bench)
        shown = json.loads(self.run("--dry-run", "--json", "--subject", "it:1"))
        text = self.run(
            *("--subject", "it:1", "--reason", "it is mended", "--confirm", shown["set"])
        )

        assert "done, 1 replayed" in text
        assert letters(state="dead") == ["it:2"]
        told = json.loads(self.run("--reason", "the rest", "--json"))
        assert (told["replayed"], told["state"], told["actor"][:3]) == (1, "done", "cli")

    def test_refuses_a_set_that_is_another_by_now(self, bench, dead):
        dead("it:1")
        shown = json.loads(self.run("--dry-run", "--json"))
        dead("it:2")
        with pytest.raises(CommandError, match="Look at a new dry run"):
            self.run("--reason", "x", "--confirm", shown["set"])

    def test_needs_a_reason(self, bench, dead):
        dead("it:1")
        with pytest.raises(CommandError, match="give a reason"):
            self.run()

    def test_fails_when_an_event_failed(self, bench, dead):
        dead("it:1")
        with pytest.raises(CommandError, match="1 of 1 failed"):
            self.run("--reason", "too early")

    def test_shows_and_cancels_a_replay(self, bench, dead):
        dead("it:1")
        release(bench)
        made = json.loads(self.run("--reason", "x", "--no-wait", "--json"))
        assert made["state"] == "running"
        assert "running" in self.run("--status", str(made["id"]))
        assert "cancelled" in self.run("--cancel", str(made["id"]))
        with pytest.raises(CommandError, match="not running"):
            self.run("--cancel", str(made["id"]))
        with pytest.raises(CommandError, match="no replay 99"):
            self.run("--status", "99")
