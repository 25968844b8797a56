"""
Long polls: ``noc/events/?wait=`` that really waits, for clients that cannot keep a websocket.

# Note [A poll waits outside of Django]
A request inside Django holds a thread, and with it a database connection, until it is answered.
So this stands before Django: the request is served; when it found nothing and may wait, its answer
is put aside, nothing of it is left in Django, and a coroutine waits for the tenant's stream of the
hub, like a websocket. Then the request is served a second time, from the beginning: login, rights,
sites and limits are those of the moment of the answer. When the sites are others than at the
beginning, the events would be of another board: the view refuses them by the ``scope`` kept here.

One event wakes all polls of its tenant at once, and each takes a thread and a connection to be
served again. So only ``Hub.poll_answers`` of them are, and the others wait for their turn outside.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Set
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from django.db import Error

from apps.noc.feed.conf import feed_settings
from apps.noc.feed.hub import hub
from apps.noc.feed.stream import Stream

PATH = "/api/v1/noc/events/"
POLL = "noc.poll"  # in the scope of a request that may wait
MOST_SECONDS = 25.0
SCAN_EVENTS = 1_000
_DONE = {"type": "http.request", "body": b"", "more_body": False}

Scope = dict[str, Any]
Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class TooManyPolls(Exception):
    """The user has as many polls in this process as ``settings.FEED`` allows: end one of them."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the reader stands, and what is worth waking it for."""

    tenant_id: int
    epoch: str
    position: int
    sites: Set[int] | None
    scope: str  # names the tenant and the sites


class Polls:
    """How many polls of each user wait in this process; the views ask from threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._of_user: Counter[int] = Counter()

    def take(self, user_id: int) -> None:
        with self._lock:
            if self._of_user[user_id] >= feed_settings().polls_per_user:
                raise TooManyPolls
            self._of_user[user_id] += 1

    def give(self, user_id: int) -> None:
        with self._lock:
            self._of_user[user_id] -= 1
            if not self._of_user[user_id]:
                del self._of_user[user_id]


polls = Polls()


class Poll:
    """One request that may wait. The view calls :meth:`wait`, when it found nothing."""

    def __init__(self) -> None:
        self.place: Place | None = None
        self.scope: str | None = None  # under which the wait began
        self._user_id: int | None = None

    def wait(self, user_id: int, place: Place) -> None:
        """
        Ask for the request to be served again when there is something after ``place``.

        Raises:
            TooManyPolls: this user has so many already.
        """
        if self._user_id is None:
            polls.take(user_id)
            self._user_id = user_id
        self.place = place
        self.scope = place.scope

    def end(self) -> None:
        if self._user_id is not None:
            polls.give(self._user_id)
            self._user_id = None


def long_polls(app: App) -> App:
    """Return ``app`` with the polls in front of it."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        seconds = _seconds(scope)
        if not seconds:
            await app(scope, receive, send)
            return
        poll = Poll()
        gone = asyncio.Event()
        listening = asyncio.create_task(_listen(receive, gone))
        try:
            await _serve(app, scope, send, poll, gone, seconds)
        finally:
            poll.end()
            listening.cancel()

    return serve


async def _serve(
    app: App, scope: Scope, send: Send, poll: Poll, gone: asyncio.Event, seconds: float
) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    answer = await _answer(app, scope, poll, gone)
    while True:
        left = deadline - loop.time()
        if poll.place is None or gone.is_set() or left <= 0 or hub().draining:
            break
        try:
            async with asyncio.timeout(left):
                await _until_moved(poll.place, gone)
        except TimeoutError:
            pass  # that of the client, whatever was waited for
        except Error:
            break  # the log cannot be read here: what was answered is the truth so far
        async with hub().poll_answers:
            if gone.is_set():
                break  # nobody reads it
            answer = await _answer(app, scope, poll, gone)
    for message in answer:
        await send(message)


async def _answer(app: App, scope: Scope, poll: Poll, gone: asyncio.Event) -> list[Message]:
    """Serve the request from its beginning, and return what would be sent."""
    answer: list[Message] = []
    asked = False

    async def receive() -> Message:
        nonlocal asked
        if not asked:
            asked = True
            return _DONE
        await gone.wait()
        return {"type": "http.disconnect"}

    async def put_aside(message: Message) -> None:
        answer.append(message)

    poll.place = None
    await app({**scope, POLL: poll}, receive, put_aside)
    return answer


async def _until_moved(place: Place, gone: asyncio.Event) -> None:
    """
    Return when the stream may have something for the place.

    Raises:
        django.db.Error: the stream cannot be read.
    """
    stream = await hub().stream(place.tenant_id)
    position = place.position
    with stream.watched() as moved:
        leaving = asyncio.create_task(gone.wait())
        try:
            # Looked at before the first wait too: the server may have begun to stop, and have woken
            # all who watched, while the stream was got.
            while not (gone.is_set() or hub().draining):
                # A stream of another log tells nothing of the place; its next move may.
                if stream.epoch == place.epoch:
                    looked = _looked(stream, place, position)
                    if looked is None:
                        return
                    position = looked
                moved.clear()
                waiting = asyncio.create_task(moved.wait())
                try:
                    await asyncio.wait({waiting, leaving}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    waiting.cancel()
                if stream.epoch != place.epoch:
                    return
        finally:
            leaving.cancel()


def _looked(stream: Stream, place: Place, position: int) -> int | None:
    """Return up to where nothing is for the place; None when there is something."""
    while position < stream.ring.head:
        events = stream.ring.after(position, SCAN_EVENTS)
        if events is None or any(event.visible(place.sites) for event in events):
            return None
        position += len(events)
    return position


async def _listen(receive: Receive, gone: asyncio.Event) -> None:
    """Read the rest of the request, and then until the client disconnects."""
    while (await receive())["type"] != "http.disconnect":
        pass
    gone.set()


def _seconds(scope: Scope) -> float:
    """Return how long the request asks to wait; 0 when it does not, or not in a usable way."""
    if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] != PATH:
        return 0.0
    given = parse_qs(scope.get("query_string", b"").decode("latin1")).get("wait", ["0"])[-1]
    try:
        seconds = float(given)
    except ValueError:
        return 0.0  # refused by the view
    return seconds if 0 < seconds <= MOST_SECONDS else 0.0
