"""
The way of a connection's frames to its client.

ASGI sends one text per message, and a server like uvicorn makes one system call of each. Where the
server offers to take several at once (``project/web.py`` does, by the extension ``noc.frames``), a
burst of events costs one call, and a frame that many sockets get is encoded once for all of them.
"""

import struct
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

EXTENSION = "noc.frames"

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Frame:
    """One text frame; its bytes on the wire are made when first needed, and kept."""

    __slots__ = ("_wire", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._wire: bytes | None = None

    @property
    def wire(self) -> bytes:
        """The frame as a server sends it without compression (RFC 6455, section 5.2)."""
        if self._wire is None:
            body = self.text.encode()
            if len(body) < 126:
                head = struct.pack("!BB", 0x81, len(body))
            elif len(body) < 65536:
                head = struct.pack("!BBH", 0x81, 126, len(body))
            else:
                head = struct.pack("!BBQ", 0x81, 127, len(body))
            self._wire = head + body
        return self._wire


class Outlet(Protocol):
    async def send(self, frames: Sequence[Frame]) -> None:
        """
        Hand the frames over in order; return when the server has room for more.

        Raises:
            OSError: the client has gone.
        """

    def unsent_bytes(self) -> int:
        """Return how much the client has not got yet; 0 when the server cannot tell."""

    async def close(self, code: int, reason: str, last: Frame) -> None:
        """Send the last frame and close, without waiting for a client that does not read."""


class Texts:
    """Any ASGI server."""

    def __init__(self, send: Send) -> None:
        self._send = send

    async def send(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            await self._send({"type": "websocket.send", "text": frame.text})

    def unsent_bytes(self) -> int:
        return 0

    async def close(self, code: int, reason: str, last: Frame) -> None:
        await self.send([last])
        await self._send({"type": "websocket.close", "code": code, "reason": reason})


class Wire:
    """A server that takes the bytes of several frames at once."""

    def __init__(self, send: Send, unsent_bytes: Callable[[], int]) -> None:
        self._send = send
        self.unsent_bytes = unsent_bytes

    async def send(self, frames: Sequence[Frame]) -> None:
        data = b"".join([frame.wire for frame in frames])
        await self._send({"type": EXTENSION, "data": data, "wait": True})

    async def close(self, code: int, reason: str, last: Frame) -> None:
        await self._send({"type": EXTENSION, "data": last.wire, "wait": False})
        await self._send({"type": "websocket.close", "code": code, "reason": reason})


def outlet_of(scope: dict[str, Any], send: Send) -> Outlet:
    """Return the best way that the server of this connection offers."""
    offered = scope.get("extensions", {}).get(EXTENSION)
    return Texts(send) if offered is None else Wire(send, offered["unsent_bytes"])
