"""Whether a web process can serve: what it cannot do without, and what it can.

Redis is told as a warning and makes nobody unready: saves and the feed go on without it, and a
balancer that took every web process out would end both. See docs/adr/0018-ready-without-redis.md.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import redis
from django.conf import settings
from django.db import connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from redis.backoff import NoBackoff
from redis.retry import Retry

from apps.noc.health import examine, fixes, pipeline
from apps.noc.health.bounded import Single, limited
from apps.noc.health.result import Check, Finding, Result, State, fail, ok, warn

SECONDS = 3.0
REDIS_SECONDS = 0.5


def answer() -> tuple[bool, list[dict[str, Any]]]:
    """Return whether to send requests here, with the reasons against it and the warnings."""
    try:
        results = _single.answer(seconds=SECONDS)
    except Exception as error:
        results = [examine.result_of("database", pipeline.unreachable(error))]
    return not any(each.state is State.FAIL for each in results), pipeline.summary(results)[1]


def migrations() -> Finding:
    """Are all migrations of this program applied?"""
    with limited(examine.STATEMENT_SECONDS):
        applied = MigrationRecorder(connection).applied_migrations()
    missing = sorted(_known() - set(applied))
    if not missing:
        return ok(f"{len(_known())} applied")
    names = ", ".join(f"{app}.{name}" for app, name in missing[:3])
    return fail(
        f"{len(missing)} not applied: {names}{' …' if len(missing) > 3 else ''}",
        why="this program expects tables and triggers that the database lacks",
        fix=fixes.manage("migrate", as_owner=True),
    )


def ping(url: str, container: str, why: str) -> Finding:
    """Does the Redis at this address answer?"""
    try:
        with client(url) as there:
            there.ping()
    except (redis.RedisError, OSError, ValueError) as error:
        return warn(
            f"no answer: {error or type(error).__name__}",
            why=why,
            fix=fixes.server("redis", container),
        )
    return ok("answers")


def broker() -> Finding:
    return ping(
        settings.CELERY_BROKER_URL,
        "redis-broker",
        "no task reaches a worker; timers still find what is overdue, within two seconds",
    )


def layer() -> Finding:
    return ping(
        settings.CHANNEL_LAYER_URL,
        "redis-layer",
        "pages get events by their two-second look at the log instead of at once",
    )


def client(url: str, *, seconds: float = REDIS_SECONDS) -> redis.Redis:
    """Return a client that gives up at once instead of retrying for a minute."""
    return redis.Redis.from_url(
        url,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
    )


REDIS: dict[str, Check] = {"broker": broker, "layer": layer}


def _look() -> Sequence[Result]:
    connection.ensure_connection()
    applied = examine.result_of("migrations", migrations())
    return [applied, *(examine.result_of(name, check()) for name, check in REDIS.items())]


_single: Single[Sequence[Result]] = Single(_look)


@cache
def _known() -> frozenset[tuple[str, str]]:
    """The migrations that this program has; they do not change while it runs."""
    return frozenset(MigrationLoader(None).disk_migrations)
