"""
The web process: uvicorn, with what the feed needs of its server.

- Several frames in one write (the ASGI extension of ``apps/noc/feed/outlet.py``): with one call of
  the system per frame, those calls are most of the cost of a burst.
- A client that does not read is let go of: uvicorn alone keeps the socket and its buffer until the
  client reads or its machine is known to be gone.
- SIGTERM sends the websockets away, spread over time, before the server ends; uvicorn alone closes
  all of them at once, and they come back at once.
"""

import argparse
import asyncio
import fcntl
import os
import signal
import socket
import sys
import termios
from types import FrameType
from typing import Any

import uvicorn
from django.conf import settings
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.protocol import State

FRAMES = "noc.frames"
MAX_FRAME_BYTES = 65_536  # that a client may send
GRACEFUL_SECONDS = 20  # for HTTP requests, after the websockets were sent away
CLOSE_SECONDS = 10.0  # for the rest of the buffer and the answer to our close
SEND_BUFFER_BYTES = 128 * 1024  # the kernel takes twice that; by itself it would take megabytes


class FeedProtocol(WebSocketsSansIOProtocol):
    """One websocket of the server."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None and connection.family in (socket.AF_INET, socket.AF_INET6):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)

    def handle_connect(self, event: Any) -> None:
        super().handle_connect(event)
        if hasattr(self, "scope"):
            self.scope["extensions"][FRAMES] = {"unsent_bytes": self.unsent_bytes}

    def unsent_bytes(self) -> int:
        """Return how much was handed over that the client's machine has not acknowledged."""
        if self.transport.is_closing():
            return 0
        connection = self.transport.get_extra_info("socket")
        held = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
        return int(self.transport.get_write_buffer_size()) + int.from_bytes(held, sys.byteorder)

    async def send(self, message: Any) -> None:
        kind = message["type"]
        if kind == FRAMES:
            if message["wait"] and not self.writable.is_set():
                await self.writable.wait()
            if self.disconnected or self.conn.state is not State.OPEN:
                raise ClientDisconnected
            self.transport.write(message["data"])
            return
        if kind == "websocket.close":
            self.writable.set()  # or a client that does not read could not even be let go of
        await super().send(message)
        if kind == "websocket.close" and self.close_timer is not None:
            self.close_timer.cancel()
            self.close_timer = self.loop.call_later(CLOSE_SECONDS, self.transport.abort)


class FeedServer(uvicorn.Server):
    """uvicorn's server, which empties the feed before it ends."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._captured_signals.clear()  # or it ends by them after all was done

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if settings.DEMO_CONTROL:
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, self.cut)

    def cut(self) -> None:
        """End every websocket without a word, as a network that fails does. In a demo alone."""
        for connection in list(self.server_state.connections):
            if isinstance(connection, FeedProtocol):
                connection.transport.abort()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()  # nobody new
        try:
            if not self.force_exit:
                from apps.noc.feed.hub import drain

                await drain()
        finally:
            await super().shutdown(sockets)


def config(*, host: str, port: int, **options: Any) -> uvicorn.Config:
    """Return uvicorn's configuration for the site."""
    return uvicorn.Config(
        "project.asgi:application",
        host=host,
        port=port,
        ws=FeedProtocol,
        ws_per_message_deflate=False,
        ws_max_size=MAX_FRAME_BYTES,
        forwarded_allow_ips=settings.FORWARDED_ALLOW_IPS,
        access_log=False,  # project/request_id.py writes the line of a request
        # Its pings wait behind the frames in the buffers, so it would end clients that are slow but
        # alive. The feed pings, and ends who takes nothing.
        ws_ping_interval=None,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
        **options,
    )


def main() -> None:
    """Serve until a signal ends it."""
    parser = argparse.ArgumentParser(description="The web process.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    FeedServer(config(host=arguments.host, port=arguments.port)).run()


if __name__ == "__main__":
    main()
