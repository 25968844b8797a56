"""Failures of real processes: Redis away for long, poison, and an event that kills its worker."""

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from outbox import log, replay
from outbox.lanes import lane_of
from outbox.models import Attempt, Broadcast, DeadLetter, Replay
from outbox.replay import Choice
from tests.integration import deadly
from tests.integration.processes import WORKER, RedisServer, celery, until

STREAM = "tenant:1"
LANE = lane_of(STREAM, 8)
WAIT_SECONDS = 90

# Many events in one statement, as another program might write them.
FLOOD = """
INSERT INTO outbox_message (lane, stream, type, subject, payload)
SELECT outbox_lane_of(%(stream)s), %(stream)s, 'anomaly_detected', 'anomaly:' || n,
       jsonb_build_object('anomaly_id', n, 'metric', 'rtt', 'observed', 1, 'expected', 2,
         'severity', 'HIGH', 'site_id', NULL, 'site_name', NULL,
         'detected_at', '2026-01-01T10:30:00Z')
       || CASE WHEN n = %(odd)s THEN %(with)s::jsonb ELSE '{}' END
  FROM generate_series(1, %(count)s) n
"""


def flood(count: int, *, odd: int = 0, what: str = "{}", stream: str = STREAM) -> None:
    """Write ``count`` anomalies; ``what`` replaces keys of the one with the number ``odd``."""
    with connection.cursor() as cursor:
        cursor.execute(FLOOD, {"stream": stream, "count": count, "odd": odd, "with": what})


def head() -> log.Head:
    return log.head(STREAM)


def recorded(count: int) -> None:
    until(lambda: head().last_seq == count, seconds=WAIT_SECONDS, what=f"{count} in the log")


def published(count: int) -> None:
    until(lambda: head().published_seq == count, seconds=WAIT_SECONDS, what=f"{count} published")


def failures() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT total FROM outbox_failure_count WHERE kind = 'transport'")
        return sum(total for (total,) in cursor.fetchall())


def let_the_pause_be_over() -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE outbox_lane SET publish_after = clock_timestamp()")


class TestRedisAwayForLong:
    def test_with_ten_thousand_events_makes_no_dead_letter(
        self, database: None, tmp_path: Path
    ) -> None:
        server = RedisServer(tmp_path)
        with celery(*WORKER, redis_url=server.url, log=tmp_path / "worker.log"):
            # Thirty minutes have sixty pauses of thirty seconds; here they are cut short. Whenever
            # more than is pushed afterwards is behind, it is left to the readers.
            for number in range(1, 61):
                flood(10_000 // 60 + (number <= 10_000 % 60))
                until(lambda n=number: failures() >= n, seconds=WAIT_SECONDS, what="a failure")
                let_the_pause_be_over()
            recorded(10_000)
            server.start()
            try:
                until(
                    lambda: let_the_pause_be_over() or head().published_seq == 10_000,
                    seconds=WAIT_SECONDS,
                    what="the marks at the head",
                )
                flood(3)
                published(10_003)
            finally:
                server.stop()

        assert not DeadLetter.objects.exists()
        assert not Attempt.objects.exists()


class TestPoison:
    def test_among_a_thousand_is_one_dead_letter_and_goes_with_the_others(
        self, database: None, redis_url: str, tmp_path: Path
    ) -> None:
        with celery(*WORKER, redis_url=redis_url, log=tmp_path / "worker.log"):
            flood(1_000, odd=700, what='{"severity": 7}')
            published(1_000)

        letter = DeadLetter.objects.get()
        assert (letter.seq, letter.reason) == (700, "poison")
        assert letter.error == "anomaly_detected has an integer as 'severity', not a text"
        # Who found it: a task, or the timer of the worker's main process, which is in none.
        assert re.fullmatch(r"[^:]+:\d+( task [0-9a-f-]{36})?", Attempt.objects.get().worker)
        # The rounds are full, so nobody waited for it.
        slices = Broadcast.objects.order_by("last_seq").values_list("first_seq", "last_seq")
        assert list(slices) == [(1, 500), (501, 1_000)]


class Keeper:
    """Starts the worker again whenever it has ended, as a service manager does."""

    def __init__(self, redis_url: str, log: Path) -> None:
        self.starts = 0
        self._how: dict[str, Any] = {
            "redis_url": redis_url,
            "log": log,
            "DJANGO_SETTINGS_MODULE": deadly.__name__,
        }
        self._running = ExitStack()
        self._worker: Any = None

    def look(self) -> None:
        if self._worker is None or self._worker.poll() is not None:
            self._running.close()
            self._worker = self._running.enter_context(celery(*WORKER, **self._how))
            self.starts += 1

    def close(self) -> None:
        self._running.close()


@pytest.fixture
def keeper(redis_url: str, tmp_path: Path) -> Iterator[Keeper]:
    keeper = Keeper(redis_url, tmp_path / "worker.log")
    yield keeper
    keeper.close()


class TestEventThatKillsItsWorker:
    def test_is_isolated_dead_after_three_and_holds_nobody_up(
        self, database: None, keeper: Keeper, tmp_path: Path
    ) -> None:
        flood(20, odd=11, what=f'{{"metric": "{deadly.DEADLY}"}}')
        other = "tenant:2"  # of another lane: it goes on while this one is sorted out
        assert lane_of(other, 8) != LANE

        def dead() -> bool:
            keeper.look()
            return DeadLetter.objects.exists()

        until(dead, seconds=150, what="a dead letter")
        flood(5, stream=other)

        def all_published() -> bool:
            keeper.look()
            return head().published_seq == 20 and log.head(other).published_seq == 5

        until(all_published, seconds=WAIT_SECONDS, what="the others published")
        letter = DeadLetter.objects.get()
        assert (letter.seq, letter.reason, letter.attempts) == (11, "crash", 3)
        attempts = list(Attempt.objects.order_by("id"))
        assert [attempt.number for attempt in attempts] == [1, 2, 3]
        assert len({attempt.worker for attempt in attempts}) == 3  # each died of it
        assert {attempt.event_id for attempt in attempts} == {letter.event_id}
        sent = {
            seq
            for first, last in Broadcast.objects.filter(stream=STREAM).values_list(
                "first_seq", "last_seq"
            )
            for seq in range(first, last + 1)
        }
        assert sent == set(range(1, 21)) - {11}


class TestReplay:
    def test_is_done_by_the_worker_and_goes_the_way_of_every_event(
        self, database: None, redis_url: str, tmp_path: Path
    ) -> None:
        with celery(*WORKER, redis_url=redis_url, log=tmp_path / "worker.log"):
            flood(30)
            published(30)
            choice = Choice(source="log", stream=STREAM, first_seq=11, last_seq=20)
            plan = replay.plan(choice)
            made = replay.start(
                choice, reason="a consumer lost them", actor="user:1", fingerprint=plan.fingerprint
            )
            published(40)

        assert [row.replay_of for row in log.read(STREAM, 30, 50)] == list(range(11, 21))
        assert Replay.objects.get(pk=made).state == "done"
