"""One connection to the feed: a cursor that is moved over the log by a single task, the pump.

Everything that a client is sent is sent by the pump, so frames cannot overtake each other and a
reader that is slow holds nobody but itself. Messages of the channel layer are hints: the next
event is sent from a hint when it is there, and read from the log when it is not. The transport
hands over what arrives and a function that sends text; nothing here knows of Channels.
"""

import asyncio
import logging
import random
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Set
from datetime import UTC, datetime

from django.db import Error

from apps.noc import metrics
from apps.noc.feed import control, database, inbound
from apps.noc.feed.cursor import Cursor, reset_reason
from apps.noc.feed.wire import Event, event_of
from outbox import log

logger = logging.getLogger(__name__)

PAGE_EVENTS = 500
MAX_HINTS = 1_000  # what does not fit is read from the log
REORDER_SECONDS = 0.1  # how long a missing event may still be under way
SLOW_SECONDS = 60.0
MAX_REQUESTS = 64

Send = Callable[[str], Awaitable[None]]
Request = inbound.Resume | inbound.Subscribe | str  # text: an error frame that answers one


class Bye(Exception):
    """The connection is to end with this close code."""

    def __init__(self, code: int, reason: str, retry_after_ms: int) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.retry_after_ms = retry_after_ms


class Connection:
    """The state of one connection. ``sites`` is its scope; ``None`` is every site."""

    def __init__(self, *, stream: str, sites: Set[int] | None, send: Send) -> None:
        self._stream = stream
        self._send = send
        self._cursor = Cursor("", sites)
        self._head = 0  # the highest number known to exist
        self._synced = True  # False: the client waits for `synced`
        self._live = False  # False: what is sent is history, no measure of delivery
        self._parked: str | None = None  # the reason of the reset that awaits a `resume`
        self._hints: dict[int, Event] = {}
        self._requests: deque[Request] = deque()
        self._suspect = False  # another epoch or a falling head was seen
        self._missing_since: float | None = None
        self._wake = asyncio.Event()

    # --- what arrives; called by the transport, never waits ---------------------------------

    def hint(self, event: Event) -> None:
        """Take an event from the channel layer."""
        if event.epoch != self._cursor.epoch:
            self._suspect = True
        elif event.seq > self._cursor.position:
            if len(self._hints) < MAX_HINTS:
                self._hints[event.seq] = event
            self._head = max(self._head, event.seq)
        self._wake.set()

    def see_head(self, epoch: str, head: int, fell: bool) -> None:
        """Take what the process's regular look at the log found."""
        if fell or epoch != self._cursor.epoch:
            self._suspect = True
        elif head > self._head:
            self._head = head
            self._missing_since = 0.0  # it was held back already
        self._wake.set()

    def request(self, message: Request) -> None:
        """Queue what is to be answered. A client that asks and does not read is not answered."""
        if len(self._requests) < MAX_REQUESTS:
            self._requests.append(message)
            self._wake.set()

    # --- the pump ---------------------------------------------------------------------------

    async def run(self, *, cursor: inbound.Resume | inbound.BadMessage | None) -> None:
        """
        Greet, place the cursor, and send until cancelled.

        Raises:
            Bye: the connection is to be ended.
            OSError: the client has gone.
        """
        try:
            head = await database.run(log.head, self._stream)
        except Error:
            raise Bye(4102, "the log cannot be read", retry_ms()) from None
        await self._put(control.hello(uuid.uuid4().hex, head, self._cursor.sites))
        if isinstance(cursor, inbound.Resume):
            await self._resume(cursor, head)
        elif cursor is not None:
            await self._put(control.error(cursor.code, str(cursor)))
            await self._reset("epoch", head)
        else:
            self._place(head.last_seq, head)
        await self._pump()

    async def _pump(self) -> None:
        loop = asyncio.get_running_loop()
        # The first ping at a random moment: sockets that came together do not ping together.
        ping_at = loop.time() + control.PING_SECONDS * random.uniform(0.5, 1)  # noqa: S311
        failures = 0
        while True:
            if loop.time() >= ping_at:
                ping_at = loop.time() + control.PING_SECONDS
                head = max(self._head, self._cursor.position)
                await self._put(control.ping(head=head, position=self._cursor.position))
            self._wake.clear()
            try:
                wait = await self._step()
            except Error:
                if not failures:
                    logger.warning("The log could not be read for a connection", exc_info=True)
                    text = "the log cannot be read; events follow when it can"
                    await self._put(control.error("unavailable", text, retry_after_ms=retry_ms()))
                failures += 1
                await asyncio.sleep(min(5.0, 0.5 * 2 ** min(failures, 4)))
                continue
            failures = 0
            if wait:
                try:
                    async with asyncio.timeout(min(wait, max(0.0, ping_at - loop.time()))):
                        await self._wake.wait()
                except TimeoutError:
                    pass

    async def _step(self) -> float:
        """Do the next thing; return how many seconds to wait for another, 0 for not at all."""
        if self._suspect:
            self._suspect = False
            await self._recheck()
        elif self._requests:
            await self._answer(self._requests[0])
            self._requests.popleft()  # only now: what failed is tried again
        elif self._parked is not None:
            return control.PING_SECONDS
        elif (event := self._hints.pop(self._cursor.position + 1, None)) is not None:
            self._missing_since = None
            await self._emit(event)
        elif self._head > self._cursor.position:
            return await self._fill()
        elif not self._synced:
            self._synced = self._live = True
            await self._put(control.synced(self._cursor.position))
        else:
            return control.PING_SECONDS
        return 0.0

    async def _fill(self) -> float:
        """Read the missing slice from the log, unless it may still be under way."""
        now = asyncio.get_running_loop().time()
        if self._live and self._missing_since is None:
            self._missing_since = now
        if self._live and self._missing_since is not None:
            left = self._missing_since + REORDER_SECONDS - now
            if left > 0:
                return left
        rows = await database.run(log.read, self._stream, self._cursor.position, PAGE_EVENTS)
        self._missing_since = None
        if not rows:
            self._hints.clear()  # one of them told of an event that is not in the log
            await self._recheck()
        elif rows[0].seq != self._cursor.position + 1:
            await self._reset("trimmed", await database.run(log.head, self._stream))
            return 0.0
        for row in rows:
            event = event_of(row)
            if event.epoch != self._cursor.epoch:
                self._suspect = True
                break
            await self._emit(event)
        self._drop_old_hints()
        return 0.0

    async def _emit(self, event: Event) -> None:
        text = self._cursor.step(event)
        if text is None:
            return
        await self._put(text)
        metrics.count_sent(event)
        if self._live:
            metrics.observe_delivery(datetime.fromisoformat(event.occurred_at), datetime.now(UTC))

    async def _put(self, text: str) -> None:
        try:
            async with asyncio.timeout(SLOW_SECONDS):
                await self._send(text)
        except TimeoutError:
            raise Bye(4100, "the client does not read", retry_ms()) from None

    # --- placing the cursor -----------------------------------------------------------------

    async def _answer(self, request: Request) -> None:
        if isinstance(request, str):
            await self._put(request)
        elif isinstance(request, inbound.Resume):
            await self._resume(request, await database.run(log.head, self._stream))
        else:
            self._cursor.narrow(request.sites)
            self._synced = False
            if self._parked is not None:
                await self._reset(self._parked, await database.run(log.head, self._stream))

    async def _resume(self, request: inbound.Resume, head: log.Head) -> None:
        reason = reset_reason(head, after_seq=request.after_seq, epoch=request.epoch)
        if reason is None:
            self._place(request.after_seq, head)
        else:
            await self._reset(reason, head)

    async def _recheck(self) -> None:
        """See whether the log still goes on where the cursor stands."""
        head = await database.run(log.head, self._stream)
        cursor = self._cursor
        reason = reset_reason(head, after_seq=cursor.position, epoch=cursor.epoch)
        if reason is None:
            self._head = self._furthest(head)
        elif self._parked is None:
            await self._reset(reason, head)

    def _place(self, after_seq: int, head: log.Head) -> None:
        if self._cursor.epoch != str(head.epoch):
            self._hints.clear()
        self._cursor.place(after_seq, str(head.epoch))
        self._drop_old_hints()
        self._head = self._furthest(head)
        self._parked = None
        self._synced = self._live = False

    def _furthest(self, head: log.Head) -> int:
        """Hints may have come while the head was read."""
        return max(head.last_seq, max(self._hints, default=0))

    def _drop_old_hints(self) -> None:
        position = self._cursor.position
        self._hints = {seq: event for seq, event in self._hints.items() if seq > position}

    async def _reset(self, reason: str, head: log.Head) -> None:
        self._parked = reason
        self._hints.clear()
        self._cursor.epoch = str(head.epoch)
        self._head = head.last_seq
        await self._put(control.reset(reason, head))


def retry_ms() -> int:
    """Return when to come again, spread so that not all come at once. In milliseconds."""
    return random.randint(1_000, 5_000)  # noqa: S311 - no secret
