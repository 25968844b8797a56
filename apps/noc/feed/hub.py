"""
Everything that the sockets of one process share: streams, layer, polls, reviews, what is written.

There is one hub per event loop. It starts with the first socket, so it needs no lifespan events and
works under any ASGI server, and its tasks end when the last tenant has been left.
"""

import asyncio
import logging
import random
import uuid
from collections.abc import Awaitable, Callable
from typing import Any
from weakref import WeakKeyDictionary

from django.db import Error

from apps.noc import metrics
from apps.noc.feed import admission, database
from apps.noc.feed.admission import Credentials, Grant
from apps.noc.feed.batch import Batch
from apps.noc.feed.bye import DRAIN, LIMIT, Bye
from apps.noc.feed.conf import feed_settings
from apps.noc.feed.connection import Connection
from apps.noc.feed.layer import Layer
from apps.noc.feed.pages import Pages
from apps.noc.feed.places import Places
from apps.noc.feed.rate import Bucket
from apps.noc.feed.receipts import Receipts
from apps.noc.feed.reviews import ACCESS_GROUP, ACCESS_STREAM, Reviews
from apps.noc.feed.ring import Budget
from apps.noc.feed.stream import Stream
from apps.noc.feed.wire import event_of_message
from apps.noc.figures.delays import Delays
from apps.tenancy.streams import stream_of
from outbox import log

logger = logging.getLogger(__name__)

POLL_SECONDS = 2.0
TICK_SECONDS = 1.0
DRAIN_BATCH = 20
# Long polls that are served again at a time. Each holds a thread and a database connection for some
# milliseconds, so a few keep the processor busy, and leave the connections to everybody else.
POLL_ANSWERS = 8
SILENT_POLLS = 2  # in a row that found what the layer had not told


class Hub:
    def __init__(self) -> None:
        settings = feed_settings()
        now = asyncio.get_running_loop().time()
        self.process = uuid.uuid4()
        self.settings = settings
        self.connects = Bucket(
            per_second=settings.connects_per_second, burst=settings.connect_burst, now=now
        )
        self.pages = Pages()
        self.admission: Batch[Credentials, Grant | None] = Batch(admission.admit_all)
        self.places = Places(self.process)
        self.receipts = Receipts()
        self.delays = Delays()
        self.reviews = Reviews()
        self.poll_answers = asyncio.Semaphore(POLL_ANSWERS)
        self.draining = False
        self._emptied = asyncio.Event()
        self.connections: set[Connection] = set()
        self._streams: dict[int, Stream] = {}
        self._budget = Budget(settings.ring_bytes)
        self._layer = self._new_layer()
        self._heard = 0  # layer messages since the last poll
        self._silent_polls = 0
        self._tasks: list[asyncio.Task[None]] = []

    # --- sockets come and go ------------------------------------------------------------------

    async def stream(self, tenant_id: int) -> Stream:
        """
        Return the stream of a tenant, joined and with its head known.

        Raises:
            django.db.Error: the log cannot be read.
        """
        while True:
            stream = self._streams.get(tenant_id)
            if stream is None:
                stream = Stream(stream_of(tenant_id), self._budget, self.pages.forget)
                stream.empty_since = asyncio.get_running_loop().time()
                self._streams[tenant_id] = stream
                # Not waited for: a frozen Redis would hold the connect, and polls find the rest.
                self._layer.join(f"noc_tenant_{tenant_id}")
                self._start()
            await stream.start()
            if self._streams.get(tenant_id) is stream:  # it may have been left meanwhile
                return stream

    def add(self, connection: Connection) -> None:
        self.connections.add(connection)
        connection.stream.connections.add(connection)

    def remove(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if self.draining and not self.connections:
            self._emptied.set()
        stream = connection.stream
        stream.connections.discard(connection)
        if not stream.connections:
            stream.empty_since = asyncio.get_running_loop().time()

    async def drain(self) -> None:
        """
        Send every socket away within ``drain_seconds``, and write what is known of them.

        They are told different moments to come back, so that they do not meet at the next process.
        """
        self.draining = True
        for stream in self._streams.values():
            stream.wake_watchers()
        if not self.connections:
            self._emptied.set()
        seconds = self.settings.drain_seconds
        waiting = list(self.connections)
        random.shuffle(waiting)
        latest_ms = min(30_000, 1_000 + 10 * len(waiting))
        pace = min(0.01, seconds / 2 / max(1, len(waiting)))
        for number, connection in enumerate(waiting, 1):
            after_ms = random.randint(100, latest_ms)  # noqa: S311 - no secret
            connection.end(Bye(DRAIN, "this server stops", retry_after_ms=after_ms))
            if number % DRAIN_BATCH == 0:
                await asyncio.sleep(pace * DRAIN_BATCH)
        try:
            async with asyncio.timeout(max(1.0, seconds / 2)):
                await self._emptied.wait()
        except TimeoutError:
            logger.warning("Sockets did not close in time", extra={"count": len(self.connections)})
        await self._write_down()
        await _quietly("The places of this process", self.places.leave)
        self._stop()

    # --- what arrives -------------------------------------------------------------------------

    def _take(self, message: dict[str, Any]) -> None:
        """Take a message of the channel layer."""
        self._heard += 1
        kind = message.get("type")
        if kind == "access_changed":
            self.reviews.changed(message, self.connections)
            return
        messages = message["events"] if kind == "noc_events" else [message]
        if not messages:
            return
        stream = self._streams.get(messages[0].get("tenant_id", 0))
        if stream is not None:
            stream.offer([event for each in messages if (event := event_of_message(each))])

    def _new_layer(self) -> Layer:
        layer = Layer(self._take)
        layer.join(ACCESS_GROUP)
        return layer

    # --- what happens by the clock ------------------------------------------------------------

    def _start(self) -> None:
        if not self._tasks and not self.draining:
            loops = (
                self._layer.run,
                self._poll,
                self._tick,
                self._review,
                self._beat,
                self._write_receipts,
                self._write_delays,
            )
            self._tasks = [asyncio.create_task(_kept_up(loop)) for loop in loops]

    def _stop(self) -> None:
        for task in self._tasks:
            if task is not asyncio.current_task():
                task.cancel()
        self._tasks = []
        self._layer = self._new_layer()  # the one that ends may still be leaving its groups
        for stream in self._streams.values():
            self._close(stream)
        self._streams.clear()

    def _close(self, stream: Stream) -> None:
        stream.close()
        self.pages.forget(stream.name)  # nobody would tell them that the log was replaced

    async def _poll(self) -> None:
        """Look every two seconds how far each local log is: one query for all."""
        while True:
            await asyncio.sleep(POLL_SECONDS * random.uniform(0.8, 1.2))  # noqa: S311
            by_name = {stream.name: stream for stream in self._streams.values()}
            heard, self._heard = self._heard, 0
            try:
                found = await database.run(log.heads, [*by_name, ACCESS_STREAM])
            except Exception as error:  # whatever it is, the next look is in two seconds
                logger.warning(
                    "The heads of the log could not be read",
                    extra={"error": f"{type(error).__name__}: {error}"},
                )
                continue
            missing = False
            for name, stream in by_name.items():
                # A log that no longer has the stream may have been replaced by one from before it.
                epoch, last_seq = found.get(name, (stream.epoch, 0))
                missing |= stream.see_head(str(epoch), last_seq)
            if ACCESS_STREAM in found:
                self.reviews.see_head(found[ACCESS_STREAM][1])
            self._judge_layer(missing=missing, heard=heard + self._heard)

    def _judge_layer(self, *, missing: bool, heard: int) -> None:
        """Have a layer rebuilt that tells nothing while there is something to tell."""
        if heard:
            self._silent_polls = 0
        elif missing:
            self._silent_polls += 1
        if self._silent_polls >= SILENT_POLLS:
            self._silent_polls = 0
            self._layer.rebuild()

    async def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = loop.time()
            lag = 0
            for connection in self.connections:
                connection.tick(now, slow_seconds=self.settings.slow_seconds)
                lag = max(lag, connection.lag)
            metrics.FEED_LAG.set(lag)
            for tenant_id, stream in list(self._streams.items()):
                left = now - stream.empty_since
                if not stream.has_readers and left > self.settings.linger_seconds:
                    self._close(stream)
                    del self._streams[tenant_id]
                    self._layer.leave(f"noc_tenant_{tenant_id}")
            if not self._streams and not self.connections:
                await self._write_down()
                if not self._streams and not self.connections:
                    self._stop()
                    return

    async def _review(self) -> None:
        while True:
            await self.reviews.due()
            await self.reviews.run(self.connections)

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(self.places.BEAT_SECONDS)
            try:
                lost = set(await self.places.beat())
            except Error as error:
                logger.warning(
                    "That this process lives could not be written; it is tried again",
                    extra={"error": f"{type(error).__name__}: {error}"},
                )
                continue
            for connection in self.connections:
                if connection.session in lost:
                    connection.end(Bye(LIMIT, "others of this user took its place"))

    async def _write_receipts(self) -> None:
        while True:
            await asyncio.sleep(self.receipts.EVERY_SECONDS)
            await _quietly("What the sockets were sent", self.receipts.write)

    async def _write_delays(self) -> None:
        while True:
            await asyncio.sleep(self.delays.EVERY_SECONDS)
            await _quietly("How long deliveries took", self.delays.write)

    async def _write_down(self) -> None:
        await _quietly("What the sockets were sent", self.receipts.write)
        await _quietly("How long deliveries took", self.delays.write)


async def _kept_up(loop: Callable[[], Awaitable[None]]) -> None:
    """Run until it returns; a fault in one of them must not end it for good."""
    while True:
        try:
            return await loop()
        except Exception:
            logger.exception("A task of the feed failed; it is started again")
            await asyncio.sleep(TICK_SECONDS)


async def _quietly(what: str, act: Callable[[], Awaitable[None]]) -> None:
    try:
        await act()
    except Error as error:
        logger.warning(
            f"{what} could not be written; it is tried again",
            extra={"error": f"{type(error).__name__}: {error}"},
        )


_by_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, Hub] = WeakKeyDictionary()


def hub() -> Hub:
    """Return the hub of the running event loop."""
    loop = asyncio.get_running_loop()
    if loop not in _by_loop:
        _by_loop[loop] = Hub()
    return _by_loop[loop]


async def drain() -> None:
    """Send the sockets of this event loop away, if it ever had any."""
    found = _by_loop.get(asyncio.get_running_loop())
    if found is not None:
        await found.drain()
