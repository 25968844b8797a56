"""
Pages of the log for sockets that stand before the ring, each read once for all who wait for it.

A page begins at a multiple of its size, not at a cursor: so a thousand clients that come back after
an outage, each with a cursor of its own, need one page or two, not a thousand.
"""

import asyncio
from collections import OrderedDict

from apps.noc import metrics
from apps.noc.feed import database
from apps.noc.feed.wire import Event, event_of
from outbox import log

PAGE_EVENTS = 250
KEPT_BYTES = 8 * 1024 * 1024  # of pages that were read last
READERS = 2  # at a time; the other threads of the pool are for what cannot wait

Key = tuple[str, int]


class Trimmed(Exception):
    """The log no longer has the event after the position: the client needs a new snapshot."""


class Pages:
    """The pages of one event loop."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, list[Event]] = OrderedDict()
        self._kept_bytes = 0
        self._flights: dict[Key, asyncio.Task[list[Event]]] = {}
        self._readers = asyncio.Semaphore(READERS)

    async def after(self, stream: str, position: int) -> list[Event]:
        """
        Return the events from ``position`` + 1 to the end of their page, at least one.

        Raises:
            Trimmed: the next event is not in the log, though later ones may be.
            django.db.Error: the log cannot be read.
        """
        key = stream, position - position % PAGE_EVENTS
        page = self._kept.get(key, [])
        if not _holds(page, position + 1) and key in self._flights:
            page = await asyncio.shield(self._flights[key])  # begun perhaps before it was there
        if not _holds(page, position + 1):
            page = await self._read(key)
        elif key in self._kept:
            self._kept.move_to_end(key)
        if not _holds(page, position + 1):
            raise Trimmed
        return page[position + 1 - page[0].seq :]

    def forget(self, stream: str) -> None:
        """Drop what was read of a log that was replaced."""
        for key in [key for key in self._kept if key[0] == stream]:
            self._drop(key)
        for key in [key for key in self._flights if key[0] == stream]:
            del self._flights[key]

    async def _read(self, key: Key) -> list[Event]:
        """Return the page as it is now; who comes while it is read waits for this reading."""
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = asyncio.create_task(self._fly(key))
            flight.add_done_callback(_look_at)
        # One who stops waiting must not end the reading for the others.
        return await asyncio.shield(flight)

    async def _fly(self, key: Key) -> list[Event]:
        this = asyncio.current_task()
        try:
            async with self._readers:
                metrics.LOG_READS.labels("page").inc()
                page = await database.run(_events, key[0], key[1], PAGE_EVENTS)
            if self._flights.get(key) is this:
                self._keep(key, page)
            return page
        finally:
            if self._flights.get(key) is this:
                del self._flights[key]

    def _keep(self, key: Key, page: list[Event]) -> None:
        self._drop(key)
        self._kept[key] = page
        self._kept_bytes += _size(page)
        while self._kept_bytes > KEPT_BYTES:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: Key) -> None:
        self._kept_bytes -= _size(self._kept.pop(key, []))


async def slice_of(stream: str, after: int, limit: int) -> list[Event]:
    """Return the events after ``after`` as they are in the log now, to fill a gap."""
    metrics.LOG_READS.labels("gap").inc()
    return await database.run(_events, stream, after, limit)


def _events(stream: str, after: int, limit: int) -> list[Event]:
    return [event_of(row) for row in log.read(stream, after, limit)]


def _holds(page: list[Event], seq: int) -> bool:
    return bool(page) and page[0].seq <= seq <= page[-1].seq


def _look_at(flight: asyncio.Task[list[Event]]) -> None:
    """Nobody may be left to hear of a failure; asyncio would report that as a fault of ours."""
    if not flight.cancelled():
        flight.exception()


def _size(page: list[Event]) -> int:
    return sum(event.size_bytes for event in page)
