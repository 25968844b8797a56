"""Follows the feed over as many connections as it takes."""

import json
import logging
import threading
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from time import monotonic
from typing import Any
from urllib.parse import urlencode, urlsplit

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from apps.noc.client import web
from apps.noc.client.backoff import Backoff
from apps.noc.client.errors import BadFrame, FeedStopped, Lost
from apps.noc.client.follower import Event, Follower, Frame, Reset

logger = logging.getLogger(__name__)

OPEN_SECONDS = 15.0
CLOSE_SECONDS = 1.0  # a connection that is half open does not answer the goodbye
ACK_SECONDS = 5.0
RESUME_HERE = 4001
STOPS = range(4400, 4500)
RETRIED = frozenset({408, 429})

State = Callable[[str, str], None]


class FeedClient:
    """
    Iterate over it for ``Event`` and ``Reset``: each event once, in order, for as long as it takes.

    ``url`` is like ``ws://HOST/ws/noc/``. It starts after event ``after_seq`` of the log ``epoch``,
    without them at the present end. ``sites`` are the ids of the only sites to see. ``on_state`` is
    called with ``connecting``, ``catching-up``, ``live`` or ``stale``, and a reason.

    An event counts as handled when the next one is asked for, and is acknowledged then. Iterating
    raises ``FeedStopped`` when the server does not want the client back.
    """

    def __init__(
        self,
        url: str,
        *,
        token: str,
        after_seq: int | None = None,
        epoch: str | None = None,
        sites: Collection[int] | None = None,
        on_state: State = lambda state, reason: None,
    ) -> None:
        if urlsplit(url).scheme not in ("ws", "wss"):
            raise ValueError(f"{url!r} is no address of a feed: it begins with ws:// or wss://")
        if (after_seq is None) is not (epoch is None):
            raise ValueError("after_seq and epoch belong together: give both or neither")
        self.url = url
        self.state = ""
        self._token = token
        self._on_state = on_state
        self._follower = Follower(after_seq, epoch, sites)
        self._backoff = Backoff()
        self._closed = threading.Event()
        self._socket: ClientConnection | None = None
        self._unacked = 0
        self._ack_at = 0.0

    @property
    def position(self) -> tuple[int, str] | None:
        """``after_seq`` and ``epoch`` with which another client goes on; None before the first."""
        seq, epoch = self._follower.seq, self._follower.epoch
        return None if seq is None or epoch is None else (seq, epoch)

    def snapshot(self) -> dict[str, Any]:
        """
        Return ``{epoch, seq, scope, tickets}``, and go on with the events after it.

        Raises:
            OSError: the server did not answer, or failed.
            FeedStopped: it refused the token.
        """
        taken = web.snapshot(self.url, self._token)
        self._follower.place(taken["seq"], taken["epoch"])
        return taken

    def close(self) -> None:
        """End the iteration, from any thread."""
        self._closed.set()
        if (socket := self._socket) is not None:
            socket.close()

    def __iter__(self) -> Iterator[Event | Reset]:
        while not self._closed.is_set():
            started = monotonic()
            try:
                yield from self._one_connection()
            except Lost as lost:
                if self._closed.is_set():
                    return
                self._backoff.lived(monotonic() - started)
                self._tell("stale", str(lost))
                if not lost.at_once:
                    self._closed.wait(self._backoff.pause(lost.retry_after_ms))

    def _one_connection(self) -> Iterator[Event | Reset]:
        self._tell("connecting")
        with ExitStack() as stack:
            socket = self._socket = self._connect(stack)
            stack.callback(setattr, self, "_socket", None)
            self._follower.connected()
            self._unacked = 0
            self._tell("catching-up")
            try:
                yield from self._follow(socket)
            except ConnectionClosed as closed:
                raise self._end_of(closed.rcvd.code if closed.rcvd else 1006) from None
            except BadFrame as bad:
                logger.warning("Not a frame of the feed, connecting anew: %s", bad)
                raise Lost("the server sent what is no frame of the feed") from bad

    def _connect(self, stack: ExitStack) -> ClientConnection:
        query = ""
        if (position := self.position) is not None:
            query = "?" + urlencode({"after_seq": position[0], "epoch": position[1]})
        try:
            return stack.enter_context(
                connect(
                    self.url + query,
                    additional_headers={"Authorization": f"Token {self._token}"},
                    compression=None,
                    open_timeout=OPEN_SECONDS,
                    close_timeout=CLOSE_SECONDS,
                    ping_interval=None,  # the feed has its own
                )
            )
        except InvalidStatus as refused:
            status = refused.response.status_code
            if 400 <= status < 500 and status not in RETRIED:
                reason = f"HTTP {status}"
                if status in (401, 403):
                    status, reason = 403, web.why_refused(self.url, self._token)
                raise FeedStopped(status, reason) from None
            raise Lost(f"the server answered {status}") from None
        except (OSError, InvalidHandshake, ConnectionClosed) as error:
            raise Lost(f"no connection: {error}") from None

    def _follow(self, socket: ClientConnection) -> Iterator[Event | Reset]:
        follower = self._follower
        heard = monotonic()
        while True:
            while (request := follower.request()) is not None:
                self._say(socket, request)
            if follower.live:
                self._tell("live")
            silent_at = heard + 1.5 * follower.ping_seconds + 5
            until = min(silent_at, self._ack_at) if self._unacked else silent_at
            try:
                text = socket.recv(timeout=max(0.0, until - monotonic()), decode=True)
            except TimeoutError:
                if self._unacked:
                    self._ack(socket)
                if monotonic() >= silent_at:
                    raise Lost("the server has fallen silent") from None
                continue
            item = follower.take(text)
            if isinstance(item, Event):
                yield item
                self._handled(socket)
            elif isinstance(item, Reset):
                self._tell("catching-up", f"reset: {item.reason}")
                yield item
            elif item is not None:
                self._say(socket, item)
            heard = monotonic()  # after the caller, who may have taken long

    def _handled(self, socket: ClientConnection) -> None:
        if not self._unacked:
            self._ack_at = monotonic() + ACK_SECONDS
        self._unacked += 1
        if self._unacked >= self._follower.ack_every or monotonic() >= self._ack_at:
            self._ack(socket)

    def _ack(self, socket: ClientConnection) -> None:
        self._unacked = 0
        self._say(socket, {"type": "ack", "seq": self._follower.seq})

    @staticmethod
    def _say(socket: ClientConnection, frame: Frame) -> None:
        socket.send(json.dumps(frame))

    def _end_of(self, code: int) -> Exception:
        reason = self._follower.farewell or f"the connection was closed ({code})"
        if code in STOPS:
            return FeedStopped(code, reason)
        at_once = code == RESUME_HERE and self._follower.greeted
        return Lost(reason, retry_after_ms=self._follower.retry_after_ms, at_once=at_once)

    def _tell(self, state: str, reason: str = "") -> None:
        if (state, reason) != (self.state, ""):
            self.state = state
            self._on_state(state, reason)
