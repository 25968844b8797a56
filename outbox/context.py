"""Who made a change and why: sent along with each write, never as a round trip of its own."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from django.db import connections
from psycopg.sql import quote

_current: ContextVar[dict[str, str] | None] = ContextVar("outbox_context", default=None)
_WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|MERGE|WITH|SELECT\s+pg_advisory_xact_lock)\b", re.I)


@contextmanager
def context(*, using: str = "default", **facts: str | None) -> Iterator[None]:
    """
    Everything written inside carries ``facts`` in its events' ``context``.

    Usual keys are ``actor``, ``request_id`` and ``traceparent``; nested contexts add to the outer
    one, a value of None is left out.
    """
    merged = (_current.get() or {}) | {key: value for key, value in facts.items() if value}
    wrappers = connections[using].execute_wrappers
    if _attach not in wrappers:
        wrappers.append(_attach)
    token = _current.set(merged)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> dict[str, str]:
    """Return the facts of the innermost active context."""
    return dict(_current.get() or {})


# Note [Every write carries the context]
# The setting is local to the transaction, so a pooler cannot leak it to another client. A single
# one at the start would be undone by the rollback of a savepoint, hence each write sends it, as a
# statement before its own in the same message. After the context has ended inside a transaction,
# later writes of that transaction send an empty one, for the same reason.
def _attach(
    execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    connection = context["connection"]
    facts = _current.get()
    if facts is None and not connection.in_atomic_block:
        connection.outbox_context_sent = False
    if not facts and not getattr(connection, "outbox_context_sent", False):
        return execute(sql, params, many, context)
    if not _WRITES.match(sql):
        return execute(sql, params, many, context)
    text = json.dumps(facts) if facts else ""
    prefix = f"SELECT set_config('outbox.context', {quote(text)}, true); "
    connection.outbox_context_sent = True
    if many:  # executemany repeats its statement, so the setting goes ahead once
        execute(prefix, None, False, context)
        return execute(sql, params, many, context)
    if params is not None:
        prefix = prefix.replace("%", "%%")
    result = execute(prefix + sql, params, many, context)
    cursor = context["cursor"].cursor
    while cursor.nextset():  # the result that counts is the last one
        pass
    return result
