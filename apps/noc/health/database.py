"""Checks of PostgreSQL: its version, the role, what the relay relies on, and the triggers."""

from typing import Any

import pgtrigger
from django.conf import settings
from django.db import connection, router

from apps.helpdesk.models import Ticket
from apps.noc.health import fixes
from apps.noc.health.models import Canary
from apps.noc.health.ready import migrations
from apps.noc.health.result import Check, Finding, fail, ok, warn
from apps.noc.models import Anomaly
from apps.noc.models import Finding as Found
from outbox.errors import OutboxError
from outbox.models import DeadLetter, LogEntry, Message, Stream
from outbox.safety import check_database

OLDEST = 15
SHOWN = 3

# Enabled for ordinary sessions: always, or unless a session is a replica.
TRIGGERS = """
SELECT c.relname, t.tgname, t.tgenabled IN ('O', 'A')
  FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
 WHERE c.relnamespace = 'public'::regnamespace AND NOT t.tgisinternal
"""
# Those that the outbox's own migrations make, by table.
OUTBOX_TRIGGERS = {
    ("outbox_message", "outbox_take_xid"),
    ("event_log", "outbox_append_only"),
    ("event_log", "outbox_no_truncate"),
}
ROLE = "SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user"


def version() -> Finding:
    """Is the server new enough?"""
    connection.ensure_connection()
    major = connection.pg_version // 10_000  # type: ignore[attr-defined]
    if major >= OLDEST:
        return ok(f"PostgreSQL {major}")
    return fail(
        f"PostgreSQL {major}",
        why=f"statements of the outbox need {OLDEST} or newer",
        fix=f"move the database to PostgreSQL {OLDEST} or newer (docker-compose.yml has 18)",
    )


def role() -> Finding:
    """Does the program use the database as somebody who may not do everything?"""
    with connection.cursor() as cursor:
        cursor.execute(ROLE)
        name, is_superuser = cursor.fetchone()
    if not is_superuser:
        return ok(f"{name}, no superuser")
    return warn(
        f"{name} is a superuser",
        why="a mistake or a hole in the program could then change the log and its guards",
        fix="DATABASE_URL with the role noc_app, which deploy/postgres/10-roles.sql makes",
    )


def safety() -> Finding:
    """Do the server's settings and the outbox's tables keep what the relay relies on?"""
    connection.ensure_connection()
    try:
        check_database(connection.connection)
    except OutboxError as error:
        what, _, remedy = str(error).partition(": ")
        return fail(what, why="the relay refuses to work on such a database", fix=remedy)
    return ok("fsync, full_page_writes, id sequence, lanes and guards are as they must be")


def same_database() -> Finding:
    """Are tickets and outbox written by one transaction?"""
    models: list[Any] = [Ticket, Found, Anomaly, Canary, Message, LogEntry, Stream, DeadLetter]
    aliases = {model: router.db_for_write(model) for model in models}
    if len(set(aliases.values())) == 1:
        return ok(f"tickets and outbox are in {aliases[Ticket]!r}")
    told = ", ".join(f"{model._meta.db_table} in {alias}" for model, alias in aliases.items())
    return fail(
        told,
        why="a trigger writes the message in the ticket's own transaction, so in its database",
        fix="DATABASE_ROUTERS: send these tables to one database",
    )


def triggers() -> Finding:
    """Is every trigger of the models there, as the program has it, and enabled?"""
    with connection.cursor() as cursor:
        cursor.execute(TRIGGERS)
        present = {(table, name): enabled for table, name, enabled in cursor.fetchall()}
    declared = list(pgtrigger.registered())
    missing, disabled, outdated = [], [], []
    for model, trigger in declared:
        enabled = present.get((model._meta.db_table, trigger.get_pgid(model)))
        if enabled is None:
            missing.append(trigger.get_uri(model))
        elif not enabled:
            disabled.append(trigger.get_uri(model))
        elif trigger.get_installation_status(model)[0] != "INSTALLED":
            outdated.append(trigger.get_uri(model))
    why = "changes of such a table are not captured, or not guarded: they reach no page"
    if disabled:
        fix = fixes.manage(f"pgtrigger enable {' '.join(disabled)}", as_owner=True)
        return fail(f"disabled: {_some(disabled)}", why=why, fix=fix)
    if gone := missing + outdated:
        word = "missing" if missing else "not as the program has it"
        fix = fixes.manage(f"pgtrigger install {' '.join(gone)}", as_owner=True)
        return fail(f"{word}: {_some(gone)}", why=why, fix=fix)
    if lacking := [key for key in sorted(OUTBOX_TRIGGERS) if not present.get(key)]:
        table, name = lacking[0]
        return fail(
            f"missing or disabled: {_some([f'{name} on {table}' for table, name in lacking])}",
            why="the log could lose its order, or be edited",
            fix=f"ALTER TABLE {table} ENABLE TRIGGER {name}",
        )
    return ok(f"{len(declared) + len(OUTBOX_TRIGGERS)} present and enabled")


def connections() -> Finding:
    """Does each request give its connection back?"""
    database = settings.DATABASES["default"]
    if not database.get("CONN_MAX_AGE") or database.get("OPTIONS", {}).get("pool"):
        return ok("CONN_MAX_AGE is 0")
    return fail(
        f"CONN_MAX_AGE is {database['CONN_MAX_AGE']}",
        why="under ASGI every thread keeps one then, until the server has none left",
        fix='DATABASES["default"]["CONN_MAX_AGE"] = 0 in project/settings.py',
    )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


DATABASE: dict[str, Check] = {
    "postgresql version": version,
    "database role": role,
    "database safety": safety,
    "migrations": migrations,
    "triggers": triggers,
    "same database": same_database,
}
SETTINGS: dict[str, Check] = {"connections": connections}
