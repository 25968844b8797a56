"""What many ask for at once: each has an answer that is his own, and no answer is older than he."""

import asyncio
import threading
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest

from apps.noc.feed import database
from apps.noc.feed.batch import Batch
from apps.noc.feed.stream import Latest
from outbox.log import Head
from tests.unit.feed_log import run, settle

EPOCH = UUID("97f4b8b3-04bc-4811-8b0c-2d95a0be7069")
WAIT_SECONDS = 10


class Gate:
    """A function for threads of the feed that lets its calls go on one by one."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self._open = threading.Semaphore(0)
        self._noted = threading.Condition()

    def let(self, calls: int = 1) -> None:
        self._open.release(calls)

    def pass_(self, asked: Any) -> int:
        """Note the call, wait, and return how many calls were noted before."""
        with self._noted:
            self.calls.append(asked)
            number = len(self.calls)
            self._noted.notify_all()
        assert self._open.acquire(timeout=WAIT_SECONDS)
        return number

    async def called(self, times: int) -> None:
        await asyncio.to_thread(self._wait_for, times)

    def _wait_for(self, times: int) -> None:
        with self._noted:
            assert self._noted.wait_for(lambda: len(self.calls) >= times, WAIT_SECONDS)


class TestBatch:
    def test_asks_together_for_all_who_came_while_it_asked(self) -> None:
        gate = Gate()

        def even(items: Sequence[int]) -> list[bool]:
            gate.pass_(list(items))
            return [item % 2 == 0 for item in items]

        async def story() -> None:
            batch = Batch(even)
            first = asyncio.create_task(batch.ask(1))
            await gate.called(1)
            others = [asyncio.create_task(batch.ask(number)) for number in (2, 3, 4)]
            await settle()
            gate.let(2)

            assert await first is False
            assert [await other for other in others] == [True, False, True]

        run(story)
        assert gate.calls == [[1], [2, 3, 4]]

    def test_tells_all_who_waited_that_it_failed_and_goes_on(self) -> None:
        gate = Gate()

        def fails_once(items: Sequence[int]) -> Sequence[int]:
            if gate.pass_(list(items)) == 1:
                raise ValueError("no")
            return items

        async def story() -> None:
            batch = Batch(fails_once)
            first = asyncio.create_task(batch.ask(1))
            await gate.called(1)
            second = asyncio.create_task(batch.ask(2))
            await settle()
            gate.let(2)

            with pytest.raises(ValueError, match="no"):
                await first
            assert await second == 2

        run(story)

    def test_does_not_ask_for_who_has_stopped_waiting(self) -> None:
        gate = Gate()

        def all_of(items: Sequence[int]) -> Sequence[int]:
            gate.pass_(list(items))
            return items

        async def story() -> None:
            batch = Batch(all_of)
            asked = [asyncio.create_task(batch.ask(1))]
            await gate.called(1)
            asked += [asyncio.create_task(batch.ask(number)) for number in (2, 3)]
            await settle()
            asked[1].cancel()
            await settle()
            gate.let(2)

            assert await asked[2] == 3

        run(story)
        assert gate.calls == [[1], [3]]


class TestLatest:
    def test_never_answers_with_a_reading_that_began_before_the_question(self) -> None:
        gate = Gate()

        async def read() -> Head:
            number = await database.run(gate.pass_, "read")
            return Head(EPOCH, number, number, 1)

        async def story() -> None:
            latest = Latest(read)
            first = [asyncio.create_task(latest.get()) for _ in range(3)]
            await gate.called(1)
            during = [asyncio.create_task(latest.get()) for _ in range(3)]
            await settle()
            gate.let()
            await gate.called(2)
            later = [asyncio.create_task(latest.get()) for _ in range(3)]
            await settle()
            gate.let(2)

            numbers = [
                {(await each).last_seq for each in group} for group in (first, during, later)
            ]
            assert numbers[1] == {2}
            assert numbers[2] == {3}
            assert numbers[0] <= {1, 2}

        run(story)

    def test_reads_again_when_all_is_told(self) -> None:
        gate = Gate()
        gate.let(2)

        async def read() -> Head:
            number = await database.run(gate.pass_, "read")
            return Head(EPOCH, number, number, 1)

        async def story() -> None:
            latest = Latest(read)

            assert [(await latest.get()).last_seq, (await latest.get()).last_seq] == [1, 2]

        run(story)

    def test_tells_of_a_failure_and_reads_again(self) -> None:
        answers: list[Any] = [ValueError("no"), Head(EPOCH, 7, 7, 1)]

        async def read() -> Head:
            await asyncio.sleep(0)
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        async def story() -> None:
            latest = Latest(read)
            first = asyncio.create_task(latest.get())
            await settle()
            with pytest.raises(ValueError, match="no"):
                await first

            assert (await latest.get()).last_seq == 7

        run(story)

    def test_goes_on_reading_for_the_others_when_one_stops_waiting(self) -> None:
        gate = Gate()

        async def read() -> Head:
            number = await database.run(gate.pass_, "read")
            return Head(EPOCH, number, number, 1)

        async def story() -> None:
            latest = Latest(read)
            one, other = (asyncio.create_task(latest.get()) for _ in range(2))
            await gate.called(1)
            one.cancel()
            await settle()
            gate.let(2)

            assert (await other).last_seq in (1, 2)

        run(story)
