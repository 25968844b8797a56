"""The bytes of a frame are those that a websocket library reads back as the text."""

from collections.abc import Generator

import pytest
from websockets.frames import Frame as Parsed
from websockets.frames import Opcode
from websockets.streams import StreamReader

from apps.noc.feed.outlet import Frame, Texts, Wire, outlet_of


def read_back(data: bytes) -> list[str]:
    """Parse server frames with the library's own parser."""
    reader = StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    texts = []
    while len(reader.buffer):
        frame = _result(Parsed.parse(reader.read_exact, mask=False))
        assert (frame.opcode, frame.fin) == (Opcode.TEXT, True)
        texts.append(bytes(frame.data).decode())
    return texts


def _result(parser: Generator[None, None, Parsed]) -> Parsed:
    while True:
        try:
            next(parser)
        except StopIteration as done:
            return done.value


class TestFrame:
    @pytest.mark.parametrize("length", [0, 1, 125, 126, 65_535, 65_536, 100_000])
    def test_is_a_text_frame_of_every_length(self, length: int) -> None:
        assert read_back(Frame("x" * length).wire) == ["x" * length]

    def test_counts_bytes_and_not_characters(self) -> None:
        assert read_back(Frame("é" * 100).wire + Frame("🎫").wire) == ["é" * 100, "🎫"]

    def test_is_encoded_once(self) -> None:
        frame = Frame("x")

        assert frame.wire is frame.wire


class TestOutlet:
    async def collect(self, message: dict[str, object]) -> None:
        raise AssertionError("not called")

    def test_is_chosen_by_what_the_server_offers(self) -> None:
        assert isinstance(
            outlet_of({"extensions": {"noc.frames": {"unsent_bytes": int}}}, self.collect), Wire
        )
        assert isinstance(outlet_of({"extensions": {}}, self.collect), Texts)
        assert isinstance(outlet_of({}, self.collect), Texts)
