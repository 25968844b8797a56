"""A web process that is asked to end sends its clients to another one, and no event is lost."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.feed_crowd import Watcher, all_of
from tests.integration.feed_rig import Rig, rig_on
from tests.integration.processes import until

SOCKETS = 50
DRAIN_SECONDS = 2


@pytest.fixture
def rig(database: None, redis_url: str, tmp_path: Path) -> Iterator[Rig]:
    with rig_on(tmp_path, redis_url) as rig:
        yield rig


class TestDrain:
    def test_sends_everybody_to_another_process_over_a_while(
        self, rig: Rig, record_property: Callable[[str, object], None]
    ) -> None:
        ending = rig.web(FEED_SOCKETS_PER_USER=SOCKETS, FEED_DRAIN_SECONDS=DRAIN_SECONDS)
        staying = rig.web(FEED_SOCKETS_PER_USER=SOCKETS)
        world = rig.world
        users = rig.user("whole", world.acme), rig.user("part", world.acme, [world.north])
        watchers = [rig.watch(ending, users[n % 2]) for n in range(SOCKETS)]
        all_of(watchers, lambda watcher: watcher.synced, what="synced")
        for watcher in watchers:
            watcher.url = staying.ws
        newcomers: list[Watcher] = []

        def write() -> None:
            rig.write(world.north)
            world.drain()

        def ended() -> bool:
            write()
            if any(watcher.byes for watcher in watchers) and len(newcomers) < 5:
                newcomers.append(rig.watch(ending, users[0], returns=False))
            return ending.process.poll() is not None

        write()
        ending.terminate()
        until(ended, what="the process ends")
        write()
        head = rig.head(world.north)
        all_of(watchers, lambda watcher: watcher.last == head, what="at the head")
        all_of(newcomers, lambda watcher: watcher.ended, what="sent away")

        assert ending.process.returncode == 0
        for watcher in watchers:
            assert [bye["code"] for bye in watcher.byes] == watcher.codes == [4000]
            assert watcher.seqs == list(range(1, head + 1))
            assert (watcher.breaches, watcher.resets, watcher.connects) == ([], [], 2)
        waits = [watcher.byes[0]["retry_after_ms"] for watcher in watchers]
        assert len(set(waits)) > SOCKETS / 2
        assert newcomers
        for newcomer in newcomers:
            assert newcomer.unreachable or newcomer.refusals or newcomer.codes == [4000]
        record_property("retry_after_ms", (min(waits), max(waits)))

    def test_of_a_process_without_clients_ends_it(self, rig: Rig) -> None:
        web = rig.web(FEED_DRAIN_SECONDS=DRAIN_SECONDS)

        web.terminate()

        assert web.process.wait(30) == 0
