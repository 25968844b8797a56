"""
Capture: row triggers, declared on the model, that write the message inside the change itself.

A trigger sees every write: ``save()``, ``update()``, ``bulk_update()``, the admin, raw SQL and
other programs. Its function runs as its owner with a fixed search path, so a role that may
change a ticket needs no right on the outbox.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import pgtrigger
from django.db import models
from pgtrigger import compiler
from pgtrigger import core as pgtrigger_core


class PlainTriggerSql(compiler.UpsertTriggerSql):
    """
    Version 1 of our installation template; migrations cite it, so it is never edited.

    It leaves out pgtrigger's ignore switch: that one needs no reason and leaves no trace (ours is
    :mod:`outbox.mute`), and its exception block costs a subtransaction for every row.
    """

    def get_template(self) -> str:
        return """
            CREATE OR REPLACE FUNCTION {pgid}() RETURNS TRIGGER
            LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, public, pg_temp AS $$
                {declare}
                BEGIN
                    {func}
                END;
            $$;
            DROP TRIGGER IF EXISTS {pgid} ON {table};
            CREATE {constraint} TRIGGER {pgid}
                {when} {operation} ON {table} {timing} {referencing}
                FOR EACH {level} {condition}
                EXECUTE FUNCTION {execute};
            COMMENT ON TRIGGER {pgid} ON {table} IS '{hash}';
        """


class PlainTrigger(pgtrigger.Trigger):
    """A trigger that nobody can ignore."""

    def compile(self, model: models.Model) -> compiler.Trigger:
        return compiler.Trigger(
            name=self.name,
            sql=PlainTriggerSql(
                pgid=self.get_pgid(model),
                declare=self.render_declare(model),
                func=self.render_func(model),
                table=model._meta.db_table,
                when=self.when,
                operation=self.operation,
                level=self.level,
                condition=self.render_condition(model),
                execute=self.render_execute(model),
            ),
        )


# One statement: each one costs its own start in every transaction. The mute is looked up only where
# it is set, and counts only with its audit row of this very transaction.
WRITE = """
    INSERT INTO outbox_message (lane, stream, type, subject, payload, context)
    SELECT outbox_lane_of(e.stream), e.stream, '{type}', {subject},
           jsonb_build_object({payload}),
           coalesce(nullif(current_setting('outbox.context', true), '')::jsonb, '{{}}')
      FROM (SELECT {stream} AS stream) e
     WHERE CASE coalesce(current_setting('outbox.mute', true), '')
             WHEN '' THEN true ELSE NOT outbox_is_muted() END;
    RETURN NULL;
"""


def utc(expression: str) -> str:
    """Return SQL for a timestamptz as RFC 3339 text in UTC, whatever the session's time zone."""
    return f"""to_char({expression} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""


def _trigger(
    type_: str,
    *,
    operation: pgtrigger_core.Operation,
    stream: str,
    subject: str,
    payload: Mapping[str, str],
    order: int,
    condition: pgtrigger_core.Condition | None = None,
) -> PlainTrigger:
    if not type_.isidentifier():
        raise ValueError(f"event type {type_!r}: use letters, digits and underscores")
    pairs = ", ".join(f"'{key}', {expression}" for key, expression in payload.items())
    return PlainTrigger(
        # PostgreSQL fires triggers of one event by name: the order is part of it.
        name=f"outbox_{order:02d}_{type_}",
        when=pgtrigger.After,
        operation=operation,
        condition=condition,
        func=WRITE.format(type=type_, stream=stream, subject=subject, payload=pairs),
    )


def capture_insert(type: str, *, order: int = 0, **expressions: Any) -> PlainTrigger:
    """Capture each inserted row as ``type``; see :func:`capture_update` for the expressions."""
    return _trigger(type, operation=pgtrigger.Insert, order=order, **expressions)


def capture_delete(type: str, *, order: int = 0, **expressions: Any) -> PlainTrigger:
    """Capture each deleted row as ``type``; the expressions may name only ``OLD``."""
    return _trigger(type, operation=pgtrigger.Delete, order=order, **expressions)


def capture_update(
    type: str,
    *,
    when_changed: Iterable[str],
    stream: str,
    subject: str,
    payload: Mapping[str, str],
    order: int = 0,
) -> PlainTrigger:
    """
    Capture an update that changed one of the columns ``when_changed`` as an event ``type``.

    ``stream``, ``subject`` and the values of ``payload`` are SQL expressions over ``NEW`` and
    ``OLD``; sub-selects are allowed. ``order`` (0 to 99) sorts several events of one update.
    """
    changed = " OR ".join(f"OLD.{column} IS DISTINCT FROM NEW.{column}" for column in when_changed)
    return _trigger(
        type,
        operation=pgtrigger.Update,
        condition=pgtrigger.Condition(changed),
        stream=stream,
        subject=subject,
        payload=payload,
        order=order,
    )


def refuse_truncate(name: str = "outbox_refuse_truncate") -> PlainTrigger:
    """Refuse TRUNCATE, which no row trigger sees."""
    return PlainTrigger(
        name=name,
        level=pgtrigger.Statement,
        when=pgtrigger.Before,
        operation=pgtrigger.Truncate,
        func="RAISE EXCEPTION 'TRUNCATE of % would lose events: use DELETE', TG_TABLE_NAME;",
    )
