"""Publishing an event that no trigger captures."""

import json
import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.core.serializers.json import DjangoJSONEncoder
from django.db import connections

from outbox import sql
from outbox.errors import BadEvent, NotInTransaction
from outbox.wake import wake

NAME_BYTES = 255  # of type and stream: indexes could not hold any length
PAYLOAD_BYTES = 16 * 1024 * 1024  # far above what any sink takes: a mistake, not an event

_NUL = re.compile(
    r"(?<!\\)(?:\\\\)*\\u0000"
)  # an escaped NUL, not an escaped backslash before u0000


def publish(
    type: str,
    *,
    stream: str,
    subject: str,
    payload: Mapping[str, Any],
    schema_version: int = 1,
    replay_of: int | None = None,
    using: str = "default",
) -> UUID:
    """
    Write one event into the outbox and return its ``event_id``.

    It takes a lock on (stream, subject) until the transaction ends, so the order of
    events per subject is the order of commits.

    Raises:
        NotInTransaction: no ``atomic`` block is open.
        BadEvent: a name is empty, or the payload is no JSON object that PostgreSQL can store,
            or larger than 16 MiB.
    """
    connection = connections[using]
    if not connection.in_atomic_block:
        raise NotInTransaction(
            "publish() needs the transaction of the change: wrap both in one atomic block"
        )
    for name, value in (("type", type), ("stream", stream), ("subject", subject)):
        if not value or "\x00" in value or not _has_utf8(value):
            raise BadEvent(f"{name} is {value!r}: give a non-empty text without NUL, in UTF-8")
    for name, value in (("type", type), ("stream", stream)):
        if (length := len(value.encode())) > NAME_BYTES:
            raise BadEvent(f"{name} has {length:,} bytes: give at most {NAME_BYTES}")
    with connection.cursor() as cursor:
        cursor.execute(
            sql.PUBLISH,
            {
                "stream": stream,
                "subject": subject,
                "type": type,
                "payload": _encode(payload),
                "schema_version": schema_version,
                "replay_of": replay_of,
            },
        )
        while cursor.nextset():  # the lock's result comes first
            pass
        (event_id,) = cursor.fetchone()
    wake(stream, using=using)
    return UUID(str(event_id))


def _has_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


def _encode(payload: Mapping[str, Any]) -> str:
    if not isinstance(payload, Mapping):
        raise BadEvent(f"the payload is {type(payload).__name__}: give a mapping, a JSON object")
    try:
        text = json.dumps(dict(payload), cls=DjangoJSONEncoder, allow_nan=False, ensure_ascii=False)
        length = len(text.encode())  # a lone surrogate has no UTF-8
    except (TypeError, ValueError, RecursionError) as error:
        raise BadEvent(f"the payload is no JSON object that can be stored: {error}") from error
    if length > PAYLOAD_BYTES:
        raise BadEvent(f"the payload has {length:,} bytes: give at most {PAYLOAD_BYTES:,}")
    if _NUL.search(text):
        raise BadEvent("the payload holds a NUL character, which PostgreSQL cannot store")
    return text
