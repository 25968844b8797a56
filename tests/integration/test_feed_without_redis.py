"""Delivery while Redis is dead, frozen, empty or out of reach, seen by clients that stay connected.

The web process reaches Redis through a proxy; the relay, in this process, reaches it directly.
"""

import statistics
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from apps.tenancy.models import Site
from tests import tcp_proxy
from tests.integration.feed_crowd import Watcher, all_of
from tests.integration.feed_rig import Rig, rig_on
from tests.integration.processes import RedisServer, until
from tests.integration.web_process import WebProcess
from tests.tcp_proxy import TcpProxy

DURING = 2  # events of each tenant, written one after the other
IN_A_ROW = 10  # events that the log did not have to make good: they came through the layer


@dataclass
class Outage:
    """A Redis with a proxy before it, a web process behind that, clients of two tenants."""

    rig: Rig
    redis: RedisServer
    proxy: TcpProxy
    web: WebProcess

    def __post_init__(self) -> None:
        world = self.rig.world
        north = [self.rig.user(f"north-{n}", world.acme, [world.north]) for n in range(2)]
        whole = [self.rig.user(f"acme-{n}", world.acme) for n in range(4)]
        other = [self.rig.user(f"other-{n}", world.other) for n in range(4)]
        self.acme = [self.rig.watch(self.web, user, returns=False) for user in (*north, *whole)]
        self.other = [self.rig.watch(self.web, user, returns=False) for user in other]
        all_of(self.everybody, lambda watcher: watcher.synced, what="synced")

    @property
    def everybody(self) -> list[Watcher]:
        return [*self.acme, *self.other]

    def deliver(self, count: int = 1) -> None:
        """Write one event of each tenant at a time, and see each arrive at every client."""
        world = self.rig.world
        for _ in range(count):
            for site in (world.north, world.far):
                self.rig.write(site)
            world.drain()
            self.arrived(world.north, self.acme)
            self.arrived(world.far, self.other)

    def arrived(self, site: Site, watchers: list[Watcher]) -> None:
        head = self.rig.head(site)
        all_of(watchers, lambda watcher: head in watcher.arrived, what=f"{head} arrives")

    def healed(self) -> float:
        """Return how often the log had to make good what the layer had not brought."""
        return self.web.metric("noc_feed_gaps_total")

    def go_live(self) -> None:
        """Write until several events in a row came through the layer."""
        world = self.rig.world
        streak = 0

        def live() -> bool:
            nonlocal streak
            before = self.healed()
            self.deliver()
            streak = streak + 1 if self.healed() == before and self._published() else 0
            return streak == IN_A_ROW

        until(live, seconds=90, what=f"{IN_A_ROW} events in a row through the layer")
        assert world.head().published_seq == world.head().last_seq

    def _published(self) -> bool:
        head = self.rig.world.head()
        return head.published_seq == head.last_seq

    def nothing_was_missed(self) -> None:
        for site, watchers in ((self.rig.world.north, self.acme), (self.rig.world.far, self.other)):
            every = list(range(1, self.rig.head(site) + 1))
            for watcher in watchers:
                assert watcher.seqs == every
                assert (watcher.breaches, watcher.codes, watcher.connects) == ([], [], 1)

    def figures(self) -> dict[str, float]:
        """Return the seconds from record to arrival over all clients."""
        world = self.rig.world
        seen = [
            *self.rig.delays(world.acme, self.acme),
            *self.rig.delays(world.other, self.other),
        ]
        return {"median": statistics.median(seen), "worst": max(seen)}


@pytest.fixture
def outage(database: None, tmp_path: Path) -> Iterator[Outage]:
    redis = RedisServer(tmp_path)
    redis.start()
    try:
        with closing(TcpProxy(redis.port)) as proxy, rig_on(tmp_path, redis.url) as rig:
            web = rig.web(redis_url=f"redis://127.0.0.1:{proxy.port}/0")
            yield Outage(rig, redis, proxy, web)
    finally:
        redis.thaw()
        redis.stop()


def restart(outage: Outage) -> None:
    outage.redis.stop()
    outage.redis.start()


# What happens to Redis, and what ends it.
OUTAGES: dict[str, tuple[Callable[[Outage], Any], Callable[[Outage], Any]]] = {
    "dead": (lambda it: it.redis.stop(), lambda it: it.redis.start()),
    "frozen": (lambda it: it.redis.freeze(), lambda it: it.redis.thaw()),
    "silent": (
        lambda it: it.proxy.set(tcp_proxy.BLACK_HOLE),
        lambda it: it.proxy.set(tcp_proxy.PASS),
    ),
    "mute": (lambda it: it.proxy.set(tcp_proxy.MUTE), lambda it: it.proxy.set(tcp_proxy.PASS)),
}
# What ends of itself: the connection is gone, and Redis is there for a new one.
LOSSES: dict[str, Callable[[Outage], Any]] = {
    "restarted empty": restart,
    "half open": lambda it: it.proxy.lose(),
}


class TestDelivery:
    @pytest.mark.parametrize("kind", OUTAGES)
    def test_goes_on_from_the_log_and_is_live_again_without_a_reconnect(
        self, outage: Outage, kind: str, record_property: Callable[[str, object], None]
    ) -> None:
        begin, end = OUTAGES[kind]
        outage.go_live()
        before = outage.healed()

        begin(outage)
        outage.deliver(DURING)
        user = outage.rig.user("newcomer", outage.rig.world.acme)
        newcomer = outage.rig.watch(outage.web, user, returns=False)
        all_of([newcomer], lambda watcher: watcher.synced, what="a connect during the outage")
        outage.deliver()

        assert outage.healed() > before
        assert newcomer.seqs == [outage.rig.head(outage.rig.world.north)]
        record_property("seconds from record to arrival", outage.figures())
        end(outage)
        outage.go_live()
        outage.nothing_was_missed()

    @pytest.mark.parametrize("kind", LOSSES)
    def test_is_live_again_after_the_connection_to_redis_was_lost(
        self, outage: Outage, kind: str, record_property: Callable[[str, object], None]
    ) -> None:
        outage.go_live()

        LOSSES[kind](outage)
        outage.go_live()

        record_property("seconds from record to arrival", outage.figures())
        outage.nothing_was_missed()

    def test_works_without_redis_from_the_start(self, database: None, tmp_path: Path) -> None:
        redis = RedisServer(tmp_path)
        try:
            with rig_on(tmp_path, redis.url) as rig, closing(TcpProxy(redis.port)) as proxy:
                outage = Outage(rig, redis, proxy, rig.web())
                outage.deliver(2)
                redis.start()
                outage.go_live()
                outage.nothing_was_missed()
        finally:
            redis.stop()
