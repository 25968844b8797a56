"""A websocket client down to the bytes: it reads when it is told to, and leaves without a word."""

import base64
import json
import os
import socket
import struct
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from tests.integration.web_process import WebProcess

TEXT, CLOSE = 1, 8


class RawClient:
    """
    ``receive_buffer``: what was not read beyond these bytes waits at the server. ``segment``: the
    bytes of one packet, as on a network; the loopback's are larger than a small window.
    """

    def __init__(
        self,
        web: WebProcess,
        headers: Mapping[str, str],
        query: str = "",
        *,
        receive_buffer: int = 4096,
        segment: int = 1400,
    ) -> None:
        self.frames: list[dict[str, Any]] = []
        self.close_code: int | None = None
        self.received = 0  # bytes
        self.ended = False
        self._buffer = b""
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        self.socket.settimeout(30)
        self.socket.connect(("127.0.0.1", web.port))
        lines = [
            f"GET /ws/noc/{query} HTTP/1.1",
            f"Host: 127.0.0.1:{web.port}",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        self.handshake = ("\r\n".join(lines) + "\r\n\r\n").encode()

    def open(self) -> "RawClient":
        """Shake hands and read nothing more."""
        self.socket.sendall(self.handshake)
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            byte = self.socket.recv(1)
            assert byte, answer
            answer += byte
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        return self

    def read(self, size: int = 65536) -> None:
        """Read at most ``size`` bytes into ``frames``; sets ``ended`` at the end or a reset."""
        try:
            data = self.socket.recv(size)
        except ConnectionError:
            data = b""
        self.ended = not data
        self.received += len(data)
        self._buffer += data
        self._parse()

    def read_slowly(self, bytes_per_second: int, *, until_seq: int) -> None:
        """Read at this rate until the event with this number has come, or the end."""
        slice_bytes = max(1, bytes_per_second // 50)
        while not self.ended and not (self.frames and self.frames[-1].get("seq") == until_seq):
            self.read(slice_bytes)
            time.sleep(slice_bytes / bytes_per_second)  # the rate is what is tried

    def read_to_the_end(self) -> None:
        while not self.ended:
            self.read()

    def reset(self) -> None:
        """End the connection without a goodbye: the server's system sees a reset."""
        with suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _parse(self) -> None:
        while (frame := self._next()) is not None:
            opcode, payload = frame
            if opcode == TEXT:
                self.frames.append(json.loads(payload))
            elif opcode == CLOSE:
                self.close_code = int.from_bytes(payload[:2], "big")

    def _next(self) -> tuple[int, bytes] | None:
        """Take one whole frame off the buffer; a server sends them unmasked and in one piece."""
        data = self._buffer
        if len(data) < 2:
            return None
        size, start = data[1], 2
        if size >= 126:
            start = 4 if size == 126 else 10
            if len(data) < start:
                return None
            size = int.from_bytes(data[2:start], "big")
        if len(data) < start + size:
            return None
        self._buffer = data[start + size :]
        return data[0] & 0x0F, data[start : start + size]
