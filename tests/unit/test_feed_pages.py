"""Pages of the log: each read once for all who wait for it, and never an old one."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from apps.noc.feed import database, pages
from apps.noc.feed.pages import PAGE_EVENTS, Pages, Trimmed
from tests.unit.feed_log import (
    OTHER_EPOCH,
    SET_EPOCH,
    STREAM,
    log_reads,
    record,
    run,
    settle,
    write,
)


@pytest.fixture
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """
    Reads happen one after the other.

    The fixture calls a function after all of them, while the loop cannot go on.
    """
    with ThreadPoolExecutor(1) as pool:
        monkeypatch.setattr(database, "_pool", pool)
        yield lambda function, *values: pool.submit(function, *values).result(15)
        pool.submit(lambda: connection.close()).result(15)  # the one of that thread


@pytest.fixture
def _log(database: None) -> None:
    record(1, 3 * PAGE_EVENTS - 100)


async def seqs(read: Pages, position: int) -> list[int]:
    return [event.seq for event in await read.after(STREAM, position)]


@pytest.mark.usefixtures("_log")
class TestPages:
    @pytest.mark.parametrize(
        ("position", "first", "last"),
        [
            (0, 1, PAGE_EVENTS),
            (1, 2, PAGE_EVENTS),
            (PAGE_EVENTS - 1, PAGE_EVENTS, PAGE_EVENTS),
            (PAGE_EVENTS, PAGE_EVENTS + 1, 2 * PAGE_EVENTS),
            (2 * PAGE_EVENTS, 2 * PAGE_EVENTS + 1, 3 * PAGE_EVENTS - 100),
        ],
    )
    def test_give_what_follows_up_to_the_end_of_the_page(
        self, position: int, first: int, last: int
    ) -> None:
        async def story() -> None:
            assert await seqs(Pages(), position) == list(range(first, last + 1))

        run(story)

    def test_are_read_once_for_all_positions(self) -> None:
        async def story() -> None:
            read, before = Pages(), log_reads("page")
            found = await asyncio.gather(*(seqs(read, at) for at in range(PAGE_EVENTS)))

            assert [each[0] for each in found] == list(range(1, PAGE_EVENTS + 1))
            assert await seqs(read, 0) == list(range(1, PAGE_EVENTS + 1))
            assert log_reads("page") == before + 1

        run(story)

    def test_that_were_being_read_before_the_event_are_read_again(
        self, one_thread: Callable[..., None]
    ) -> None:
        head = 3 * PAGE_EVENTS - 100

        async def story() -> None:
            read = Pages()
            first = asyncio.create_task(seqs(read, head - 1))
            await settle()
            one_thread(record, head + 1, head + 5)

            second = await seqs(read, head)

            assert await first == [head]
            assert second == list(range(head + 1, head + 6))

        run(story)

    def test_that_have_grown_are_read_again(self) -> None:
        head = 3 * PAGE_EVENTS - 100

        async def story() -> None:
            read = Pages()
            await seqs(read, head - 1)
            await database.run(record, head + 1, head + 5)

            assert await seqs(read, head + 2) == [head + 3, head + 4, head + 5]

        run(story)

    def test_are_read_for_the_others_when_one_stops_waiting(self) -> None:
        async def story() -> None:
            read = Pages()
            one, other = (asyncio.create_task(seqs(read, at)) for at in (5, 6))
            await settle()
            one.cancel()

            assert (await other)[0] == 7

        run(story)

    def test_of_a_replaced_log_are_not_kept(self, one_thread: Callable[..., None]) -> None:
        async def story() -> None:
            read = Pages()
            first = asyncio.create_task(read.after(STREAM, 0))
            await settle()
            one_thread(lambda: write(SET_EPOCH, epoch=OTHER_EPOCH))
            read.forget(STREAM)
            old = await first

            new = await read.after(STREAM, 0)

            assert old[0].epoch != OTHER_EPOCH
            assert new[0].epoch == OTHER_EPOCH

        run(story)

    def test_that_were_forgotten_are_read_again(self) -> None:
        async def story() -> None:
            read = Pages()
            await read.after(STREAM, 0)
            await database.run(lambda: write(SET_EPOCH, epoch=OTHER_EPOCH))
            read.forget("tenant:70")
            assert (await read.after(STREAM, 0))[0].epoch != OTHER_EPOCH
            read.forget(STREAM)

            assert (await read.after(STREAM, 0))[0].epoch == OTHER_EPOCH

        run(story)

    def test_that_were_used_last_are_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        async def story() -> None:
            read, before = Pages(), log_reads("page")
            one_page = sum(event.size_bytes for event in await read.after(STREAM, 0))
            monkeypatch.setattr(pages, "KEPT_BYTES", round(2.2 * one_page))
            for page in (1, 0, 2):
                await read.after(STREAM, page * PAGE_EVENTS)
            assert log_reads("page") == before + 3

            await read.after(STREAM, 0)
            assert log_reads("page") == before + 3
            await read.after(STREAM, PAGE_EVENTS)
            assert log_reads("page") == before + 4

        run(story)


class TestTrimmed:
    def test_is_raised_before_the_oldest_event_and_beyond_the_newest(self, database: None) -> None:
        record(10, 20)

        async def story() -> None:
            read = Pages()
            for position in (3, 8, 20, 1_000):
                with pytest.raises(Trimmed):
                    await read.after(STREAM, position)
            assert await seqs(read, 9) == list(range(10, 21))

        run(story)
