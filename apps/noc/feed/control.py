"""The frames of the protocol that are not events, as text."""

from collections.abc import Set
from datetime import UTC, datetime

from apps.noc.feed.wire import dumps, utc
from outbox.log import Head

PING_SECONDS = 20
ACK_EVERY = 50


def hello(session: str, head: Head, sites: Set[int] | None) -> str:
    return dumps(
        {
            "type": "hello",
            "session": session,
            "epoch": str(head.epoch),
            "head": head.last_seq,
            "min_seq": head.min_seq,
            "scope": {"sites": "*" if sites is None else sorted(sites)},
            "ping_s": PING_SECONDS,
            "ack_every": ACK_EVERY,
        }
    )


def synced(seq: int) -> str:
    return dumps({"type": "synced", "seq": seq})


def ping(*, head: int, position: int) -> str:
    return dumps({"type": "ping", "head": head, "pos": position, "t": utc(datetime.now(UTC))})


def reset(reason: str, head: Head) -> str:
    return dumps(
        {
            "type": "reset",
            "reason": reason,
            "epoch": str(head.epoch),
            "head": head.last_seq,
            "min_seq": head.min_seq,
        }
    )


def error(code: str, message: str, *, retry_after_ms: int | None = None) -> str:
    """An error is temporary when it says when to try again."""
    frame: dict[str, object] = {"type": "error", "code": code, "message": message}
    frame["temporary"] = retry_after_ms is not None
    if retry_after_ms is not None:
        frame["retry_after_ms"] = retry_after_ms
    return dumps(frame)


def bye(code: int, reason: str, *, retry_after_ms: int) -> str:
    return dumps({"type": "bye", "code": code, "reason": reason, "retry_after_ms": retry_after_ms})
