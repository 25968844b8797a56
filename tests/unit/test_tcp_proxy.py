"""The proxy's modes, between plain sockets and a server that echoes."""

import socket
import socketserver
import threading
from collections.abc import Callable, Iterator

import pytest

from tests import tcp_proxy
from tests.tcp_proxy import TcpProxy

QUIET_SECONDS = 0.2


class Echo(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(65536):
            self.request.sendall(data)


@pytest.fixture
def proxy() -> Iterator[TcpProxy]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        server.block_on_close = False
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        proxy = TcpProxy(server.server_address[1])
        try:
            yield proxy
        finally:
            proxy.close()
            server.shutdown()
            thread.join()


@pytest.fixture
def connect(proxy: TcpProxy) -> Iterator[Callable[[], socket.socket]]:
    opened = []

    def open_() -> socket.socket:
        opened.append(socket.create_connection(("127.0.0.1", proxy.port), timeout=10))
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


def echoed(client: socket.socket, data: bytes) -> bytes:
    client.sendall(data)
    return received(client, len(data))


def received(client: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := client.recv(size - len(data))):
        data += more
    return data


def silent(client: socket.socket) -> bool:
    """Tell whether nothing comes, not even an end, for a moment."""
    client.settimeout(QUIET_SECONDS)
    try:
        client.recv(1)
    except TimeoutError:
        return True
    finally:
        client.settimeout(10)
    return False


class TestProxy:
    @pytest.mark.parametrize(
        "mode",
        [tcp_proxy.PASS, tcp_proxy.latency(0.01), tcp_proxy.sliced(7), tcp_proxy.sliced(1, 0.001)],
    )
    def test_passes_everything_in_order(
        self,
        proxy: TcpProxy,
        connect: Callable[[], socket.socket],
        mode: tcp_proxy.Mode,
    ) -> None:
        proxy.set(mode)
        client = connect()

        assert echoed(client, bytes(range(100))) == bytes(range(100))
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""

    def test_refuses_while_it_is_down_and_ends_what_was_open(
        self, proxy: TcpProxy, connect: Callable[[], socket.socket]
    ) -> None:
        client = connect()
        echoed(client, b"x")

        proxy.set(tcp_proxy.DOWN)

        with pytest.raises(ConnectionResetError):
            client.recv(1)
        with pytest.raises(ConnectionRefusedError):
            connect()
        proxy.set(tcp_proxy.PASS)
        assert echoed(connect(), b"y") == b"y"

    def test_resets_every_connection(
        self, proxy: TcpProxy, connect: Callable[[], socket.socket]
    ) -> None:
        client = connect()
        echoed(client, b"x")

        proxy.set(tcp_proxy.RESET)

        with pytest.raises(ConnectionResetError):
            client.recv(1)
        with pytest.raises(ConnectionResetError):
            connect().recv(1)

    @pytest.mark.parametrize("mode", [tcp_proxy.BLACK_HOLE, tcp_proxy.DEAF, tcp_proxy.MUTE])
    def test_holds_in_a_black_hole_what_passes_afterwards(
        self, proxy: TcpProxy, connect: Callable[[], socket.socket], mode: tcp_proxy.Mode
    ) -> None:
        before = connect()
        echoed(before, b"x")

        proxy.set(mode)
        during = connect()
        for client in (before, during):
            client.sendall(b"held")
            assert silent(client)

        proxy.set(tcp_proxy.PASS)
        assert received(before, 4) == received(during, 4) == b"held"

    def test_loses_the_open_connections_and_passes_new_ones(
        self, proxy: TcpProxy, connect: Callable[[], socket.socket]
    ) -> None:
        lost = connect()
        echoed(lost, b"x")

        proxy.lose()
        lost.sendall(b"y")

        assert echoed(connect(), b"z") == b"z"
        assert silent(lost)
