"""The nudge after a commit: one task per lane, never slow, never an error."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from django.db import connection, transaction

import outbox
from outbox.conf import outbox_settings
from outbox.lanes import lane_of
from tests.integration.processes import RedisServer, until
from worker import redis_client, wake

STREAM = "tenant:1"
LANE = lane_of(STREAM, 8)
QUEUE = "noc:outbox"


@pytest.fixture
def broker(tmp_path: Path, settings: Any) -> Iterator[RedisServer]:
    """A Redis of this test's own, used for the nudges of this process."""
    server = RedisServer(tmp_path)
    settings.CELERY_BROKER_URL = server.url
    forget_connections()
    yield server
    server.stop()
    forget_connections()


def forget_connections() -> None:
    redis_client._clients.clear()
    wake._connections.clear()
    wake.breaker._open_until = float("-inf")


def publish(count: int = 1) -> None:
    for number in range(count):
        outbox.publish("x", stream=STREAM, subject="s", payload={"n": number})


def flush() -> None:
    assert wake._mailbox().flush(seconds=10)


def counted(reason: str) -> float:
    return wake.failures.labels(reason)._value.get()


class TestNudge:
    def test_sends_one_task_for_many_commits(self, database: None, broker: RedisServer) -> None:
        broker.start()
        for _ in range(5):
            with transaction.atomic():
                publish(3)

        flush()

        with redis.Redis.from_url(broker.url) as client:
            assert client.llen(QUEUE) == 1
            assert 0 < client.pttl(f"noc:wake:{LANE}") <= wake.FLAG_MS

    def test_sends_the_next_task_after_the_flag_was_cleared(
        self, database: None, broker: RedisServer
    ) -> None:
        broker.start()
        for expected in (1, 2):
            with transaction.atomic():
                publish()
            flush()
            with redis.Redis.from_url(broker.url) as client:
                assert client.llen(QUEUE) == expected
            wake.clear(LANE)

    def test_sends_nothing_for_what_rolled_back(self, database: None, broker: RedisServer) -> None:
        broker.start()
        with transaction.atomic():
            publish()
            transaction.set_rollback(True)

        flush()

        with redis.Redis.from_url(broker.url) as client:
            assert client.keys("*") == []

    def test_asks_for_a_sweep_when_the_streams_are_unknown(self, broker: RedisServer) -> None:
        broker.start()

        wake.nudge(None)
        flush()

        with redis.Redis.from_url(broker.url) as client:
            assert b"outbox.sweep" in client.lindex(QUEUE, 0)

    def test_keeps_one_hook_per_lane_and_transaction(
        self, database: None, broker: RedisServer
    ) -> None:
        with transaction.atomic():
            publish(50)
            assert len(connection.run_on_commit) == 1
            with transaction.atomic():
                publish()  # its savepoint may roll back, the outer hook covers it
            assert len(connection.run_on_commit) == 1
            transaction.set_rollback(True)

    def test_keeps_the_hook_of_the_outer_block_when_an_inner_one_rolls_back(
        self, database: None, broker: RedisServer
    ) -> None:
        broker.start()
        with transaction.atomic():
            with transaction.atomic():
                publish()
                transaction.set_rollback(True)
            publish()

        flush()

        with redis.Redis.from_url(broker.url) as client:
            assert client.llen(QUEUE) == 1


class TestRedisAway:
    @pytest.mark.parametrize("fault", ["absent", "frozen"])
    def test_saves_succeed_and_the_breaker_opens(
        self, database: None, broker: RedisServer, fault: str
    ) -> None:
        if fault == "frozen":
            broker.start()
            broker.freeze()
        failed, skipped = counted("failed"), counted("skipped")

        with transaction.atomic():
            publish()
        until(lambda: wake.breaker.is_open, what="the breaker opens")
        with transaction.atomic():
            publish()
        flush()

        assert counted("failed") == failed + 1
        assert counted("skipped") == skipped + 1
        assert outbox_settings().nudge is wake.nudge
        broker.stop()

    def test_nudges_again_when_the_breaker_has_closed(
        self, database: None, broker: RedisServer
    ) -> None:
        wake.nudge([LANE])
        until(lambda: wake.breaker.is_open, what="the breaker opens")
        broker.start()
        wake.breaker._open_until = float("-inf")  # ten seconds later

        wake.nudge([LANE])
        flush()

        with redis.Redis.from_url(broker.url) as client:
            assert client.llen(QUEUE) == 1
