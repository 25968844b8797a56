"""Clients that do not read, read slowly, or vanish: nobody else notices, and nothing is left."""

import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import redis
from django.contrib.auth.models import User

from apps.noc.feed import database as pool
from tests.integration.feed_crowd import Watcher, all_of
from tests.integration.feed_rig import Rig, rig_on, token_of
from tests.integration.feed_wires import RawClient
from tests.integration.processes import until
from tests.integration.web_process import WebProcess

BACKLOG = 6_000  # events: more than the buffers of both systems take
SLOW_SECONDS = 2
# In proportion to 2 KB/s and the 60 s of production.
BYTES_PER_SECOND = 60_000
SLOW_BACKLOG = 900  # events, about 600 KB


@pytest.fixture
def rig(database: None, redis_url: str, tmp_path: Path) -> Iterator[Rig]:
    with rig_on(tmp_path, redis_url) as rig:
        yield rig


@pytest.fixture
def web(rig: Rig) -> WebProcess:
    return rig.web(
        FEED_SLOW_SECONDS=SLOW_SECONDS, FEED_LINGER_SECONDS=0.2, FEED_SOCKETS_PER_USER=100
    )


@pytest.fixture
def user(rig: Rig) -> User:
    return rig.user("operator", rig.world.acme)


@pytest.fixture
def raw(rig: Rig, web: WebProcess, user: User) -> Iterator[Callable[..., RawClient]]:
    """Return what makes a client that starts before the first event."""
    made: list[RawClient] = []

    def make(**options: int) -> RawClient:
        query = f"?after_seq=0&epoch={rig.world.head().epoch}"
        made.append(RawClient(web, token_of(user), query, **options))
        return made[-1]

    yield make
    for client in made:
        client.socket.close()


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        yield client


def write(rig: Rig, count: int) -> int:
    """Write and record events of acme; return the head."""
    rig.write(rig.world.north, count)
    rig.world.drain()
    return rig.head(rig.world.north)


class TestNeverReading:
    def test_is_ended_and_holds_nobody_else(
        self,
        rig: Rig,
        web: WebProcess,
        user: User,
        raw: Callable[..., RawClient],
        record_property: Callable[[str, object], None],
    ) -> None:
        write(rig, BACKLOG)
        others: list[Watcher] = [rig.watch(web, user, returns=False) for _ in range(3)]
        all_of(others, lambda watcher: watcher.synced, what="synced")
        process = psutil.Process(web.process.pid)
        files = process.num_fds() + pool.THREADS
        bytes_before = process.memory_full_info().uss

        stuck = [raw().open() for _ in range(5)]
        bytes_stuck = process.memory_full_info().uss
        seen = []
        for _ in range(20):
            seen.append(write(rig, 1))
            all_of(others, lambda watcher: watcher.last == seen[-1], what="an event")
        until(lambda: web.metric("noc_feed_connections") == len(others), what="ended")
        until(lambda: web.sockets() == len(others), what="connections closed")
        until(lambda: process.num_fds() <= files, what="files closed")

        for client in stuck:
            client.read_to_the_end()
            assert client.received < BACKLOG * 300  # it did not get everything all the same
            assert client.close_code in (4100, None)
            if client.close_code:
                assert client.frames[-1]["code"] == 4100
        for watcher in others:
            assert watcher.seqs == seen
            assert (watcher.breaches, watcher.codes) == ([], [])
        record_property("delays in seconds", sorted(rig.delays(rig.world.acme, others))[-3:])
        record_property(
            "bytes before, with five stuck, after",
            (bytes_before, bytes_stuck, process.memory_full_info().uss),
        )


class TestReadingSlowly:
    def test_gets_everything_in_order(
        self, rig: Rig, web: WebProcess, raw: Callable[..., RawClient]
    ) -> None:
        head = write(rig, SLOW_BACKLOG)
        client = raw().open()

        client.read_slowly(BYTES_PER_SECOND, until_seq=head)

        events = [frame for frame in client.frames if "prev" in frame]
        assert [event["seq"] for event in events] == list(range(1, head + 1))
        assert not client.ended


class TestVanishing:
    def test_at_any_byte_leaves_nothing_behind(
        self,
        rig: Rig,
        web: WebProcess,
        user: User,
        raw: Callable[..., RawClient],
        redis_client: redis.Redis,
    ) -> None:
        write(rig, 100)
        first = rig.watch(web, user, returns=False)
        all_of([first], lambda watcher: watcher.synced, what="synced")
        until(lambda: redis_client.pubsub_channels("asgi*"), what="the layer is joined")
        rig.crowd.leave(first)
        until(lambda: not redis_client.pubsub_channels("asgi*"), what="the layer is left")
        process = psutil.Process(web.process.pid)
        # Each of the feed's threads keeps a database connection, from its first use on.
        files = process.num_fds() + pool.THREADS
        dice = random.Random(1)

        for number in range(60):
            client = raw()
            if number % 3 == 0:
                client.socket.sendall(client.handshake[: dice.randrange(len(client.handshake))])
            else:
                client.open()
                stop_at = dice.randrange(40_000)
                while client.received < stop_at and not client.ended:
                    client.read(min(1_000, stop_at - client.received))
                    with suppress(OSError):
                        client.socket.send(os_bytes(dice))
            client.reset()
            if number % 10 == 0:
                write(rig, 1)

        until(lambda: web.metric("noc_feed_connections") == 0, what="no connection left")
        until(lambda: web.sockets() == 0, what="connections closed")
        until(lambda: not redis_client.pubsub_channels("asgi*"), what="nothing subscribed")
        until(lambda: process.num_fds() <= files, what="files closed")
        again = rig.watch(web, user, last=0, epoch=str(rig.world.head().epoch))
        head = write(rig, 1)
        all_of([again], lambda watcher: watcher.last == head, what="served as before")
        assert again.seqs == list(range(1, head + 1))


def os_bytes(dice: random.Random) -> bytes:
    """Return a few bytes that may begin or break a frame, or nothing."""
    return dice.choice([b"", b"", b"\x81\x85", dice.randbytes(3)])
