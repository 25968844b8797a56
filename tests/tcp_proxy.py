"""
A TCP proxy that fails on demand, between a program and a server on this host.

A black hole forwards nothing and closes nothing: what arrives meanwhile is held, as the network
would send it again, and passes when the hole is gone. ``lose`` makes the open connections half
open for ever, while new ones pass.
"""

import asyncio
import socket
import struct
import threading
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, kw_only=True)
class Mode:
    to_server: bool = True  # False: nothing passes this way
    to_client: bool = True
    delay_seconds: float = 0  # before each slice
    slice_bytes: int = CHUNK_BYTES
    listens: bool = True  # False: connections are refused, and the open ones are ended
    resets: bool = False  # every connection is accepted and reset

    def lets(self, to_server: bool) -> bool:
        return self.to_server if to_server else self.to_client


PASS = Mode()
DOWN = Mode(listens=False)
RESET = Mode(resets=True)
BLACK_HOLE = Mode(to_server=False, to_client=False)
DEAF = Mode(to_server=False)  # the server hears nothing
MUTE = Mode(to_client=False)  # the client hears nothing


def latency(seconds: float) -> Mode:
    return Mode(delay_seconds=seconds)


def sliced(slice_bytes: int, delay_seconds: float = 0) -> Mode:
    return Mode(slice_bytes=slice_bytes, delay_seconds=delay_seconds)


class TcpProxy:
    """Listens on ``port`` from when it is made, in a thread of its own, until ``close``."""

    def __init__(self, server_port: int) -> None:
        self._server_port = server_port
        self._mode = PASS
        self._generation = 0  # connections of an earlier one are lost
        self._changed = asyncio.Condition()
        self._links: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="tcp-proxy")
        self._thread.start()
        self._listener = self._call(self._listen(0))
        self.port: int = self._listener.sockets[0].getsockname()[1]

    def set(self, mode: Mode) -> None:
        """Behave so from now on, open connections included."""
        self._call(self._set(mode))

    def lose(self) -> None:
        """Let nothing of the open connections pass any more, and close none of them."""
        self._call(self._lose())

    def close(self) -> None:
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # --- in the proxy's thread ------------------------------------------------------------------

    def _call(self, action: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(action, self._loop).result(10)

    async def _listen(self, port: int) -> asyncio.Server:
        return await asyncio.start_server(self._accept, "127.0.0.1", port)

    async def _set(self, mode: Mode) -> None:
        if mode.listens and not self._listener.is_serving():
            self._listener = await self._listen(self.port)
        self._mode = mode
        if not mode.listens:
            self._listener.close()
        if not mode.listens or mode.resets:
            await self._end_links()
        async with self._changed:
            self._changed.notify_all()

    async def _lose(self) -> None:
        self._generation += 1

    async def _close(self) -> None:
        self._listener.close()
        await self._end_links()

    async def _end_links(self) -> None:
        links = list(self._links)
        for link in links:
            link.cancel()
        await asyncio.gather(*links, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        link = asyncio.current_task()
        assert link is not None
        self._links[link] = client
        try:
            with suppress(OSError):
                await self._serve(reader, client)
        except asyncio.CancelledError:
            pass  # ``set`` or ``close`` ends it; asyncio would report it as unhandled
        finally:
            _reset(client)
            del self._links[link]

    async def _serve(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        generation = self._generation
        await self._passage(generation, to_server=True)
        if self._mode.resets:
            return
        answers, server = await asyncio.open_connection("127.0.0.1", self._server_port)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, server, generation, to_server=True))
                both.create_task(self._pump(answers, client, generation, to_server=False))
        except* OSError:
            pass  # one side has gone: so does the other
        finally:
            _reset(server)

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        generation: int,
        *,
        to_server: bool,
    ) -> None:
        while data := await source.read(CHUNK_BYTES):
            size = self._mode.slice_bytes
            for start in range(0, len(data), size):
                if self._mode.delay_seconds:
                    await asyncio.sleep(self._mode.delay_seconds)
                await self._passage(generation, to_server=to_server)
                sink.write(data[start : start + size])
                await sink.drain()
        await self._passage(generation, to_server=to_server)
        sink.write_eof()

    async def _passage(self, generation: int, *, to_server: bool) -> None:
        """Wait until this way is open; for ever when the connection is lost."""
        async with self._changed:
            await self._changed.wait_for(
                lambda: generation == self._generation and self._mode.lets(to_server)
            )


def _reset(writer: asyncio.StreamWriter) -> None:
    """Close without a goodbye; after an orderly end on both sides nobody sees the difference."""
    sock = writer.get_extra_info("socket")
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
