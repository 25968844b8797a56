"""Statements for many at once: while one runs, what comes waits together for the next."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from apps.noc.feed import database

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batch(Generic[Item, Result]):
    """
    Calls ``function`` in the feed's threads with all that was asked for meanwhile.

    It returns one result for each, in order. When it fails, all who wait are told.
    """

    def __init__(self, function: Callable[[Sequence[Item]], Sequence[Result]]) -> None:
        self._function = function
        self._waiting: list[tuple[Item, asyncio.Future[Result]]] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, item: Item) -> Result:
        """Return the result for ``item``; raises what the function raised."""
        answer: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, answer))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        while self._waiting:
            # Who has stopped waiting asks for nothing more.
            asked = [(item, answer) for item, answer in self._waiting if not answer.done()]
            self._waiting = []
            try:
                results = await database.run(self._function, [item for item, _ in asked])
            except BaseException as error:
                for _, answer in asked:
                    if not answer.done():
                        answer.set_exception(error)
                        answer.exception()  # who asked may have gone
                if not isinstance(error, Exception):
                    raise
            else:
                for (_, answer), result in zip(asked, results, strict=True):
                    if not answer.done():
                        answer.set_result(result)
