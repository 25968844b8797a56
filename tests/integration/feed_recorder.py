"""Writes down what the websockets of a server said, as the application saw it, to check it later.

Only written down while the server runs: judging a frame takes longer than sending it, and would
change what the test sees.
"""

import struct
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from uvicorn.importer import import_from_string

from tests.protocol_schemas import Conversation

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@dataclass
class Record:
    """One connection: the messages of ASGI in their order, each with who sent it."""

    query: str
    messages: list[tuple[str, Message]] = field(default_factory=list)

    def check(self) -> None:
        conversation = Conversation(self.query, may_err=True)
        for side, message in self.messages:
            match message["type"]:
                case "websocket.receive":
                    conversation.client(message.get("text"))
                case "websocket.send" | "noc.frames":
                    for text in _texts(message):
                        conversation.server(text)
                case "websocket.close" if side == "server":
                    conversation.closed(message.get("code", 1000))


class Recorder:
    """An ASGI application around another one, or around the one of this dotted name."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._records: list[Record] = []

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        application = import_from_string(self._application)
        if scope["type"] != "websocket":
            await application(scope, receive, send)
            return
        record = Record(scope["query_string"].decode("latin1"))
        self._records.append(record)

        async def receive_noted() -> Message:
            message = await receive()
            record.messages.append(("client", message))
            return message

        async def send_noted(message: Message) -> None:
            record.messages.append(("server", message))
            await send(message)

        await application(scope, receive_noted, send_noted)

    def check(self) -> None:
        """Fail when a frame, or the order of frames, was against the protocol."""
        faults = []
        for record in self._records:
            try:
                record.check()
            except AssertionError as fault:
                faults.append(f"/ws/noc/?{record.query}: {fault}")
        self._records.clear()
        assert not faults, "\n\n".join(faults)


def _texts(message: Message) -> Iterator[str]:
    """Return the frames of one message; ``noc.frames`` has them as bytes, one after the other."""
    if message["type"] == "websocket.send":
        yield message["text"]
        return
    data, at = message["data"], 0
    while at < len(data):
        first, length = struct.unpack_from("!BB", data, at)
        assert first == 0x81, f"not one whole text frame: {data[at : at + 20]!r}"
        at += 2
        if length >= 126:
            form = "!H" if length == 126 else "!Q"
            (length,) = struct.unpack_from(form, data, at)
            at += struct.calcsize(form)
        yield data[at : at + length].decode()
        at += length
