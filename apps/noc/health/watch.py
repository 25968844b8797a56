"""A websocket that waits for one canary: a client of the feed that gives up instead of retrying."""

import json
from contextlib import ExitStack
from time import monotonic
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

OPEN_SECONDS = 5.0
CLOSE_SECONDS = 0.5


class NotWatching(Exception):
    """The websocket does not open, or ended; the text tells what happened there."""


class Watch:
    """An open websocket that has reached the end of the log: what follows is live."""

    def __init__(self, url: str, ticket: str) -> None:
        """
        Open it with this ticket.

        Raises:
            NotWatching: it was refused, or is not ready within five seconds.
        """
        self._where = shown(url)
        self._stack = ExitStack()
        self._socket = self._open(url, ticket)
        try:
            self.hello = self._until("hello", OPEN_SECONDS)
            self._until("synced", OPEN_SECONDS)
        except BaseException:
            self.close()
            raise

    def received(self, canary_id: int, *, seconds: float) -> bool:
        """
        Wait for this canary; return whether it came within ``seconds``.

        Raises:
            NotWatching: the websocket ended before.
        """
        deadline = monotonic() + seconds
        try:
            while True:
                frame = self._frame(deadline)
                if frame.get("type") == "canary" and frame.get("canary_id") == canary_id:
                    return True
        except TimeoutError:
            return False

    def close(self) -> None:
        self._stack.close()

    def __enter__(self) -> "Watch":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self, url: str, ticket: str) -> ClientConnection:
        try:
            opening = connect(
                url,
                subprotocols=[Subprotocol(ticket)],
                compression=None,
                open_timeout=OPEN_SECONDS,
                close_timeout=CLOSE_SECONDS,
                ping_interval=None,
                proxy=None,
            )
            return self._stack.enter_context(opening)
        except InvalidStatus as refused:
            status = refused.response.status_code
            raise NotWatching(f"{self._where} answered HTTP {status}") from None
        except InvalidURI:
            raise NotWatching(f"{self._where} is no address of a feed") from None
        except (OSError, InvalidHandshake, ConnectionClosed) as error:
            raise NotWatching(f"no websocket at {self._where}: {error or 'no answer'}") from None

    def _until(self, kind: str, seconds: float) -> dict[str, Any]:
        deadline = monotonic() + seconds
        try:
            while (frame := self._frame(deadline)).get("type") != kind:
                pass
        except TimeoutError:
            raise NotWatching(f"{self._where} sent no {kind} within {seconds:g} s") from None
        return frame

    def _frame(self, deadline: float) -> dict[str, Any]:
        try:
            text = self._socket.recv(timeout=max(0.0, deadline - monotonic()), decode=True)
            frame: dict[str, Any] = json.loads(text)
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else 1006
            raise NotWatching(f"{self._where} closed the websocket ({code})") from None
        except ValueError:
            raise NotWatching(f"{self._where} sent what is no frame of the feed") from None
        if frame.get("type") == "bye":
            raise NotWatching(f"{self._where} said bye {frame.get('code')}: {frame.get('reason')}")
        return frame


def shown(url: str) -> str:
    """Return the address without a password that somebody put there."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
