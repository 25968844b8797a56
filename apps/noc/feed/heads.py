"""One query every two seconds for all sockets of a process: how far each tenant's log goes.

It finds what the layer lost when nothing follows it, and it is the way of delivery while Redis is
down. What it reports is held back for a moment, since usually the layer's message is under way.
"""

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

from apps.noc.feed import database
from outbox import log

logger = logging.getLogger(__name__)

EVERY_SECONDS = 2.0
HOLD_BACK_SECONDS = 0.2

# Called with the epoch, the head, and whether the head fell (the database was restored).
Watcher = Callable[[str, int, bool], None]


class Heads:
    """The watchers of one event loop. It asks the database only while there are any."""

    def __init__(self) -> None:
        self._watchers: defaultdict[str, set[Watcher]] = defaultdict(set)
        self._seen: dict[str, int] = {}
        self._task: asyncio.Task[None] | None = None

    @contextmanager
    def watching(self, stream: str, watcher: Watcher) -> Iterator[None]:
        """Call ``watcher`` after each look while the block runs."""
        self._watchers[stream].add(watcher)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="feed-heads")
        try:
            yield
        finally:
            self._watchers[stream].discard(watcher)
            if not self._watchers[stream]:
                del self._watchers[stream]
                self._seen.pop(stream, None)
            if not self._watchers:
                self._task.cancel()
                self._task = None

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(EVERY_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311
            try:
                found = await database.run(log.heads, list(self._watchers))
            except Exception:  # whatever it is, the next look is in two seconds
                logger.warning("The heads of the log could not be read", exc_info=True)
                continue
            for stream, (epoch, head) in found.items():
                fell = head < self._seen.get(stream, 0)
                self._seen[stream] = head
                loop.call_later(HOLD_BACK_SECONDS, self._tell, stream, str(epoch), head, fell)

    def _tell(self, stream: str, epoch: str, head: int, fell: bool) -> None:
        for watcher in list(self._watchers.get(stream, ())):
            watcher(epoch, head, fell)


_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Heads] = WeakKeyDictionary()


def heads() -> Heads:
    """Return the heads of the running event loop."""
    return _by_loop.setdefault(asyncio.get_running_loop(), Heads())
