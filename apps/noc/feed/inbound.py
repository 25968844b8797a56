"""What a client may say: four short messages, and not too many of them."""

import json
from dataclasses import dataclass
from typing import Any

MAX_BYTES = 4 * 1024
PER_SECOND = 20
FORGIVEN = 200  # frames over the rate, and one more each second, before the connection is ended


class BadMessage(Exception):
    """The client's frame is not one of the protocol; ``code`` is the error's code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Resume:
    after_seq: int
    epoch: str


@dataclass(frozen=True)
class Subscribe:
    sites: frozenset[int]


@dataclass(frozen=True)
class Ack:
    seq: int  # also of a pong


Message = Resume | Subscribe | Ack


def parse(text: str | None) -> Message:
    """
    Return the client's message.

    Raises:
        BadMessage: not text, too long, not JSON, of no known type, or of the wrong form.
    """
    if text is None:
        raise BadMessage("bad_message", "send text frames, not binary ones")
    if len(text) > MAX_BYTES or len(text.encode(errors="replace")) > MAX_BYTES:
        raise BadMessage("bad_message", f"a frame has at most {MAX_BYTES} bytes")
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        raise BadMessage("bad_message", "the frame is not JSON") from None
    if not isinstance(message, dict):
        raise BadMessage("bad_message", "the frame is not a JSON object")
    match message.get("type"):
        case "pong" | "ack":
            return Ack(_seq(message.get("seq"), "bad_message"))
        case "resume":
            return cursor_of(message.get("after_seq"), message.get("epoch"))
        case "subscribe":
            return Subscribe(_sites(message.get("sites")))
    raise BadMessage("bad_message", "the type is none of pong, ack, resume, subscribe")


def cursor_of(after_seq: Any, epoch: Any) -> Resume:
    """Return where to go on; raises ``BadMessage`` when it is no place in any log."""
    if type(epoch) is not str:
        raise BadMessage("bad_cursor", "epoch is not text")
    return Resume(_seq(after_seq, "bad_cursor"), epoch)


def _seq(value: Any, code: str) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise BadMessage(code, "the sequence number is not a whole number, 0 or more")
    return value


def _sites(value: Any) -> frozenset[int]:
    if not isinstance(value, list) or not all(type(site_id) is int for site_id in value):
        raise BadMessage("bad_message", "sites is not a list of ids")
    return frozenset(value)
