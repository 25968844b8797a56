"""Statements for many at once: while one runs, what comes waits together for the next."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from typing import Generic, TypeVar

from apps.noc.feed import database

Item = TypeVar("Item")


class Batch(Generic[Item]):
    """
    Calls ``function`` in the feed's threads with all that was asked for meanwhile.

    It returns those of the items that are granted. When it fails, all who wait are told.
    """

    def __init__(self, function: Callable[[Sequence[Item]], Collection[Item]]) -> None:
        self._function = function
        self._waiting: dict[Item, asyncio.Future[bool]] = {}
        self._task: asyncio.Task[None] | None = None

    async def ask(self, item: Item) -> bool:
        """Tell whether ``item`` is granted; raises what the function raised."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting[item] = answer
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        while self._waiting:
            # Who has stopped waiting asks for nothing more.
            asked = {item: answer for item, answer in self._waiting.items() if not answer.done()}
            self._waiting = {}
            try:
                granted = await database.run(self._function, list(asked))
            except BaseException as error:
                for answer in asked.values():
                    if not answer.done():
                        answer.set_exception(error)
                        answer.exception()  # who asked may have gone
                if not isinstance(error, Exception):
                    raise
            else:
                for item, answer in asked.items():
                    if not answer.done():
                        answer.set_result(item in granted)
