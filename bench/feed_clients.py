"""
A crowd of websocket clients that costs little: raw sockets, one poll, no object per frame.

``join`` reads each frame, as a client does that must know when it is current; it honours `bye` and
its ``retry_after_ms``. ``receive`` counts event frames in the bytes and decodes one client's only,
so that the clients' core has time to spare while the server's has not.
"""

import json
import re
import resource
import select
import socket
import struct
from collections.abc import Iterator, Sequence
from time import perf_counter, sleep
from typing import Any

EVENT = b'"ticket_no"'  # once in each event frame, in no other
PAUSE_SECONDS = 0.01  # between two looks: several frames per read, as on a network
JOIN_SECONDS = 120
READ_BYTES = 1 << 18
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST
PING = b"\x89\x04"  # uvicorn's, with four bytes that the pong repeats; never within ASCII text
_SEQ = re.compile(rb'"seq": ?(\d+)')
_RETRY = (4000, 4001, 4100, 4102)


class Client:
    """One client: its request, where it stands, and what it got."""

    __slots__ = ("bytes", "data", "epoch", "events", "opened", "seq", "socket", "token")

    def __init__(self, token: str) -> None:
        self.token = token
        self.socket: socket.socket | None = None
        self.data = bytearray()
        self.opened = False  # the handshake is over
        self.seq = 0
        self.epoch = ""
        self.events = 0
        self.bytes = 0

    def request(self, path: str, *, resume: bool) -> bytes:
        query = f"?after_seq={self.seq}&epoch={self.epoch}" if resume else ""
        return (
            f"GET {path}{query} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Authorization: Token {self.token}\r\n\r\n"
        ).encode()

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None


class Crowd:
    """
    Clients of one web process, one per token.

    ``greeted``: the server tells when a client is current (the feed's `synced`); otherwise a client
    has joined with the end of its handshake. ``receive_buffer``: bytes, for clients that will not
    read.
    """

    def __init__(
        self, tokens: Sequence[str], *, greeted: bool, receive_buffer: int | None = None
    ) -> None:
        _allow_files(len(tokens) * 2 + 1_000)
        self.clients = [Client(token) for token in tokens]
        self.retries = 0
        self._greeted = greeted
        self._receive_buffer = receive_buffer
        self._poll = select.epoll()
        self._by_number: dict[int, Client] = {}

    def __enter__(self) -> "Crowd":
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def join(self, port: int, path: str, *, resume: bool = False) -> float:
        """
        Connect all at once; return the seconds until the last one has joined.

        Raises:
            TimeoutError: some have not joined within two minutes.
            ConnectionError: the server refused one, or its numbers have a hole.
        """
        began = perf_counter()
        due = [(began, client) for client in self.clients]
        missing = len(self.clients)
        while missing:
            now = perf_counter()
            if now - began > JOIN_SECONDS:
                raise TimeoutError(f"{missing} clients have not joined in {JOIN_SECONDS} s")
            ready = [client for at, client in due if at <= now]
            due = [(at, client) for at, client in due if at > now]
            for client in ready:
                self._connect(client, port, client.request(path, resume=resume or client.seq > 0))
            for number, _ in self._poll.poll(PAUSE_SECONDS, len(self.clients)):
                client = self._by_number[number]
                if (verdict := self._read(client)) is True:
                    missing -= 1
                elif verdict is not None:
                    self.retries += 1
                    self._drop(client)
                    due.append((perf_counter() + verdict, client))
        return perf_counter() - began

    def receive(self, events: int, *, seconds: float = 120) -> float:
        """
        Read until each client has got ``events`` more event frames; return when the last one had.

        Raises:
            TimeoutError: some have not got them in time.
            ConnectionError: a socket ended, or the first client's numbers have a hole.
        """
        until = perf_counter() + seconds
        left = dict.fromkeys(self.clients, events)
        tails = {client: bytes(client.data) for client in self.clients}
        witness, numbers, said = self.clients[0], [], bytearray(self.clients[0].data)
        missing = len(left)
        while missing:
            if perf_counter() > until:
                raise TimeoutError(f"{missing} clients miss up to {max(left.values())} events")
            for number, _ in self._poll.poll(1, len(self.clients)):
                client = self._by_number[number]
                if not (data := self._received(client)):
                    raise ConnectionError(f"the server ended a socket; the first has {said[-200:]}")
                text = tails[client] + data
                tails[client] = text[1 - len(EVENT) :]
                if (at := text.find(PING)) >= 0:
                    _pong(client, text[at + 2 : at + 6])
                if client is witness:
                    said += data
                    seen = [
                        int(_SEQ.search(frame)[1]) for _, frame in frames(said) if EVENT in frame
                    ]
                    numbers += seen
                    found = len(seen)
                else:
                    found = text.count(EVENT)
                if found:
                    left[client] -= found
                    missing -= left[client] <= 0
            sleep(PAUSE_SECONDS)
        ended = perf_counter()
        if numbers != list(range(numbers[0], numbers[0] + events)):
            raise ConnectionError(f"not {events} events in order: {numbers[:3]} … {numbers[-3:]}")
        for client in self.clients:
            client.data.clear()
        return ended

    def cut(self) -> None:
        """End all sockets without a goodbye, as a network does that fails."""
        for client in self.clients:
            if client.socket is not None:
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self._drop(client)

    # --- one client ------------------------------------------------------------------------------

    def _connect(self, client: Client, port: int, request: bytes) -> None:
        made = socket.socket()
        if self._receive_buffer:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._receive_buffer)
        made.settimeout(30)
        made.connect(("127.0.0.1", port))
        made.sendall(request)
        made.setblocking(False)
        client.socket, client.opened = made, False
        self._by_number[made.fileno()] = client
        self._poll.register(made.fileno(), select.EPOLLIN)

    def _drop(self, client: Client) -> None:
        if client.socket is not None:
            self._poll.unregister(client.socket.fileno())
            del self._by_number[client.socket.fileno()]
        client.data.clear()
        client.close()

    def _received(self, client: Client) -> bytes:
        assert client.socket is not None
        try:
            data = client.socket.recv(READ_BYTES)
        except ConnectionError:
            return b""
        client.bytes += len(data)
        return data

    def _read(self, client: Client) -> float | bool | None:
        """Return whether this read made the client current, or in how many seconds to try again."""
        if not (data := self._received(client)):
            return 0.1
        client.data += data
        if not client.opened:
            head, separator, rest = bytes(client.data).partition(b"\r\n\r\n")
            if not separator:
                return None
            if b" 101 " not in head:
                raise ConnectionError(f"the server answered {head.splitlines()[0].decode()}")
            client.opened, client.data = True, bytearray(rest)
            if not self._greeted:
                return True
        joined = None
        for opcode, frame in frames(client.data):
            if opcode == 1 and EVENT in frame[:1024]:
                _follow(client, int(_SEQ.search(frame)[1]))
            elif opcode == 1:
                verdict = _controlled(client, json.loads(frame))
                joined = joined if verdict is None else verdict
            elif opcode == 9:
                _pong(client, frame)
        return joined


def frames(data: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take the complete frames out of ``data``: yield the opcode and payload of each."""
    start = 0
    while len(data) - start >= 2:
        length, body = data[start + 1], start + 2
        if length >= 126:
            size = 2 if length == 126 else 8
            body += size
            length = int.from_bytes(data[body - size : body], "big")
        if len(data) < body + length:
            break
        yield data[start] & 15, bytes(data[body : body + length])
        start = body + length
    del data[:start]


def _pong(client: Client, payload: bytes) -> None:
    assert client.socket is not None
    mask = b"\0\0\0\0"  # leaves the payload as it is
    client.socket.send(bytes([0x8A, 0x80 | len(payload)]) + mask + payload)


def _follow(client: Client, seq: int) -> None:
    if seq != client.seq + 1:
        raise ConnectionError(f"event {seq} came after {client.seq}")
    client.seq = seq
    client.events += 1


def _controlled(client: Client, frame: dict[str, Any]) -> float | bool | None:
    kind = frame["type"]
    if kind == "hello":
        client.epoch = frame["epoch"]
    elif kind == "synced":
        client.seq = frame["seq"]
        return True
    elif kind == "bye" and frame["code"] in _RETRY:
        return 0.0 if frame["code"] == 4001 else frame["retry_after_ms"] / 1e3
    elif kind in ("bye", "reset"):
        raise ConnectionError(f"the server said {frame}")
    return None


def _allow_files(count: int) -> None:
    """Raise this process's limit of open files, and that of its later children, to ``count``."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        wanted = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
