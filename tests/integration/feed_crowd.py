"""Many strict clients of the feed, in an event loop of their own thread."""

import asyncio
import json
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Subprotocol

from tests.integration.processes import until
from tests.protocol_schemas import Conversation

STAYS_AWAY = range(4400, 4500)


class Watcher:
    """
    A client that keeps the rules of the protocol and notes each frame that breaks them.

    It comes back after a loss with its cursor, unless ``returns`` is false or the close code
    forbids it. ``last`` and ``epoch`` are its cursor; given at the start, it begins there. After a
    reset it goes on from the head that was told, as if it had taken a snapshot, or from ``anew``.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        last: int | None = None,
        epoch: str | None = None,
        anew: int | None = None,
        returns: bool = True,
        subprotocol: str | None = None,
    ) -> None:
        self.url = url
        self.headers = headers
        self.returns = returns
        self.anew = anew
        self.last = last
        self.epoch = epoch
        self.hello: dict[str, Any] = {}
        self.synced = False
        self.resets: list[str] = []  # reasons
        self.events: list[dict[str, Any]] = []
        self.arrived: dict[int, float] = {}  # seq -> seconds since 1970
        self.byes: list[dict[str, Any]] = []
        self.codes: list[int] = []  # of every close; 1006 is a loss
        self.closed_at = 0.0  # the last close, in seconds since 1970
        self.refusals: list[int] = []  # HTTP statuses
        self.unreachable = 0  # connects to where nobody listened
        self.connects = 0  # that were greeted
        self.breaches: list[str] = []
        self.said: list[tuple[str, list[tuple[str, str]]]] = []  # per connection: query, frames
        self._subprotocols = [Subprotocol(subprotocol)] if subprotocol else None
        self._ending = False

    @property
    def seqs(self) -> list[int]:
        return [event["seq"] for event in self.events]

    @property
    def ended(self) -> bool:
        """True when it will not come back."""
        return self._ending

    async def run(self) -> None:
        while not self._ending:
            bye: dict[str, Any] | None = None
            try:
                query = self._query()
                async with connect(
                    self.url + query,
                    additional_headers=self.headers,
                    subprotocols=self._subprotocols,
                    compression=None,
                    proxy=None,
                    open_timeout=60,
                    ping_interval=None,
                ) as socket:
                    self.said.append((query, []))
                    bye = await self._follow(socket)
            except InvalidHandshake as refused:
                response = getattr(refused, "response", None)
                self.refusals.append(response.status_code if response is not None else 0)
                self._ending = not self.returns or self.refusals[-1] == 403
            except OSError:  # nobody listens: it is being restarted, or about to end
                self.unreachable += 1
                self._ending = not self.returns
            if not self._ending:
                await asyncio.sleep(self._pause(bye))

    def _query(self) -> str:
        return "" if self.epoch is None else f"?after_seq={self.last}&epoch={self.epoch}"

    async def _follow(self, socket: ClientConnection) -> dict[str, Any] | None:
        bye = None
        self.synced = False
        with suppress(ConnectionClosed):
            async for text in socket:
                self._note("server", text)
                frame = json.loads(text)
                if frame["type"] == "bye":
                    bye = frame
                    self.byes.append(frame)
                elif frame["type"] == "reset":
                    await self._start_anew(socket, frame)
                else:
                    self._take(frame)
        code = socket.close_code or 1006
        self.closed_at = time.time()
        self.codes.append(code)
        self._ending = self._ending or not self.returns or code in STAYS_AWAY
        return bye

    def _note(self, side: str, text: str | bytes) -> None:
        assert isinstance(text, str)
        self.said[-1][1].append((side, text))

    def check(self) -> None:
        """Fail when a frame, or the order of frames, was against the protocol."""
        for query, frames in self.said:
            conversation = Conversation(query)
            for side, text in frames:
                (conversation.server if side == "server" else conversation.client)(text)

    def _pause(self, bye: dict[str, Any] | None) -> float:
        if bye is None:
            return random.uniform(0.05, 0.3)
        return float(bye["retry_after_ms"]) / 1000

    async def _start_anew(self, socket: ClientConnection, reset: dict[str, Any]) -> None:
        self.resets.append(reset["reason"])
        self.last = reset["head"] if self.anew is None else self.anew
        self.epoch, self.synced = reset["epoch"], False
        resume = {"type": "resume", "after_seq": self.last, "epoch": self.epoch}
        with suppress(ConnectionClosed):  # what came before the close is still to be read
            self._note("client", json.dumps(resume))
            await socket.send(json.dumps(resume))

    def _take(self, frame: dict[str, Any]) -> None:
        match frame["type"]:
            case "hello":
                self.hello = frame
                self.connects += 1
                if self.epoch is None:
                    self.last, self.epoch = frame["head"], frame["epoch"]
            case "synced":
                self._at_least(frame["seq"], "synced")
                self.synced = True
            case "ping":
                self._at_least(frame["pos"], "ping")
            case "error":
                pass
            case _:
                self._apply(frame)

    def _apply(self, event: dict[str, Any]) -> None:
        seq, prev, last = event["seq"], event["prev"], self.last
        assert last is not None
        if event["epoch"] != self.epoch:
            self.breaches.append(f"{seq} of epoch {event['epoch']}")
        if seq <= last:
            self.breaches.append(f"{seq} again, or too late, after {last}")
        whole = self.hello["scope"]["sites"] == "*"
        if prev > last or (whole and prev != last):
            self.breaches.append(f"{seq} with prev {prev} after {last}")
        self.last = max(last, seq)
        self.events.append(event)
        self.arrived[seq] = time.time()

    def _at_least(self, seq: int, what: str) -> None:
        assert self.last is not None
        if seq < self.last:
            self.breaches.append(f"{what} {seq} after {self.last}")
        self.last = max(self.last, seq)


class Crowd:
    """Runs watchers until ``close``."""

    def __init__(self) -> None:
        self.watchers: list[Watcher] = []
        self._tasks: dict[Watcher, asyncio.Task[None]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="crowd")
        self._thread.start()

    def add(self, *watchers: Watcher) -> None:
        """Let them connect, all at once."""
        self.watchers += watchers
        self._call(self._start(watchers))

    def leave(self, *watchers: Watcher) -> None:
        """End these clients and wait until their connections are closed."""
        self._call(self._end(watchers))

    def close(self) -> None:
        """End all clients, and check what was said; later, since it takes longer than saying it."""
        self.leave(*self._tasks)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        for watcher in self.watchers:
            watcher.check()

    def _call(self, action: Any) -> None:
        asyncio.run_coroutine_threadsafe(action, self._loop).result(60)

    async def _start(self, watchers: Iterable[Watcher]) -> None:
        for watcher in watchers:
            self._tasks[watcher] = asyncio.create_task(watcher.run())

    async def _end(self, watchers: Iterable[Watcher]) -> None:
        tasks = [self._tasks.pop(watcher) for watcher in list(watchers)]
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result


def all_of(
    watchers: Iterable[Watcher],
    condition: Callable[[Watcher], Any],
    *,
    seconds: float = 30,
    what: str = "",
) -> None:
    """Wait until the condition holds for each; name what is left when it does not."""
    left = list(watchers)

    def met() -> bool:
        left[:] = [watcher for watcher in left if not condition(watcher)]
        return not left

    try:
        until(met, seconds=seconds, what=what)
    except AssertionError:
        told = [
            f"last {each.last}, codes {each.codes}, refused {each.refusals}, byes {each.byes}"
            for each in left[:5]
        ]
        raise AssertionError(f"{len(left)} never: {what}; {told}") from None
