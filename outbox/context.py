"""Who made a change and why: sent along with each write, never as a round trip of its own."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from psycopg.sql import Composable, quote

_current: ContextVar[dict[str, str] | None] = ContextVar("outbox_context", default=None)
_WRITES = re.compile(
    r"(?:\s|--[^\n]*\n|/\*.*?\*/)*"
    r"(?:INSERT|UPDATE|DELETE|MERGE|WITH|SELECT\s+pg_advisory_xact_lock)\b",
    re.I | re.S,
)


@contextmanager
def context(**facts: str | None) -> Iterator[None]:
    """
    Everything written inside carries ``facts`` in its events' ``context``.

    Usual keys are ``actor``, ``request_id`` and ``traceparent``; nested contexts add to the outer
    one, a value of None is left out. What PostgreSQL cannot store in a text is replaced.
    """
    added = {key: _storable(value) for key, value in facts.items() if value}
    token = _current.set((_current.get() or {}) | added)
    try:
        yield
    finally:
        _current.reset(token)


def current() -> dict[str, str]:
    """Return the facts of the innermost active context."""
    return dict(_current.get() or {})


def install(*, connection: BaseDatabaseWrapper, **_: object) -> None:
    """Let a new connection send the context; called for each, since async code writes elsewhere."""
    if connection.vendor == "postgresql" and _attach not in connection.execute_wrappers:
        # First, that is outermost: whoever adds another one takes the last of the list off again.
        connection.execute_wrappers.insert(0, _attach)


def _storable(value: str) -> str:
    return str(value).encode("utf-8", "replace").decode().replace("\x00", "?")


# Note [Every write carries the context]
# The setting is local to the transaction, so a pooler cannot leak it to another client. A single
# one at the start would be undone by the rollback of a savepoint, hence each write sends it, as a
# statement before its own in the same message. After the context has ended inside a transaction,
# later writes of that transaction send an empty one, for the same reason.
def _attach(
    execute: Callable[..., Any], sql: Any, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    connection = context["connection"]
    facts = _current.get()
    if facts is None and not connection.in_atomic_block:
        connection.outbox_context_sent = False
    if not facts and not getattr(connection, "outbox_context_sent", False):
        return execute(sql, params, many, context)
    if isinstance(sql, Composable):
        sql = sql.as_string(connection.connection)
    if not _WRITES.match(sql):
        return execute(sql, params, many, context)
    text = json.dumps(facts) if facts else ""
    prefix = f"SELECT set_config('outbox.context', {quote(text)}, true); "
    connection.outbox_context_sent = True
    if many:  # executemany repeats its statement, so the setting goes ahead once
        alone = not connection.in_atomic_block
        with transaction.atomic(using=connection.alias) if alone else nullcontext():
            context["cursor"].cursor.execute(prefix)
            return execute(sql, params, many, context)
    if params is not None:
        prefix = prefix.replace("%", "%%")
    result = execute(prefix + sql, params, many, context)
    context["cursor"].cursor.nextset()  # past the setting's result, to the caller's
    return result
