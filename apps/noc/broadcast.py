"""The one unified broadcast: what the log recorded goes to the channel layer, in one round trip.

Each event goes to ``noc_tenant_{id}`` and, when it has a site, to ``noc_site_{id}``; a ticket that
moved goes to both sites. One event for a group keeps its own type, so that a group consumer with
handlers like ``ticket_updated`` works; several are one ``noc_events`` message with a list
``events``. A change of access goes to ``noc_access`` for those who watch over sockets, and to
``noc_user_{id}`` when it concerns one user; each is a message of its own.

This is a hint that makes delivery fast. The log is the truth: whatever is lost here, the feed reads
from there. So nothing is tried twice: a failure is raised to the relay, which knows when to go on.
What went to which group is returned to the relay, which keeps it as the audit trail of the log.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from channels_redis.pubsub import RedisPubSubChannelLayer
from redis import RedisError

from apps.noc.feed import wire
from apps.noc.publisher import publisher_of
from apps.tenancy.triggers import ACCESS_CHANGED, ACCESS_STREAM
from outbox.conf import Targets
from outbox.errors import TransportDown
from outbox.log import LogRow

logger = logging.getLogger(__name__)

CHUNK_EVENTS = 100
CHUNK_BYTES = 64 * 1024  # of text; one message stays far from any buffer limit of Redis

MAX_REQUEST_IDS = 20  # in one log line

Message = dict[str, Any]
_Targets = defaultdict[str, dict[str, list[int]]]
_STREAM = "tenant:"
_CONCERNED = {"user_id": int, "tenant_id": int, "session": str}


def deliver(rows: Sequence[LogRow]) -> Targets:
    """
    Send rows of the log to their groups: one pipeline for all of them; return what went where.

    Rows of a stream that is neither a tenant's nor that of access have no viewers: they are passed
    over, and without a layer all are.

    Raises:
        TransportDown: the layer could not be reached; none or some were sent.
    """
    targets: _Targets = defaultdict(dict)
    layer = get_channel_layer()
    if layer is None:
        return targets
    messages = list(_messages(rows, targets))
    if not messages:
        return targets
    try:
        _send(layer, messages)
    except (RedisError, OSError) as error:
        reason = f"{type(error).__name__}: {error}"
        logger.error("Failed to broadcast ticket update", extra={**_span(rows), "error": reason})
        raise TransportDown(f"the channel layer failed, {reason}") from error
    updated = any(row.type == "ticket_updated" for row in rows)
    logger.info("Ticket update broadcast sent" if updated else "Broadcast sent", extra=_span(rows))
    return targets


def _send(layer: Any, messages: list[tuple[str, Message]]) -> None:
    if isinstance(layer, RedisPubSubChannelLayer):
        publisher_of(layer).publish(messages)
    else:
        async_to_sync(_group_send)(layer, messages)


async def _group_send(layer: Any, messages: list[tuple[str, Message]]) -> None:
    """Send through any other layer: one coroutine for all, since each call costs an event loop."""
    for group, message in messages:
        await layer.group_send(group, message)


def _messages(rows: Sequence[LogRow], targets: _Targets) -> Iterator[tuple[str, Message]]:
    """Yield ``(group, message)``, within a group in the order of the rows; fill ``targets``."""
    groups: defaultdict[str, list[Message]] = defaultdict(list)
    for row in rows:
        if row.stream == ACCESS_STREAM:
            for group, message in _access_messages(row):
                _note(targets, row, group)
                yield group, message
        if not row.stream.startswith(_STREAM):
            continue
        message, sites = wire.layer_message(row)
        for group in (
            f"noc_tenant_{row.stream[len(_STREAM) :]}",
            *(f"noc_site_{site_id}" for site_id in sites),
        ):
            groups[group].append(message)
            _note(targets, row, group)
    for group, events in groups.items():
        for chunk in _chunks(events):
            if len(chunk) == 1:
                yield group, chunk[0]
            else:
                yield group, {"type": "noc_events", "events": chunk}


def _note(targets: _Targets, row: LogRow, group: str) -> None:
    """Count the event for the group: first and last seq, and how many between them went there."""
    slices = targets[row.stream]
    if group in slices:
        slice_ = slices[group]
        slice_[1] = row.seq
        slice_[2] += 1
    else:
        slices[group] = [row.seq, row.seq, 1]


def _access_messages(row: LogRow) -> Iterator[tuple[str, Message]]:
    """Yield the message of a change of access; its only facts are whom it concerns."""
    if row.type != ACCESS_CHANGED or not isinstance(row.payload, Mapping):
        return
    concerned = {
        key: value
        for key, kind in _CONCERNED.items()
        if type(value := row.payload.get(key)) is kind
    }
    if concerned:
        message = {"type": row.type, "seq": row.seq, "epoch": str(row.epoch), **concerned}
        yield "noc_access", message
        if "user_id" in concerned:
            yield f"noc_user_{concerned['user_id']}", message


def _chunks(events: list[Message]) -> Iterator[list[Message]]:
    chunk: list[Message] = []
    size = 0
    for event in events:
        length = 600 + len(event.get("description") or "")
        if chunk and (len(chunk) >= CHUNK_EVENTS or size + length > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(event)
        size += length
    if chunk:
        yield chunk


def _span(rows: Sequence[LogRow]) -> dict[str, Any]:
    """Name a batch in the logs by its ends and its requests; per row it would be a flood."""
    payloads = (row.payload for row in rows if isinstance(row.payload, Mapping))
    ticket_ids = (payload.get("ticket_id") for payload in payloads)
    return {
        "ticket_id": next((ticket_id for ticket_id in ticket_ids if ticket_id is not None), None),
        "count": len(rows),
        "first": f"{rows[0].stream}/{rows[0].seq}",
        "last": f"{rows[-1].stream}/{rows[-1].seq}",
        **_requests(rows),
    }


def _requests(rows: Sequence[LogRow]) -> dict[str, Any]:
    """Return the ids of the requests that caused the rows, and how many are left out."""
    ids = list({id_: None for row in rows if (id_ := wire.request_id_of(row)) is not None})
    more = len(ids) - MAX_REQUEST_IDS
    told: dict[str, Any] = {"request_ids": ids[:MAX_REQUEST_IDS]} if ids else {}
    return told | {"more_request_ids": more} if more > 0 else told
