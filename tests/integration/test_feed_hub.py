"""What the sockets of one process share: one channel, one ring, one reading of the log for all."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest
import redis
import uvicorn
from asgiref.sync import sync_to_async
from channels.layers import channel_layers, get_channel_layer
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import override_settings
from prometheus_client import REGISTRY

from apps.noc.feed.pages import PAGE_EVENTS
from apps.noc.feed.stream import JUMP_EVENTS
from outbox.session import close_session
from tests.integration.feed_world import Server, Viewer, World
from tests.integration.processes import until
from tests.unit import feed_log

BULK = """
INSERT INTO helpdesk_ticket (tenant_id, site_id, ticket_no, description)
SELECT %(tenant)s, %(site)s, 'SITE001#' || n, repeat('bulk ', 40)
  FROM generate_series(1, %(count)s) n
"""


@pytest.fixture
def servers(database: None, redis_url: str) -> Iterator[list[Server]]:
    """Servers of a test; each has a hub of its own, as processes have."""
    channel_layers.backends = {}
    started: list[Server] = []
    yield started
    for server in started:
        server.stop()


@pytest.fixture
def world(servers: list[Server]) -> Iterator[World]:
    servers.append(Server())
    with ExitStack() as clients:
        yield World(servers[0], clients)


@pytest.fixture
def operator(world: World) -> User:
    return world.user("operator")


def write(world: World, count: int) -> None:
    """Create tickets in one statement."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(BULK, {"tenant": world.acme.pk, "site": world.north.pk, "count": count})


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def log_reads() -> float:
    return sum(counted("noc_feed_log_reads_total", purpose=purpose) for purpose in ("page", "gap"))


def seqs(viewer: Viewer, last: int) -> list[int]:
    """Read event frames up to number ``last``."""
    found: list[int] = []
    while not found or found[-1] < last:
        frame = viewer.next()
        if "prev" in frame:
            found.append(frame["seq"])
    return found


class TestLayer:
    def test_is_joined_once_for_all_sockets(
        self, world: World, operator: User, redis_url: str
    ) -> None:
        for _ in range(10):
            world.connect(operator).start()
        with redis.Redis.from_url(redis_url) as client:
            group = f"asgi__group__noc_tenant_{world.acme.pk}".encode()
            until(lambda: group in client.pubsub_channels("*"))

            subscribed = dict(client.pubsub_numsub(*client.pubsub_channels("*")))

        assert len(subscribed) == 3  # its channel, the tenant, the changes of rights
        assert set(subscribed.values()) == {1}

    def test_may_live_in_memory(self, world: World, operator: User) -> None:
        memory = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
        with override_settings(CHANNEL_LAYERS=memory):
            server = Server()
            try:
                world.server = server
                viewer = world.connect(operator)
                viewer.start()
                layer: Any = get_channel_layer()
                until(lambda: f"noc_tenant_{world.acme.pk}" in layer.groups)

                write(world, 3)
                # From the server's own loop: this layer is for one loop.
                drain = sync_to_async(lambda: drained(world), thread_sensitive=False)
                asyncio.run_coroutine_threadsafe(drain(), server.loop).result(15)

                assert seqs(viewer, 3) == [1, 2, 3]
                assert layer.groups
                viewer.socket.close()
            finally:
                server.stop()
        assert layer.groups == {}
        assert layer.channels == {}

    def test_may_tell_of_what_the_log_has_not(
        self, world: World, operator: User, redis_url: str
    ) -> None:
        viewer = world.connect(operator)
        viewer.start()
        write(world, 1)
        world.drain()
        [first] = [viewer.next()]
        layer = get_channel_layer()
        invented = {
            **{"type": "event_failed", "event_type": "x", "tenant_id": world.acme.pk},
            **{"seq": 99, "epoch": first["epoch"], "event_id": "e", "occurred_at": "2026-01-01"},
        }
        with redis.Redis.from_url(redis_url) as client:
            channel = f"asgi__group__noc_tenant_{world.acme.pk}"
            client.publish(channel, layer.serialize(invented))
            client.publish(channel, layer.serialize({**invented, "epoch": "another", "seq": 2}))
            client.publish(channel, layer.serialize({**invented, "tenant_id": "1", "seq": 2}))

        write_one_more(world)

        assert viewer.next()["seq"] == 2
        assert viewer.socket.protocol.state.name == "OPEN"


class TestGap:
    def test_is_read_once_for_all_sockets(self, world: World, operator: User) -> None:
        viewers = [world.connect(operator) for _ in range(8)]
        for viewer in viewers:
            viewer.start()
        before = log_reads()

        write(world, 40)
        world.record_unheard()

        assert [seqs(viewer, 40) for viewer in viewers] == [list(range(1, 41))] * 8
        assert log_reads() == before + 1

    def test_beyond_a_jump_is_left_to_pages(self, world: World, operator: User) -> None:
        count = JUMP_EVENTS + 600
        viewers = [world.connect(operator) for _ in range(3)]
        for viewer in viewers:
            viewer.start()
        before = log_reads(), counted("noc_feed_gaps_total", cause="jump")

        # At once, so that no look at the head sees a part of it.
        feed_log.write(
            *(feed_log.HEAD, feed_log.EVENTS),
            **{"stream": world.stream(world.acme), "first": 1, "last": count},
        )

        with ThreadPoolExecutor(3) as readers:  # who reads later needs pages of its own
            found = list(readers.map(lambda viewer: seqs(viewer, count), viewers))
        assert found == [list(range(1, count + 1))] * 3
        assert counted("noc_feed_gaps_total", cause="jump") == before[1] + 1
        assert log_reads() - before[0] <= count / PAGE_EVENTS + 2  # each page once for the three


class TestRing:
    def test_serves_who_comes_back_without_the_log(self, world: World, operator: User) -> None:
        viewer = world.connect(operator)
        epoch = viewer.start()["epoch"]
        write(world, 100)
        world.drain()
        seqs(viewer, 100)
        viewer.socket.close()
        before = log_reads()

        again = [
            world.connect(operator, f"?after_seq={n}&epoch={epoch}") for n in range(0, 100, 10)
        ]

        assert [seqs(viewer, 100)[0] for viewer in again] == list(range(1, 100, 10))
        assert log_reads() == before

    def test_that_is_full_gives_its_oldest_up_to_the_log(
        self, world: World, operator: User
    ) -> None:
        with override_settings(FEED={"ring_bytes": 1024 * 1024}):
            small = Server()
        try:
            world.server = small
            viewer = world.connect(operator)
            epoch = viewer.start()["epoch"]
            write(world, 2_000)
            world.drain()
            assert seqs(viewer, 2_000) == list(range(1, 2_001))

            late = world.connect(operator, f"?after_seq=0&epoch={epoch}")

            assert seqs(late, 2_000) == list(range(1, 2_001))
            viewer.socket.close()
            late.socket.close()
        finally:
            small.stop()


class TestPages:
    def test_are_read_once_for_all_who_come_to_a_new_process(
        self, world: World, operator: User
    ) -> None:
        write(world, 2 * PAGE_EVENTS)
        world.drain()
        epoch = world.head().epoch
        before = log_reads()
        starts = range(2 * PAGE_EVENTS - 120, 2 * PAGE_EVENTS - 20, 10)

        viewers = [world.connect(operator, f"?after_seq={n}&epoch={epoch}") for n in starts]

        for start, viewer in zip(starts, viewers, strict=True):
            assert seqs(viewer, 2 * PAGE_EVENTS)[0] == start + 1
        assert log_reads() == before + 1


class TestDatabase:
    def test_that_dropped_the_connections_is_asked_again(
        self, world: World, operator: User
    ) -> None:
        world.connect(operator).start()
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                "   AND backend_type = 'client backend'"
            )

        assert world.connect(operator).start()["type"] == "hello"


class TestOtherServer:
    """The feed needs nothing that ASGI has not: no extension, no lifespan."""

    def test_serves_the_same_frames(self, world: World, operator: User) -> None:
        plain = Server(make=plain_uvicorn)
        try:
            world.server = plain
            viewer = world.connect(operator)
            viewer.start()
            write(world, 5)
            world.drain()

            assert seqs(viewer, 5) == [1, 2, 3, 4, 5]
            viewer.socket.close()
        finally:
            plain.stop()


def plain_uvicorn() -> uvicorn.Server:
    from project.asgi import application

    return uvicorn.Server(
        uvicorn.Config(application, port=0, ws="websockets-sansio", lifespan="off", log_config=None)
    )


def drained(world: World) -> None:
    world.drain()
    close_session()  # of this thread
    connection.close()


def write_one_more(world: World) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE helpdesk_ticket SET status = 'IN_PROGRESS'")
    world.drain()
