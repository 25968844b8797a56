"""One tenant's events in this process: in order, without a hole, whatever is told of them."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

import pytest

from apps.noc.feed import database, stream
from apps.noc.feed.ring import Budget
from apps.noc.feed.stream import JUMP_EVENTS, Stream
from apps.noc.feed.wire import Event
from tests.unit.feed_log import (
    OTHER_EPOCH,
    SET_EPOCH,
    SET_HEAD,
    STREAM,
    counted,
    log_reads,
    quiet,
    record,
    recorded,
    run,
    settle,
    write,
)

Story = Callable[["Followed"], Coroutine[Any, Any, None]]
BEGAN = 5  # the head when the stream begins


class Followed:
    """A stream with what it told of its log and how often it read slices of it."""

    def __init__(self) -> None:
        self.replaced: list[str] = []
        self.budget = Budget(10**9)
        self.stream = Stream(STREAM, self.budget, self.replaced.append)
        self._reads = log_reads("gap")

    @property
    def reads(self) -> int:
        return int(log_reads("gap") - self._reads)

    @property
    def ring(self) -> tuple[int, int]:
        return self.stream.ring.base, self.stream.ring.head

    @property
    def epochs(self) -> set[str]:
        return {event.epoch for event in self.stream.ring.after(self.stream.ring.base, 10**6) or ()}

    async def told(self, first: int, last: int) -> list[Event]:
        """Record events; return them as messages would tell, not counted as reads."""
        events = await recorded(first, last)
        self._reads += 1
        return events


def follow(story: Story, *, start: bool = True) -> None:
    """Run the story with a stream that began at the number ``BEGAN``."""
    record(1, BEGAN)

    async def whole() -> None:
        followed = Followed()
        if start:
            await followed.stream.start()
        await story(followed)

    run(whole)


@pytest.mark.usefixtures("database")
class TestStart:
    def test_is_at_the_head(self) -> None:
        async def story(it: Followed) -> None:
            assert it.ring == (BEGAN, BEGAN)
            assert it.stream.current().last_seq == BEGAN

        follow(story)

    def test_takes_what_was_told_before_it(self) -> None:
        async def story(it: Followed) -> None:
            events = await it.told(BEGAN + 1, BEGAN + 2)
            await database.run(lambda: write(SET_HEAD, last=BEGAN))  # as it was a moment before
            it.stream.offer(events)
            await it.stream.start()
            await quiet()

            assert it.ring == (BEGAN, BEGAN + 2)
            assert it.reads == 0

        follow(story, start=False)

    def test_takes_nothing_of_another_log(self) -> None:
        async def story(it: Followed) -> None:
            events = await it.told(BEGAN + 1, BEGAN + 1)
            await database.run(lambda: write(SET_HEAD, last=BEGAN))
            it.stream.offer([replace(event, epoch=OTHER_EPOCH) for event in events])
            await it.stream.start()
            await quiet()
            assert it.ring == (BEGAN, BEGAN)
            it.stream.offer(events)

            assert it.epochs == {events[0].epoch}

        follow(story, start=False)

    def test_that_failed_is_tried_again(self) -> None:
        async def story(it: Followed) -> None:
            rename = "ALTER TABLE outbox_stream RENAME TO away_for_a_while"
            await database.run(lambda: write(rename))
            try:
                with pytest.raises(stream.Error):
                    await it.stream.start()
            finally:
                await database.run(
                    lambda: write("ALTER TABLE away_for_a_while RENAME TO outbox_stream")
                )

            assert (await it.stream.start()).last_seq == BEGAN

        follow(story, start=False)


@pytest.mark.usefixtures("database")
class TestOrder:
    def test_is_made_of_what_comes_swapped_or_twice_without_the_log(self) -> None:
        async def story(it: Followed) -> None:
            first, second, third = await it.told(BEGAN + 1, BEGAN + 3)
            it.stream.offer([third, second])
            await settle()
            assert it.ring == (BEGAN, BEGAN)
            it.stream.offer([third, first, second, first])
            await quiet()

            assert it.ring == (BEGAN, BEGAN + 3)
            assert it.reads == 0

        follow(story)

    def test_is_filled_from_the_log_in_one_read(self) -> None:
        async def story(it: Followed) -> None:
            events = await it.told(BEGAN + 1, BEGAN + 9)
            it.stream.offer([events[4], events[8]])
            await quiet()

            assert it.ring == (BEGAN, BEGAN + 9)
            assert it.reads == 2  # before each of the two

        follow(story)

    def test_is_filled_up_to_the_head_that_was_looked_at(self) -> None:
        async def story(it: Followed) -> None:
            [event, _] = await it.told(BEGAN + 1, BEGAN + 2)
            assert it.stream.see_head(event.epoch, BEGAN + 2)
            await quiet()

            assert it.ring == (BEGAN, BEGAN + 2)
            assert it.reads == 1

        follow(story)

    def test_needs_no_log_when_the_message_follows_the_look(self) -> None:
        async def story(it: Followed) -> None:
            events = await it.told(BEGAN + 1, BEGAN + 2)
            it.stream.see_head(events[0].epoch, BEGAN + 2)
            await settle()
            it.stream.offer(events)
            await quiet()

            assert it.reads == 0

        follow(story)


@pytest.mark.usefixtures("database")
class TestJump:
    def test_moves_the_base(self) -> None:
        async def story(it: Followed) -> None:
            last = BEGAN + JUMP_EVENTS + 1
            await database.run(record, BEGAN + 1, last)
            before = counted("noc_feed_gaps_total", cause="jump")
            it.stream.see_head(it.stream.epoch, last)
            await quiet()

            assert it.ring == (last, last)
            assert it.reads == 0
            assert counted("noc_feed_gaps_total", cause="jump") == before + 1

        follow(story)

    def test_is_not_made_on_the_word_of_a_message(self) -> None:
        async def story(it: Followed) -> None:
            events = await it.told(BEGAN + 1, BEGAN + 2)
            it.stream.offer([replace(events[0], seq=1_000_000)])
            await quiet()
            assert it.ring == (BEGAN, BEGAN + 2)
            [event] = await it.told(BEGAN + 3, BEGAN + 3)
            it.stream.offer([event])
            await quiet()

            assert it.ring == (BEGAN, BEGAN + 3)
            assert it.replaced == []

        follow(story)


@pytest.mark.usefixtures("database")
class TestReplaced:
    def test_is_seen_by_another_epoch(self) -> None:
        async def story(it: Followed) -> None:
            await database.run(lambda: write(SET_EPOCH, epoch=OTHER_EPOCH))
            it.stream.see_head(OTHER_EPOCH, BEGAN)
            await quiet()

            assert (it.stream.generation, it.stream.epoch) == (1, OTHER_EPOCH)
            assert it.replaced == [STREAM]

        follow(story)

    def test_is_seen_by_a_head_that_fell(self) -> None:
        async def story(it: Followed) -> None:
            it.stream.offer(await it.told(BEGAN + 1, BEGAN + 2))
            it.stream.see_head(it.stream.epoch, BEGAN + 2)
            await database.run(lambda: write(SET_HEAD, last=BEGAN + 1))
            it.stream.see_head(it.stream.epoch, BEGAN + 1)
            await quiet()

            assert it.stream.generation == 1
            assert it.ring == (BEGAN + 1, BEGAN + 1)

        follow(story)

    def test_is_not_believed_to_a_look_that_came_late(self) -> None:
        async def story(it: Followed) -> None:
            it.stream.offer(await it.told(BEGAN + 1, BEGAN + 2))
            it.stream.see_head(it.stream.epoch, BEGAN + 2)
            it.stream.see_head(it.stream.epoch, BEGAN + 1)
            await quiet()

            assert it.stream.generation == 0
            assert it.ring == (BEGAN, BEGAN + 2)

        follow(story)

    def test_is_not_believed_to_a_message_of_long_ago(self) -> None:
        async def story(it: Followed) -> None:
            [event] = await it.told(BEGAN + 1, BEGAN + 1)
            it.stream.offer([replace(event, epoch=OTHER_EPOCH)])
            await quiet()
            assert it.ring == (BEGAN, BEGAN)
            it.stream.offer([event])

            assert it.stream.generation == 0
            assert it.epochs == {event.epoch}

        follow(story)

    def test_is_told_by_whoever_looks_at_the_head(self) -> None:
        async def story(it: Followed) -> None:
            await database.run(lambda: write(SET_EPOCH, epoch=OTHER_EPOCH))
            assert str((await it.stream.head_now()).epoch) == OTHER_EPOCH
            await quiet()

            assert it.stream.generation == 1

        follow(story)


@pytest.mark.usefixtures("database")
class TestClosed:
    def test_holds_nothing_whatever_comes(self) -> None:
        async def story(it: Followed) -> None:
            events = await it.told(BEGAN + 1, BEGAN + 3)
            it.stream.offer([events[0], events[2]])
            it.stream.close()
            await quiet()
            it.stream.offer(events)
            it.stream.see_head(it.stream.epoch, BEGAN + 3)
            await quiet()

            assert (it.budget.used_bytes, it.budget.rings) == (0, set())
            assert it.reads == 0

        follow(story)

    def test_does_not_disturb_who_waits_for_the_start(self) -> None:
        async def story(it: Followed) -> None:
            waits = asyncio.create_task(it.stream.start())
            await settle()
            it.stream.close()

            assert (await waits).last_seq == BEGAN

        follow(story, start=False)
