"""``noc/events/?wait=`` against a real web process: what ends the wait, and what it holds."""

import asyncio
import http.client
import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis
from django.db import connections

from apps.noc.feed import database as feed_database
from apps.noc.feed.hub import POLL_ANSWERS
from apps.tenancy.models import Membership
from tests.integration.feed_rig import Rig, rig_on, token_of
from tests.integration.feed_world import served_world
from tests.integration.outbox_fixtures import database_url
from tests.integration.processes import free_port, until
from tests.integration.web_process import WebProcess

EVENTS = "/api/v1/noc/events/"
LONG = 25  # seconds; what is answered because of something else comes well before


@pytest.fixture
def rig(database: None, redis_url: str, tmp_path: Path) -> Iterator[Rig]:
    with rig_on(tmp_path, redis_url) as rig:
        yield rig


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(40) as pool:
        yield pool


def served(web: WebProcess) -> int:
    """Return how many requests for events went through Django."""
    return web._log.read_text().count(EVENTS)


class Reader:
    """One client that goes on from where it stood."""

    def __init__(self, web: WebProcess, user: Any, pool: ThreadPoolExecutor) -> None:
        self.web, self.pool = web, pool
        self.headers = token_of(user)
        self.position = 0

    def ask(self, wait: float) -> tuple[int, dict[str, Any]]:
        path = f"{EVENTS}?after_seq={self.position}&wait={wait}"
        status, body = self.web.request("GET", path, self.headers)
        answer = json.loads(body)
        self.position = answer.get("position", self.position)
        return status, answer

    def waits(self, wait: float = LONG) -> Future[tuple[int, dict[str, Any]]]:
        """Ask in a thread, and return when the request has been through Django once."""
        before = served(self.web)
        asked = self.pool.submit(self.ask, wait)
        until(lambda: served(self.web) > before, seconds=30, what="the poll waits")
        return asked


class TestTheWait:
    def test_ends_at_once_when_there_is_something(self, rig: Rig, pool: ThreadPoolExecutor) -> None:
        web, world = rig.web(), rig.world
        rig.write(world.north)
        world.drain()

        status, answer = Reader(web, rig.user("u", world.acme), pool).ask(LONG)

        assert (status, len(answer["results"]), served(web)) == (200, 1, 1)

    def test_ends_with_the_next_event_in_scope(self, rig: Rig, pool: ThreadPoolExecutor) -> None:
        web, world = rig.web(), rig.world
        reader = Reader(web, rig.user("u", world.acme, [world.north]), pool)
        asked = reader.waits()
        rig.write(world.south)
        world.drain()
        rig.write(world.far)
        world.drain()
        assert not asked.done()
        rig.write(world.north)
        world.drain()

        status, answer = asked.result(LONG - 5)

        assert status == 200
        assert [event["site_id"] for event in answer["results"]] == [world.north.pk]
        assert answer["position"] == answer["head"] == 2
        assert served(web) == 2  # what is out of scope woke nobody

    def test_ends_empty_at_its_deadline_beyond_what_was_hidden(
        self, rig: Rig, pool: ThreadPoolExecutor
    ) -> None:
        web, world = rig.web(), rig.world
        reader = Reader(web, rig.user("u", world.acme, [world.north]), pool)
        asked = reader.waits(3)
        rig.write(world.south, 5)
        world.drain()

        status, answer = asked.result(30)

        assert (status, answer["results"], answer["position"]) == (200, [], 5)

    def test_needs_no_redis(self, rig: Rig, pool: ThreadPoolExecutor) -> None:
        web = rig.web(redis_url=f"redis://127.0.0.1:{free_port()}/0")
        asked = Reader(web, rig.user("u", rig.world.acme), pool).waits()
        rig.write(rig.world.north)
        rig.world.drain()

        status, answer = asked.result(LONG - 5)

        assert (status, len(answer["results"])) == (200, 1)

    def test_gives_nothing_to_who_lost_the_right_meanwhile(
        self, rig: Rig, pool: ThreadPoolExecutor
    ) -> None:
        web, world = rig.web(), rig.world
        user = rig.user("u", world.acme)
        asked = Reader(web, user, pool).waits()
        Membership.objects.filter(user=user).update(capabilities=[])
        rig.write(world.north)
        world.drain()

        assert asked.result(LONG - 5)[0] == 403

    @pytest.mark.parametrize("end", ["an event", "its deadline"])
    def test_is_410_for_who_saw_other_sites_when_it_began(
        self, rig: Rig, pool: ThreadPoolExecutor, end: str
    ) -> None:
        web, world = rig.web(), rig.world
        user = rig.user("u", world.acme, [world.north])
        asked = Reader(web, user, pool).waits(LONG if end == "an event" else 3)
        Membership.objects.get(user=user).sites.set([world.north, world.south])
        if end == "an event":
            rig.write(world.north)
            world.drain()

        status, problem = asked.result(LONG - 5)

        assert (status, problem["reason"]) == (410, "scope")

    def test_ends_when_the_server_stops(self, rig: Rig, pool: ThreadPoolExecutor) -> None:
        web = rig.web()
        asked = Reader(web, rig.user("u", rig.world.acme), pool).waits()
        web.terminate()

        status, answer = asked.result(LONG - 5)

        assert (status, answer["results"]) == (200, [])
        assert web.process.wait(LONG - 5) == 0


class TestWhatItHolds:
    def test_is_neither_a_thread_nor_a_connection_of_the_database(
        self, rig: Rig, pool: ThreadPoolExecutor
    ) -> None:
        web = rig.web(FEED_POLLS_PER_USER=40, NOC_INSTANCE="polled")
        reader = Reader(web, rig.user("u", rig.world.acme), pool)
        reader.waits()
        process = psutil.Process(web.process.pid)
        asked = [reader.waits() for _ in range(20)]
        count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'polled'"
        with psycopg.connect(database_url(), autocommit=True) as look:

            def held() -> bool:
                (sessions,) = look.execute(count).fetchone() or (99,)
                return sessions <= 4 and process.num_threads() < 20  # the hub's own, and idle ones

            until(held, seconds=15, what="nothing is held")
        assert not any(each.done() for each in asked)
        rig.write(rig.world.north)
        rig.world.drain()
        assert {each.result(LONG)[0] for each in asked} == {200}
        connections.close_all()

    def test_is_a_thread_and_a_connection_for_a_few_when_an_event_wakes_all(
        self, rig: Rig, pool: ThreadPoolExecutor
    ) -> None:
        web, world = rig.web(FEED_POLLS_PER_USER=40, NOC_INSTANCE="woken"), rig.world
        reader = Reader(web, rig.user("u", world.acme), pool)
        asked = [reader.waits() for _ in range(3 * POLL_ANSWERS)]
        rig.write(world.north)
        count = """
            SELECT count(*) FROM pg_stat_activity
             WHERE application_name = 'woken' AND wait_event = 'relation'
        """
        with (
            psycopg.connect(database_url()) as lock,
            psycopg.connect(database_url(), autocommit=True) as look,
        ):

            def held() -> int:
                (sessions,) = look.execute(count).fetchone() or (0,)
                return int(sessions)

            lock.execute("LOCK TABLE tenancy_membership")  # every request reads it
            world.drain()
            until(lambda: held() >= POLL_ANSWERS, seconds=30, what="the polls are served again")
            # Others come after all were woken, need no turn, and are served meanwhile.
            assert {web.request("GET", EVENTS, {})[0] for _ in asked} == {401}
            assert held() == POLL_ANSWERS
            lock.rollback()

        answers = [each.result(LONG) for each in asked]
        assert {(status, len(answer["results"])) for status, answer in answers} == {(200, 1)}

    def test_is_one_of_a_users_limited_places(self, rig: Rig, pool: ThreadPoolExecutor) -> None:
        web, world = rig.web(FEED_POLLS_PER_USER=1), rig.world
        user = rig.user("u", world.acme)
        first, second = Reader(web, user, pool), Reader(web, user, pool)
        asked = first.waits()

        status, problem = second.ask(LONG)
        assert status == 429
        assert "end one" in problem["detail"]
        rig.write(world.north)
        world.drain()
        assert asked.result(LONG)[0] == 200
        assert second.ask(0)[0] == 200
        second.position = 1
        assert second.ask(0.1)[0] == 200  # the place is free again

    def test_is_given_back_when_the_client_goes(self, rig: Rig, pool: ThreadPoolExecutor) -> None:
        web = rig.web(FEED_POLLS_PER_USER=1)
        reader = Reader(web, rig.user("u", rig.world.acme), pool)
        with client_that_goes(web, reader.headers):
            until(lambda: served(web) > 0, seconds=30, what="the poll waits")

        until(lambda: reader.ask(0.1)[0] == 200, seconds=15, what="its place is free")


def test_what_was_answered_is_sent_when_the_log_cannot_be_read(
    database: None, redis_url: str, pool: ThreadPoolExecutor
) -> None:
    go_on = threading.Event()
    cancel = """
        SELECT pg_cancel_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock'
    """
    with (
        served_world() as world,
        redis.Redis.from_url(redis_url) as broker,
        psycopg.connect(database_url()) as lock,
        psycopg.connect(database_url(), autocommit=True) as look,
    ):
        headers = token_of(world.user("u"))
        # The feed's threads are busy, so the server cannot wait before the log is locked.
        for _ in range(feed_database.THREADS):
            busy = feed_database.run(go_on.wait, 30)
            asyncio.run_coroutine_threadsafe(busy, world.server.loop)
        asked = pool.submit(answer_of, f"{world.server.http}{EVENTS}?wait={LONG}", headers)
        group = f"asgi__group__noc_tenant_{world.acme.pk}".encode()
        until(lambda: group in broker.pubsub_channels("*"), seconds=30, what="it begins to wait")
        lock.execute("LOCK TABLE outbox_stream")
        go_on.set()

        def answered() -> bool:
            look.execute(cancel)  # whoever reads the log fails, as long as it is locked
            return asked.done()

        until(answered, seconds=15, what="the poll is answered")
        assert asked.result() == (200, [])
        lock.rollback()


def answer_of(url: str, headers: dict[str, str]) -> tuple[int, Any]:
    """Return the status and the results."""
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - ours
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - ours
            return answer.status, json.load(answer)["results"]
    except urllib.error.HTTPError as error:
        with error:
            return error.code, None


@contextmanager
def client_that_goes(web: WebProcess, headers: dict[str, str]) -> Iterator[None]:
    client = http.client.HTTPConnection("127.0.0.1", web.port)
    client.request("GET", f"{EVENTS}?wait={LONG}", headers=headers)
    try:
        yield
    finally:
        client.close()
