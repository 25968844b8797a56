"""From a row of the log to the frame that a connection may see: pure functions, no input or output.

Whether a row can be a frame at all is decided here and nowhere else (known type, every key of the
right kind, at most 32 KiB), so that the relay, the feed and the HTTP API give the same answer.
A row that cannot be one takes its place in the order as ``event_failed``.
"""

import json
from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from math import isfinite
from typing import Any

from apps.noc.feed.outlet import Frame
from apps.tenancy.streams import tenant_of
from outbox.log import LogRow

MAX_BYTES = 32 * 1024  # of the fields as UTF-8 JSON, without the envelope
FAILED = "event_failed"
MOVED = "ticket_moved"

Kinds = frozenset[type]
_int: Kinds = frozenset({int})
_str: Kinds = frozenset({str})
_id_or_null: Kinds = frozenset({int, type(None)})
_str_or_null: Kinds = frozenset({str, type(None)})
_number_or_null: Kinds = frozenset({int, float, type(None)})

_SITE: dict[str, Kinds] = {"site_id": _id_or_null, "site_name": _str_or_null}
_TICKET: dict[str, Kinds] = {
    "priority": _str,
    "assigned_to": _str_or_null,
    **_SITE,
    "description": _str,
    "updated_at": _str,
    "version": _int,
}
_NAME: dict[str, Kinds] = {"ticket_id": _int, "ticket_no": _str}
_ROW: dict[str, Kinds] = {**_NAME, "status": _str, **_TICKET}

# Each event type with its keys, in the order in which they are sent. Other keys are not sent.
FIELDS: dict[str, dict[str, Kinds]] = {
    "ticket_updated": {**_NAME, "old_status": _str, "new_status": _str, **_TICKET},
    "ticket_created": _ROW,
    "ticket_edited": _ROW,
    "ticket_deleted": {**_NAME, "site_id": _id_or_null},
    MOVED: {**_ROW, "old_site_id": _id_or_null},
    "ticket_acknowledged": {
        **_NAME,
        **_SITE,
        "acknowledged_by": _str_or_null,
        "acknowledged_at": _str,
    },
    "ticket_unacknowledged": {**_NAME, **_SITE},
    "ticket_commented": {
        "comment_id": _int,
        **_NAME,
        **_SITE,
        "author": _str_or_null,
        "text": _str,
        "written_at": _str,
    },
    "finding_created": {
        "finding_id": _int,
        "title": _str,
        "severity": _str,
        **_SITE,
        "status": _str,
        "created_at": _str,
    },
    "anomaly_detected": {
        "anomaly_id": _int,
        "metric": _str,
        "observed": _number_or_null,
        "expected": _number_or_null,
        "severity": _str,
        **_SITE,
        "detected_at": _str,
    },
    "canary": {"canary_id": _int, "site_id": _id_or_null, "sent_at": _str},
    FAILED: {"event_type": _str},
}
_STREAM = "tenant:"
_NAMES = {
    int: "an integer",
    float: "a number",
    str: "a text",
    bool: "true or false",
    list: "a list",
    dict: "an object",
    type(None): "null",
}
_CHECKS = {name: tuple(spec.items()) for name, spec in FIELDS.items()}
_MISSING = object()
_BIGGEST = 2**63  # what the layer's serialiser can carry
MAX_REQUEST_ID = 64  # characters


@dataclass
class Event:
    """One event as it is sent, before a connection's ``prev`` and scope are known; not changed."""

    type: str
    seq: int
    epoch: str
    event_id: str
    occurred_at: str
    fields: dict[str, Any]
    replay_of: int | None = None
    request_id: str | None = None  # for the log alone: it is in no frame

    @cached_property
    def size_bytes(self) -> int:
        """Roughly what it takes in memory, with its encoded forms."""
        return 2_000 + 3 * len(self._tail)

    @cached_property
    def written(self) -> float:
        """When the change was written, in seconds since 1970."""
        return datetime.fromisoformat(self.occurred_at).timestamp()

    @cached_property
    def labels(self) -> tuple[str, str, str]:
        """Its type, old and new status; the latter are empty when no status changed."""
        fields = self.fields
        return self.type, fields.get("old_status", ""), fields.get("new_status", "")

    @cached_property
    def whole(self) -> Frame:
        """The frame for every scope that sees all sites: encoded once for all of them."""
        return Frame(self.text(prev=self.seq - 1, sites=None))

    def visible(self, sites: Set[int] | None) -> bool:
        """Tell whether this scope sees the event. ``None`` is every site, and what has none."""
        if sites is None or self.type == FAILED or self.fields["site_id"] in sites:
            return True
        return self.type == MOVED and self.fields["old_site_id"] in sites

    def text(self, *, prev: int, sites: Set[int] | None) -> str:
        """Return the frame for a scope that sees it. Only ``prev`` is the connection's own."""
        tail = self._tail
        if self.type == MOVED and sites is not None and self.fields["site_id"] not in sites:
            tail = self._left_tail
        return f'{{"type":"{self.type}","seq":{self.seq},"prev":{prev},{tail}'

    @cached_property
    def _tail(self) -> str:
        return self._encode(self.fields)

    @cached_property
    def _left_tail(self) -> str:
        """A move for who sees only the site it left: that it is gone, and nothing of the new."""
        names = {key: self.fields[key] for key in _NAME}
        return self._encode({**names, "site_id": self.fields["old_site_id"]})

    def _encode(self, fields: dict[str, Any]) -> str:
        rest = {"epoch": self.epoch, "event_id": self.event_id, **fields}
        if self.replay_of is not None:
            rest["replay_of"] = self.replay_of
        return dumps(rest)[1:]


def event_of(row: LogRow) -> Event:
    """Return the event of a log row; ``event_failed`` when the row cannot be a frame."""
    kind, fields = _judged(row)
    return Event(
        kind,
        row.seq,
        str(row.epoch),
        str(row.event_id),
        utc(row.occurred_at),
        fields,
        row.replay_of,
        request_id_of(row),
    )


def layer_message(row: LogRow) -> tuple[dict[str, Any], list[int]]:
    """
    Return the flat message of the channel layer and the sites that it concerns.

    Its type is the name of the consumer's handler. Made straight from the row, since the relay
    does this for every event, 30,000 times a second.
    """
    kind, message = _judged(row)
    sites = sites_of(message)
    message["type"] = kind
    message["tenant_id"] = tenant_of(row.stream)
    message["seq"] = row.seq
    message["epoch"] = str(row.epoch)
    message["event_id"] = str(row.event_id)
    message["occurred_at"] = utc(row.occurred_at)
    if row.replay_of is not None:
        message["replay_of"] = row.replay_of
    if row.context and (request_id := request_id_of(row)) is not None:
        message["request_id"] = request_id
    return message, sites


def request_id_of(row: LogRow) -> str | None:
    """Return the id of the request that caused the event; the context may hold anything."""
    context = row.context
    found = context.get("request_id") if type(context) is dict else None
    return found[:MAX_REQUEST_ID] if type(found) is str else None


def event_of_message(message: Mapping[str, Any]) -> Event | None:
    """Return the event of a layer message, ``None`` when it does not come from the log."""
    kind = message.get("type")
    if type(kind) is not str or type(message.get("seq")) is not int:
        return None
    fields = _fields(kind, message)
    if fields is None or not _is_time(message.get("occurred_at")):
        return None
    return Event(
        kind,
        message["seq"],
        str(message.get("epoch")),
        str(message.get("event_id")),
        str(message.get("occurred_at")),
        fields,
        message.get("replay_of"),
        message.get("request_id"),
    )


def sites_of(fields: Mapping[str, Any]) -> list[int]:
    """Return the sites that an event concerns: none, one, or both of a move."""
    concerned = (fields.get("site_id"), fields.get("old_site_id"))
    return [site_id for site_id in concerned if site_id is not None]


def utc(moment: datetime) -> str:
    """Return the time as the payloads write it: UTC with a Z."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat()[:-6] + "Z"


def dumps(value: Mapping[str, Any]) -> str:
    """Return compact JSON; raises ``ValueError`` for a number that JSON has not."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def fault_of(row: LogRow) -> str | None:
    """
    Return why the row can never be a frame, ``None`` when it can: what the relay files.

    Streams that no client follows have no frames, so nothing is wrong with their rows.
    """
    if not row.stream.startswith(_STREAM) or _judged(row)[0] != FAILED:
        return None
    return _fault(row.type, row.payload)


def _fault(name: str, payload: Any) -> str:
    """Say what is wrong with a payload that ``_fields`` refuses; no value of it is quoted."""
    checks = _CHECKS.get(name)
    if checks is None or name == FAILED:
        return f"the type {name!r} is unknown to this release"
    if not isinstance(payload, Mapping):
        return f"the payload of {name} is {_NAMES[type(payload)]}, not an object"
    for key, kinds in checks:
        if key not in payload:
            return f"{name} lacks the key {key!r}"
        value = payload[key]
        if type(value) not in kinds:
            wanted = " or ".join(sorted(_NAMES[kind] for kind in kinds))
            return f"{name} has {_NAMES[type(value)]} as {key!r}, not {wanted}"
        if type(value) in (int, float) and not _in_range(value, kinds):
            return f"{name} has a number out of range as {key!r}"
    return f"the fields of {name} are larger than {MAX_BYTES:,} bytes"


def _in_range(value: int | float, kinds: Kinds) -> bool:
    if isinstance(value, float):
        return isfinite(value)
    return -_BIGGEST <= value < _BIGGEST or (float in kinds and _float(value) is not None)


def _judged(row: LogRow) -> tuple[str, dict[str, Any]]:
    fields = _fields(row.type, row.payload)
    if fields is None or row.type == FAILED:
        return FAILED, {"event_type": row.type}
    return row.type, fields


def _fields(name: str, payload: Mapping[str, Any]) -> dict[str, Any] | None:
    checks = _CHECKS.get(name)
    if checks is None or not isinstance(payload, Mapping):
        return None
    fields = {}
    length = 0
    for key, kinds in checks:
        value = payload.get(key, _MISSING)
        kind = type(value)
        if kind not in kinds:
            return None
        if kind is str:
            length += len(value)
        elif kind is int and not -_BIGGEST <= value < _BIGGEST:
            # jsonb writes the number 1e30 with all its digits; as an id it is none.
            if float not in kinds or (value := _float(value)) is None:
                return None
        elif kind is float and not isfinite(value):
            return None
        fields[key] = value
    # One character is at most six bytes of JSON, so most rows need not be encoded to be judged.
    if length * 6 + 1024 > MAX_BYTES and len(dumps(fields).encode()) > MAX_BYTES:
        return None
    return fields


def _is_time(value: Any) -> bool:
    try:
        datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return False
    return True


def _float(value: int) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None
