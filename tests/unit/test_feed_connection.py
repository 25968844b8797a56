"""One connection over a real log: what its client is sent, and that nothing can hold it."""

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from django.db import connection as database_connection

from apps.noc.feed import database
from apps.noc.feed.admission import Grant
from apps.noc.feed.bye import DRAIN, RESUME_HERE, Bye
from apps.noc.feed.connection import Connection
from apps.noc.feed.inbound import Resume
from apps.noc.feed.outlet import Texts
from apps.noc.feed.pages import PAGE_EVENTS, Pages
from apps.noc.feed.parts import Parts
from apps.noc.feed.ring import Budget
from apps.noc.feed.stream import Stream
from apps.noc.figures.delays import Delays
from apps.noc.receipts.store import Part
from tests.unit.feed_log import OTHER_EPOCH, SET_EPOCH, STREAM, record, recorded, run, settle, write

FAR = 1e9  # seconds; whatever is due by the clock is due then


def grant(sites: frozenset[int] | None) -> Grant:
    return Grant(
        user_id=1, tenant_id=7, sites=sites, kind="token", key="", password="", scope_seq=None
    )


class Watched:
    """A connection whose client notes what it is sent, while it reads."""

    def __init__(
        self,
        stream: Stream,
        *,
        sites: frozenset[int] | None = None,
        pages: Pages | None = None,
    ) -> None:
        self.frames: list[dict[str, Any]] = []
        self.parts: dict[int, Part] = {}
        self.reads = asyncio.Event()
        self.reads.set()
        self._came = asyncio.Condition()
        self.connection = Connection(
            session=UUID(int=1),
            grant=grant(sites),
            stream=stream,
            pages=pages or Pages(),
            outlet=Texts(self._send),
            parts=Parts(
                process=UUID(int=2),
                session=UUID(int=1),
                grant=grant(sites),
                changed=lambda part: self.parts.update({part.part: part}),
            ),
            delays=Delays(),
        )
        stream.connections.add(self.connection)

    async def _send(self, message: dict[str, Any]) -> None:
        await self.reads.wait()
        async with self._came:
            self.frames.append(json.loads(message["text"]))
            self._came.notify_all()

    def serve(self, after_seq: int | None = None, epoch: str = "") -> asyncio.Task[Bye]:
        start = None if after_seq is None else Resume(after_seq, epoch)
        return asyncio.create_task(self.connection.run(start))

    async def told(self, kind: str) -> dict[str, Any]:
        """Return the first frame of this type, when it has come."""
        async with self._came:
            await self._came.wait_for(lambda: any(f["type"] == kind for f in self.frames))
        return next(frame for frame in self.frames if frame["type"] == kind)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if "prev" in frame]


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], threading.Event]]:
    """A function that freezes the log for the feed until the event that it returns is set."""
    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr(database, "_pool", pool)
        thawed: list[threading.Event] = []

        def freeze() -> threading.Event:
            thaw = threading.Event()
            thawed.append(thaw)
            pool.submit(thaw.wait, 20)
            return thaw

        yield freeze
        for thaw in thawed:
            thaw.set()
        pool.submit(lambda: database_connection.close()).result(15)


def story(begin: int, told: Callable[[Stream], Coroutine[Any, Any, None]]) -> None:
    """Run with a stream that began at this number."""
    record(1, begin)

    async def whole() -> None:
        stream = Stream(STREAM, Budget(10**9), lambda name: None)
        await stream.start()
        await told(stream)

    run(whole)


@pytest.mark.usefixtures("database")
class TestEnd:
    def test_comes_although_the_log_does_not_answer(
        self, frozen: Callable[[], threading.Event]
    ) -> None:
        async def told(stream: Stream) -> None:
            watched = Watched(stream)
            thaw = frozen()
            served = watched.serve(0, stream.epoch)
            await settle()
            watched.connection.end(Bye(DRAIN, "enough"))

            assert (await served).code == DRAIN
            assert not thaw.is_set()
            assert watched.events == []

        story(5, told)

    def test_comes_although_the_client_does_not_read(self) -> None:
        async def told(stream: Stream) -> None:
            watched = Watched(stream)
            watched.reads.clear()
            served = watched.serve()
            await settle()
            watched.connection.end(Bye(DRAIN, "enough"))

            assert (await served).code == DRAIN
            assert watched.frames == []

        story(5, told)

    def test_of_a_server_that_stops_is_no_goodbye(self) -> None:
        async def told(stream: Stream) -> None:
            watched = Watched(stream)
            served = watched.serve()
            await watched.told("synced")
            served.cancel()

            with pytest.raises(asyncio.CancelledError):
                await served

        story(5, told)

    def test_told_afterwards_does_not_disturb_the_goodbye(self) -> None:
        async def told(stream: Stream) -> None:
            watched = Watched(stream)

            async def whole() -> int:
                bye = await watched.connection.run(None)
                watched.connection.end(Bye(DRAIN, "too late"))
                await settle()
                return bye.code

            served = asyncio.create_task(whole())
            await watched.told("synced")
            watched.connection.regrant(grant(frozenset({1})))

            assert await served == RESUME_HERE

        story(5, told)


@pytest.mark.usefixtures("database")
class TestScope:
    def test_changed_while_a_page_is_read_lets_nothing_of_it_pass(
        self, frozen: Callable[[], threading.Event]
    ) -> None:
        async def told(stream: Stream) -> None:
            watched = Watched(stream)
            thaw = frozen()
            served = watched.serve(0, stream.epoch)
            await settle()
            watched.connection.regrant(grant(frozenset({1})))
            thaw.set()

            assert (await served).code == RESUME_HERE
            assert [frame["type"] for frame in watched.frames] == ["hello", "reset"]

        story(5, told)

    def test_leaves_no_gap_over_pages_and_ring(self) -> None:
        begin, last = 2 * PAGE_EVENTS + 10, 2 * PAGE_EVENTS + 100

        async def told(stream: Stream) -> None:
            stream.offer(await recorded(begin + 1, last))
            watched = Watched(stream, sites=frozenset({1}))
            served = watched.serve(3, stream.epoch)
            synced = await watched.told("synced")
            served.cancel()

            seen = [seq for seq in range(4, last + 1) if seq % 3 == 1]
            assert [event["seq"] for event in watched.events] == seen
            assert [event["prev"] for event in watched.events] == [3, *seen[:-1]]
            assert synced["seq"] == last
            assert [(part.start_seq, part.sent_seq) for part in watched.parts.values()] == [
                (3, last)
            ]

        story(begin, told)


@pytest.mark.usefixtures("database")
class TestSynced:
    def test_is_told_at_the_head_of_the_log_although_nobody_told_of_it(self) -> None:
        async def told(stream: Stream) -> None:
            await database.run(record, 6, 8)
            watched = Watched(stream)
            served = watched.serve(7, stream.epoch)
            synced = await watched.told("synced")
            served.cancel()

            assert [event["seq"] for event in watched.events] == [8]
            assert synced["seq"] == 8

        story(5, told)


@pytest.mark.usefixtures("database")
class TestReplacedLog:
    def test_sends_nothing_of_the_one_before(self) -> None:
        async def told(stream: Stream) -> None:
            stream.offer(await recorded(6, 8))
            await database.run(lambda: write(SET_EPOCH, epoch=OTHER_EPOCH))
            watched = Watched(stream)
            served = watched.serve(5, OTHER_EPOCH)
            await watched.told("reset")
            served.cancel()

            assert {event["epoch"] for event in watched.events} <= {OTHER_EPOCH}

        story(5, told)

    def test_forgets_pages_of_the_one_before(self) -> None:
        async def told(stream: Stream) -> None:
            kept = Pages()  # which outlive streams
            await kept.after(STREAM, 0)
            await database.run(lambda: write(SET_EPOCH, epoch=OTHER_EPOCH))
            later = Stream(STREAM, Budget(10**9), lambda name: None)
            await later.start()
            watched = Watched(later, pages=kept)
            served = watched.serve(0, OTHER_EPOCH)
            await watched.told("synced")
            served.cancel()

            assert [event["seq"] for event in watched.events] == [1, 2, 3, 4, 5]
            assert {event["epoch"] for event in watched.events} == {OTHER_EPOCH}

        story(5, told)


@pytest.mark.usefixtures("database")
class TestReset:
    def test_takes_the_place_away(self) -> None:
        async def told(stream: Stream) -> None:
            stream.offer(await recorded(6, 8))
            watched = Watched(stream)
            served = watched.serve(5, stream.epoch)
            await watched.told("synced")
            watched.connection.request(Resume(5, OTHER_EPOCH))
            await watched.told("reset")
            watched.connection.tick(FAR, slow_seconds=60)
            ping = await watched.told("ping")
            watched.connection.ack(8)  # of a snapshot, perhaps of another log
            served.cancel()

            assert ping["pos"] == 0
            assert [part.acked_seq for part in watched.parts.values()] == [5]

        story(5, told)
