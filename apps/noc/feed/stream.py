"""
One tenant's log as this process knows it: contiguity is checked here, once for all its sockets.

# Note [Hints and the log]
Messages of the channel layer are hints: they may be lost, doubled and out of order. Polls of the
log's head tell what exists. An event enters the ring only as the next one, so a socket that walks
the ring can miss nothing. What does not come within a moment is read from the log, once:
- a hint beyond the next number: the ones between may still be under way, so wait 100 ms;
- a poll beyond the ring: its hints may be under way too, so wait 200 ms.
A jump larger than a snapshot's worth of events only moves the ring's base: whoever stands before it
reads pages. A head that falls, or another epoch, means that the log itself was replaced: everything
is dropped, and every socket is told so.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

from django.db import Error

from apps.noc import metrics
from apps.noc.feed import database
from apps.noc.feed.pages import PAGE_EVENTS, slice_of
from apps.noc.feed.ring import Budget, Ring
from apps.noc.feed.wire import Event
from outbox import log

if TYPE_CHECKING:
    from apps.noc.feed.connection import Connection

logger = logging.getLogger(__name__)

REORDER_SECONDS = 0.1
HOLD_BACK_SECONDS = 0.2
JUMP_EVENTS = 5_000
STALE_SECONDS = 60.0  # the oldest number in the log, which is told at connect, moves once a day
MAX_EARLY = 5_000  # events that came before their turn; what does not fit is read from the log


class Stream:
    """The sockets of one tenant, and the events that they walk over."""

    def __init__(self, name: str, budget: Budget, replaced: Callable[[str], None]) -> None:
        self.name = name
        self.ring = Ring(budget)
        self.connections: set[Connection] = set()
        self.empty_since = 0.0  # when its last reader left, by the loop's clock
        self._watchers: set[asyncio.Event] = set()
        self.generation = 0  # rises when the log is replaced
        self.began: log.Head | None = None
        self.epoch = ""
        self._replaced = replaced
        self._closed = False
        self._known = 0  # the highest number that is said to exist
        self._polled = 0
        self._stale_at = 0.0
        self._early: dict[int, Event] = {}
        self._starting: asyncio.Task[log.Head] | None = None
        self._healing: asyncio.Task[None] | None = None
        self._heads = Latest(lambda: database.run(log.head, name))

    async def start(self) -> log.Head:
        """
        Read the head if that was not done in the last minute; return it as it is known here.

        Raises:
            django.db.Error: the log cannot be read; the next call tries again.
        """
        if self.began is None:
            if self._starting is None or self._starting.done():
                self._starting = asyncio.create_task(self._start())
            await asyncio.shield(self._starting)
        elif asyncio.get_running_loop().time() > self._stale_at:
            await self.head_now()
        return self.current()

    async def head_now(self) -> log.Head:
        """Return the head as the log has it after this call was made; act on what it tells."""
        head = await self._heads.get()
        self._stale_at = asyncio.get_running_loop().time() + STALE_SECONDS
        if self.began is not None and head.epoch == self.began.epoch:
            self.began = head
        self.see_head(str(head.epoch), head.last_seq)
        return head

    def current(self) -> log.Head:
        """Return the head as it is known here, without reading."""
        assert self.began is not None  # noqa: S101 - sockets come after the start
        began = self.began
        return log.Head(began.epoch, self.ring.head, began.published_seq, began.min_seq)

    @property
    def has_readers(self) -> bool:
        return bool(self.connections or self._watchers)

    @contextmanager
    def watched(self) -> Iterator[asyncio.Event]:
        """Yield an event that is set whenever the ring moves, or the stream ends."""
        moved = asyncio.Event()
        self._watchers.add(moved)
        try:
            yield moved
        finally:
            self._watchers.discard(moved)
            self.empty_since = asyncio.get_running_loop().time()

    def wake_watchers(self) -> None:
        for moved in self._watchers:
            moved.set()

    def close(self) -> None:
        """Fill the ring no more. Who waits for the start is not disturbed."""
        self._closed = True
        self._early.clear()
        if self._healing is not None:
            self._healing.cancel()
        self.ring.close()
        self.wake_watchers()

    # --- what arrives -----------------------------------------------------------------------

    def offer(self, events: Iterable[Event]) -> None:
        """Take events from the channel layer."""
        if self._closed:
            return
        ring = self.ring
        before = ring.head
        for event in events:
            if self.began is None:
                self._wait_for_turn(event)
            elif event.epoch != self.epoch:
                self._look_again()
            elif event.seq == ring.head + 1:
                self._enter(event)
            elif event.seq > ring.head:
                self._wait_for_turn(event)
        if self._early and self.began is not None:
            self._take_early()
            if self._known > ring.head:
                self._heal_later(REORDER_SECONDS, "lost")
        if ring.head != before:
            self._wake()

    def see_head(self, epoch: str, last_seq: int) -> bool:
        """Take the head from a look at the log; tell whether events were missing here."""
        if self.began is None:
            return False
        if epoch != self.epoch or last_seq < self._polled:
            self._look_again()
            return False
        self._polled = last_seq
        if last_seq <= self.ring.head:
            return False
        self._known = max(self._known, last_seq)
        self._heal_later(HOLD_BACK_SECONDS, "tail")
        return True

    def _enter(self, event: Event) -> None:
        """Let the next event into the ring; its line in the log ties the frame to the request."""
        self.ring.append(event)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug(
                "Event entered the ring",
                extra={
                    "stream": self.name,
                    "seq": event.seq,
                    "event_id": event.event_id,
                    "type": event.type,
                    "request_id": event.request_id,
                },
            )

    # --- filling gaps -----------------------------------------------------------------------

    def _wait_for_turn(self, event: Event) -> None:
        self._known = max(self._known, event.seq)
        if len(self._early) < MAX_EARLY:
            self._early[event.seq] = event

    def _take_early(self) -> None:
        ring = self.ring
        while (event := self._early.pop(ring.head + 1, None)) is not None:
            if event.epoch == self.epoch:
                self._enter(event)
        if self._early and min(self._early) <= ring.head:
            self._early = {seq: early for seq, early in self._early.items() if seq > ring.head}

    def _heal_later(self, delay_seconds: float, cause: str) -> None:
        if not self._closed and (self._healing is None or self._healing.done()):
            self._healing = asyncio.create_task(self._heal(delay_seconds, cause))

    async def _heal(self, delay_seconds: float, cause: str) -> None:
        noticed = monotonic()
        await asyncio.sleep(delay_seconds)
        if self._known <= self.ring.head:
            return  # it was only late
        metrics.GAPS.labels(cause).inc()
        try:
            while self._known > self.ring.head:
                if not await self._fill():
                    return
        except Error as error:  # the next poll comes back to it
            logger.warning(
                "Missing events could not be read; they follow when the log can be",
                extra={"stream": self.name, "error": f"{type(error).__name__}: {error}"},
            )
        else:
            metrics.HEAL_SECONDS.observe(monotonic() - noticed)

    async def _fill(self) -> bool:
        """Read one slice of what is missing; tell whether to go on."""
        ring, generation = self.ring, self.generation
        if self._known - ring.head > JUMP_EVENTS:
            head = await self._heads.get()  # a message alone may tell of what the log has not
            if generation != self.generation:
                return True
            if str(head.epoch) != self.epoch or head.last_seq < self._polled:
                self._look_again()
                return False
            self._known = self._polled = head.last_seq
            self._early = {seq: early for seq, early in self._early.items() if seq <= self._known}
            if self._known - ring.head > JUMP_EVENTS:
                metrics.GAPS.labels("jump").inc()
                ring.restart(self._known)
        else:
            after = ring.head
            missing = min(min(self._early, default=self._known + 1) - 1, self._known) - after
            found = await slice_of(self.name, after, max(1, min(missing, PAGE_EVENTS)))
            if generation != self.generation:
                return True  # what was read is of the log before
            if not found or found[0].seq != after + 1 or found[0].epoch != self.epoch:
                # Told of what the log has not: by a foreign message, or of a log that is no more.
                self._early.clear()
                self._known = ring.head
                self._look_again()
                return False
            for event in found:
                if event.seq == ring.head + 1:  # others may have come meanwhile
                    self._enter(event)
        self._take_early()
        self._wake()
        return True

    # --- the start, and a replaced log --------------------------------------------------------

    async def _start(self) -> log.Head:
        head = await self._heads.get()
        self._begin(head)
        return head

    def _begin(self, head: log.Head) -> None:
        self.began = head
        self._stale_at = asyncio.get_running_loop().time() + STALE_SECONDS
        self.epoch = str(head.epoch)
        self._known = self._polled = head.last_seq
        self.ring.restart(head.last_seq)
        self._take_early()
        self._known = max(self._known, max(self._early, default=0))
        if self._known > self.ring.head:
            self._heal_later(REORDER_SECONDS, "lost")

    def _look_again(self) -> None:
        """Find out whether the log was replaced; what looks so may be a message of long ago."""
        if self._starting is None or self._starting.done():
            self._starting = asyncio.create_task(self._restart())
            self._starting.add_done_callback(_look_at)

    async def _restart(self) -> log.Head:
        before = max(self._polled, self.ring.head)  # all of it was committed before this look
        head = await self._heads.get()
        fell = head.last_seq < before
        if str(head.epoch) != self.epoch or fell:
            logger.warning(
                "The log was replaced: every client takes a new snapshot",
                extra={"stream": self.name, "epoch": str(head.epoch), "head": head.last_seq},
            )
            self.generation += 1
            self._early.clear()
            self._replaced(self.name)
            self._begin(head)
            self._wake()
        return head

    def _wake(self) -> None:
        for connection in self.connections:
            connection.wake()
        self.wake_watchers()


class Latest:
    """A reading that many ask for at once: it answers each with one that began after the asking."""

    def __init__(self, read: Callable[[], Awaitable[log.Head]]) -> None:
        self._read = read
        self._running: asyncio.Task[log.Head] | None = None
        self._next: asyncio.Task[log.Head] | None = None

    async def get(self) -> log.Head:
        if self._running is None or self._running.done():
            task = self._running = asyncio.create_task(self._once(None))
        else:
            if self._next is None:
                self._next = asyncio.create_task(self._once(self._running))
            task = self._next
        task.add_done_callback(_look_at)
        return await asyncio.shield(task)

    async def _once(self, previous: asyncio.Task[log.Head] | None) -> log.Head:
        if previous is not None:
            await asyncio.wait({previous})
            self._running, self._next = self._next, None
        return await self._read()


def _look_at(task: asyncio.Task[log.Head]) -> None:
    """Whoever waited has the error; nobody may have, which asyncio would report as a fault."""
    if not task.cancelled() and (error := task.exception()) is not None:
        logger.debug("The head could not be read", exc_info=error)
