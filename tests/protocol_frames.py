"""Frames of ``/ws/noc/`` as a server sends them, for tests that play one or judge one."""

from typing import Any

EPOCH = "6f9619ff-8b86-4011-b42d-00cf4fc964ff"
OTHER = "00000000-0000-4000-8000-000000000000"  # another log, or any id


def hello(**more: Any) -> dict[str, Any]:
    frame = {
        "type": "hello",
        "session": OTHER,
        "epoch": EPOCH,
        "head": 10,
        "min_seq": 1,
        "scope": {"sites": "*"},
        "ping_s": 20,
        "ack_every": 2,
    }
    return frame | more


def event(seq: int, prev: int | None = None, **more: Any) -> dict[str, Any]:
    frame = {
        "type": "ticket_deleted",
        "seq": seq,
        "prev": seq - 1 if prev is None else prev,
        "epoch": EPOCH,
        "event_id": OTHER,
        "ticket_id": 1,
        "ticket_no": "SITE001#1",
        "site_id": 1,
    }
    return frame | more


def synced(seq: int) -> dict[str, Any]:
    return {"type": "synced", "seq": seq}
