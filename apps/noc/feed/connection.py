"""One connection to the feed: a cursor over its tenant's stream, moved by a single task, the pump.

Everything that a client is sent is sent by the pump, so frames cannot overtake each other, and a
reader that is slow holds nobody but itself. Nothing waits for a client: what it was not sent yet is
in the ring or in the log, and the cursor says where.
"""

import asyncio
import logging
import random
import time
from collections import deque
from collections.abc import Sequence
from typing import NoReturn
from uuid import UUID

from django.db import Error

from apps.noc import metrics
from apps.noc.feed import control, inbound
from apps.noc.feed.admission import Grant
from apps.noc.feed.bye import RESUME_HERE, SLOW, Bye, Gone, spread_ms
from apps.noc.feed.cursor import Cursor, reset_reason
from apps.noc.feed.outlet import Frame, Outlet
from apps.noc.feed.pages import Pages, Trimmed
from apps.noc.feed.parts import Parts
from apps.noc.feed.stream import Stream
from apps.noc.feed.wire import Event
from apps.noc.figures.delays import Delays
from outbox import log

logger = logging.getLogger(__name__)

BATCH_EVENTS = 64
BATCH_BYTES = 64 * 1024  # about as much is handed over at once, and may wait for a slow reader
MAX_REQUESTS = 64
NEVER = 2**63

Request = inbound.Resume | inbound.Subscribe | str  # text: an error frame that answers one


class Connection:
    """The state of one connection; made in, and used by, the task that serves it."""

    def __init__(
        self,
        *,
        session: UUID,
        grant: Grant,
        stream: Stream,
        pages: Pages,
        outlet: Outlet,
        parts: Parts,
        delays: Delays,
    ) -> None:
        self.session = session
        self.grant = grant
        self.stream = stream
        self.parts = parts
        self._delays = delays
        self._pages = pages
        self._outlet = outlet
        self._cursor = Cursor("", grant.sites)
        self._generation = stream.generation
        self._goal = 0  # the head when the cursor was placed: from there on it is live
        self._synced = True  # False: the client waits for `synced`
        self._live_after = NEVER  # what is sent after this event is news, no history
        self._other_scope = -1 if grant.scope_seq is None else grant.scope_seq
        self._parked: str | None = None  # the reason of the reset that awaits a `resume`
        self._requests: deque[Request] = deque()
        self._ending: Bye | Gone | None = None
        self._rescoped: Grant | None = None
        self._task: asyncio.Task[object] | None = None  # that runs the pump, while it does
        self._waker: asyncio.Future[None] | None = None
        self._sending_since: float | None = None  # by the loop's clock, or since it got the last
        self._unsent_bytes = 0  # at the last look
        # The first ping at a random moment: sockets that came together do not ping together.
        now = asyncio.get_running_loop().time()
        self._ping_at = now + control.PING_SECONDS * random.uniform(0.5, 1)  # noqa: S311
        self._ping_due = False

    @property
    def lag(self) -> int:
        """How many events it is behind what is known to exist."""
        return max(0, self.stream.ring.head - self._cursor.position)

    # --- what others tell it; these never wait ------------------------------------------------

    def wake(self) -> None:
        if self._waker is not None and not self._waker.done():
            self._waker.set_result(None)

    def request(self, message: Request) -> None:
        """Queue what is to be answered. A client that asks and does not read is not answered."""
        if len(self._requests) < MAX_REQUESTS:
            self._requests.append(message)
            self.wake()

    def ack(self, seq: int) -> None:
        """Take the client's word that it has everything up to ``seq``."""
        if self._parked is not None:
            return  # it may speak of another log, or of its snapshot
        before = self.parts.ack(seq)
        if before is None:
            return
        newest = self.stream.ring.after(max(before, self._live_after), control.ACK_EVERY) or ()
        seen = (event for event in newest if event.visible(self._cursor.sites))
        first = next(seen, None)
        if first is not None and first.seq <= seq and first.epoch == self._cursor.epoch:
            seconds = max(0.0, time.time() - first.written)  # the oldest one waited longest
            metrics.ACK_SECONDS.observe(seconds)
            self.parts.slowest(seconds)
        if first is None or before < self._live_after:
            self.parts.slowest_since_opened()  # these were not looked at one by one

    def regrant(self, grant: Grant) -> None:
        """Take what the user may see now."""
        if grant.sites != self.grant.sites:
            self._rescoped = grant
            self.wake()
        self.grant = grant

    def tick(self, now: float, *, slow_seconds: float) -> None:
        """Do what is due by the clock; called about once a second."""
        if now >= self._ping_at:
            self._ping_at = now + control.PING_SECONDS
            self._ping_due = True
            self.wake()
        if self._sending_since is None:
            return
        unsent_bytes = self._outlet.unsent_bytes()
        if unsent_bytes < self._unsent_bytes:
            self._sending_since = now  # the system takes more only when much was read
        self._unsent_bytes = unsent_bytes
        if now - self._sending_since > slow_seconds:
            self.end(Bye(SLOW, "the client does not read", retry_after_ms=spread_ms()))

    def end(self, why: Bye | Gone) -> None:
        """Have the pump end with ``why``, whatever it waits for; the first reason counts."""
        if self._ending is None:
            self._ending = why
            if self._task is not None:  # perhaps for a client that does not read, or the database
                self._task.cancel()

    # --- the pump -----------------------------------------------------------------------------

    async def run(self, start: inbound.Resume | inbound.BadMessage | None) -> Bye:
        """
        Greet, place the cursor, and send until the connection is to end; return why.

        Raises:
            Gone: the client has left.
            OSError: the client has left, and sending showed it.
        """
        task = self._task = asyncio.current_task()
        try:
            await self._greet(start)
            await self._pump()
        except Bye as bye:
            return bye
        except asyncio.CancelledError:
            if self._ending is None or task is None:
                raise
            task.uncancel()
            if isinstance(self._ending, Bye):
                return self._ending
            raise self._ending from None
        finally:
            self._task = None  # what ends it from now on must not disturb the goodbye

    async def _greet(self, start: inbound.Resume | inbound.BadMessage | None) -> None:
        head = self.stream.current()
        await self._say(control.hello(str(self.session), head, self._cursor.sites))
        if isinstance(start, inbound.Resume):
            self._requests.appendleft(start)
        elif start is not None:
            await self._say(control.error(start.code, str(start)))
            await self._reset("epoch", head)
        else:
            self._place(head.last_seq, head)

    async def _pump(self) -> NoReturn:
        failures = 0
        while True:
            if self._ending is not None:
                raise self._ending
            try:
                await self._step()
                failures = 0
            except Error as error:
                if not failures:
                    logger.warning(
                        "The log could not be read for a connection; it goes on trying",
                        extra={"error": f"{type(error).__name__}: {error}"},
                    )
                    text = "the log cannot be read; events follow when it can"
                    await self._say(control.error("unavailable", text, retry_after_ms=spread_ms()))
                failures += 1
                await self._rest(min(5.0, 0.5 * 2 ** min(failures, 4)))

    async def _step(self) -> None:
        """Do the next thing, or wait until there is one."""
        stream = self.stream
        if self._ping_due:
            self._ping_due = False
            # Whoever was reset stands nowhere: an old place could hide events of the next log.
            position = 0 if self._parked is not None else self._cursor.position
            newest = max(stream.ring.head, position)
            await self._say(control.ping(head=newest, position=position))
        elif self._generation != stream.generation:
            self._generation = stream.generation
            head = stream.current()
            await self._reset("epoch" if self._cursor.epoch != stream.epoch else "ahead", head)
        elif self._rescoped is not None:
            self._rescoped = None
            await self._reset("scope", stream.current())
            raise Bye(RESUME_HERE, "the sites that you may see have changed")
        elif self._requests and self._is_free_for(self._requests[0]):
            await self._answer(self._requests[0])
            self._requests.popleft()  # only now: what failed is tried again
        elif self._parked is not None:
            await self._rest()
        elif self._cursor.position < stream.ring.head:
            await self._advance()
        elif self._cursor.position < self._goal:
            await self._rest()  # the stream is about to fill that gap
        elif not self._synced:
            self._synced = True
            self._live_after = self._cursor.position
            await self._say(control.synced(self._cursor.position))
        else:
            await self._rest()

    def _is_free_for(self, request: Request) -> bool:
        """Tell whether to take up a request: each that sets the cursor has an answer of its own."""
        return isinstance(request, str) or self._synced or self._parked is not None

    async def _rest(self, seconds: float | None = None) -> None:
        self._waker = asyncio.get_running_loop().create_future()
        try:
            await asyncio.wait_for(self._waker, seconds) if seconds else await self._waker
        except TimeoutError:
            pass
        finally:
            self._waker = None

    async def _advance(self) -> None:
        """Send the next events, as many as are handed over at once."""
        cursor, ring = self._cursor, self.stream.ring
        events: Sequence[Event] | None = ring.after(cursor.position, BATCH_EVENTS)
        from_ring = events is not None
        if events is None:
            try:
                events = await self._pages.after(self.stream.name, cursor.position)
            except Trimmed:
                await self._reset("trimmed", await self.stream.head_now())
                return
            if self._rescoped is not None or self._generation != self.stream.generation:
                return  # while it was read; the next step tells the client
        if events[0].epoch != cursor.epoch:  # the log was replaced, which the stream is to find
            self._pages.forget(self.stream.name)
            await self.stream.head_now()
            return
        frames, sent, size = [], [], 0
        for event in events[:BATCH_EVENTS]:
            frame = cursor.step(event)
            if frame is not None:
                frames.append(frame)
                sent.append(event)
                size += len(frame.text)
                if size > BATCH_BYTES:
                    break
        if frames:
            await self._hand_over(frames)
            metrics.SENT.count(sent)
            if sent[0].seq > self._live_after:
                now = time.time()
                metrics.DELIVERY.observe(sent, now)
                if from_ring:  # who reads pages is catching up
                    self._delays.observe(self.grant.tenant_id, sent, now)
        self.parts.sent(cursor.position)
        if cursor.position < ring.head:
            await asyncio.sleep(0)  # the others' turn

    async def _hand_over(self, frames: Sequence[Frame]) -> None:
        self._sending_since = asyncio.get_running_loop().time()
        await self._outlet.send(frames)
        self._sending_since = None

    async def _say(self, text: str) -> None:
        await self._hand_over([Frame(text)])

    # --- placing the cursor -------------------------------------------------------------------

    async def _answer(self, request: Request) -> None:
        if isinstance(request, str):
            await self._say(request)
        elif isinstance(request, inbound.Resume):
            await self._resume(request)
        else:
            self._cursor.narrow(request.sites)
            self.parts.narrow(self._cursor.sites, self._cursor.position)
            self._synced = False
            if self._parked is not None:
                await self._reset(self._parked, self.stream.current())

    async def _resume(self, request: inbound.Resume) -> None:
        head = self.stream.current()
        if request.after_seq > head.last_seq or request.epoch != self.stream.epoch:
            head = await self.stream.head_now()
        reason = reset_reason(head, after_seq=request.after_seq, epoch=request.epoch)
        if reason is None and request.after_seq <= self._other_scope:
            reason = "scope"  # what the client has was built under another one
        if reason is None:
            self._place(request.after_seq, head)
        else:
            await self._reset(reason, head)

    def _place(self, after_seq: int, head: log.Head) -> None:
        self._cursor.place(after_seq, str(head.epoch))
        self.parts.place(after_seq, str(head.epoch), self._cursor.sites)
        self._goal = max(head.last_seq, self.stream.ring.head)
        self._parked = None
        self._synced = False
        self._live_after = NEVER

    async def _reset(self, reason: str, head: log.Head) -> None:
        self._parked = reason
        self._other_scope = -1  # told to take a new snapshot, the client comes back under this one
        self._cursor.epoch = str(head.epoch)
        await self._say(control.reset(reason, head))
