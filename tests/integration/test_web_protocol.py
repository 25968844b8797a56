"""What the web process adds to uvicorn's websockets, on real sockets, under a small application."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
import uvicorn
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from apps.noc.feed.outlet import Frame, outlet_of
from project import web
from tests.integration.processes import until

Serve = Callable[[dict[str, Any], Callable[[], Awaitable[Any]], Callable[..., Any]], Awaitable[Any]]
BIG = Frame("x" * 64 * 1024)


class Served:
    """A server whose application accepts a websocket and does what the test gives it."""

    def __init__(self, serve: Serve) -> None:
        self.outcome: Future[Any] = Future()
        self._serve = serve
        config = uvicorn.Config(
            self._application,
            interface="asgi3",
            ws=web.FeedProtocol,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            port=0,
            timeout_graceful_shutdown=5,
        )
        self.server = uvicorn.Server(config)
        self._thread = threading.Thread(target=lambda: asyncio.run(self.server.serve()))
        self._thread.start()
        until(lambda: self.server.started)

    async def _application(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        try:
            self.outcome.set_result(await self._serve(scope, receive, send))
        except BaseException as error:
            self.outcome.set_exception(error)

    def connect(self) -> ClientConnection:
        port = self.server.servers[0].sockets[0].getsockname()[1]
        # One frame is taken from the socket ahead of the test, so a client may not read.
        return connect(f"ws://127.0.0.1:{port}", max_queue=1, max_size=None, compression=None)

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)

    def stop(self) -> None:
        self.server.should_exit = True
        self._thread.join(30)
        assert not self._thread.is_alive()


@pytest.fixture
def serve() -> Iterator[Callable[[Serve], Served]]:
    started: list[Served] = []

    def start(application: Serve) -> Served:
        started.append(Served(application))
        return started[-1]

    yield start
    for served in started:
        served.stop()


async def blocked(send_one: Callable[[], Awaitable[None]]) -> None:
    """Send until the client's not reading holds the sender."""
    while True:
        try:
            async with asyncio.timeout(0.5):
                await send_one()
                await asyncio.sleep(0)  # or the loop would not learn that the client has gone
        except TimeoutError:
            return


def client_texts(client: ClientConnection) -> Iterator[str]:
    """Read until the connection is closed."""
    while True:
        try:
            yield str(client.recv(30))
        except ConnectionClosed:
            return


class TestFrames:
    def test_of_one_write_arrive_one_by_one(self, serve: Callable[[Serve], Served]) -> None:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            await outlet_of(scope, send).send([Frame("one"), Frame("é" * 300), Frame("three")])
            await receive()

        with serve(application).connect() as client:
            assert [client.recv(10) for _ in range(3)] == ["one", "é" * 300, "three"]

    def test_to_who_has_left_raise_an_error(self, serve: Callable[[Serve], Served]) -> None:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            while (await receive())["type"] != "websocket.disconnect":
                pass
            await outlet_of(scope, send).send([Frame("too late")])

        served = serve(application)
        with served.connect() as client:
            client.close()

        assert isinstance(served.outcome.exception(10), OSError)

    def test_wait_for_who_does_not_read(self, serve: Callable[[Serve], Served]) -> None:
        sent, full = [], threading.Event()

        async def application(scope: Any, receive: Any, send: Any) -> None:
            outlet = outlet_of(scope, send)

            async def one() -> None:
                await outlet.send([BIG])
                sent.append(BIG)

            await blocked(one)
            full.set()
            await outlet.send([Frame("last")])
            await receive()

        served = serve(application)
        with served.connect() as client:
            assert full.wait(30)
            texts = [client.recv(30)]
            while texts[-1] != "last":
                texts.append(client.recv(30))

        assert len(texts) == len(sent) + 1


class TestClose:
    def test_comes_after_the_last_frame_although_the_client_was_not_reading(
        self, serve: Callable[[Serve], Served]
    ) -> None:
        gone = threading.Event()

        async def application(scope: Any, receive: Any, send: Any) -> None:
            outlet = outlet_of(scope, send)
            await blocked(lambda: outlet.send([BIG]))
            await outlet.close(4100, "slow", Frame("bye"))
            gone.set()

        with serve(application).connect() as client:
            assert gone.wait(30)
            texts = list(client_texts(client))

        assert texts[-1] == "bye"
        assert client.close_code == 4100

    def test_lets_go_of_who_never_reads(
        self, serve: Callable[[Serve], Served], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(web, "CLOSE_SECONDS", 0.1)

        async def application(scope: Any, receive: Any, send: Any) -> None:
            outlet = outlet_of(scope, send)
            await blocked(lambda: outlet.send([BIG]))
            await outlet.close(4100, "slow", Frame("bye"))

        served = serve(application)
        client = served.connect()
        try:
            served.outcome.result(60)
            until(lambda: served.connections == 0)
        finally:
            client.socket.close()

    def test_of_the_client_while_a_frame_waits_ends_the_sending(
        self, serve: Callable[[Serve], Served]
    ) -> None:
        full = threading.Event()

        async def application(scope: Any, receive: Any, send: Any) -> None:
            outlet = outlet_of(scope, send)
            await blocked(lambda: outlet.send([BIG]))
            full.set()
            await outlet.send([BIG])

        served = serve(application)
        client = served.connect()
        assert full.wait(30)
        client.socket.shutdown(2)
        client.socket.close()

        assert isinstance(served.outcome.exception(60), OSError)
