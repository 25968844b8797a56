"""Check of the clocks: this host's against those of the database and Redis."""

import time
from collections.abc import Callable

import redis
from django.conf import settings
from django.db import connection

from apps.noc.health.ready import client
from apps.noc.health.result import Check, Finding, State, grade, of, ok

WARN_SECONDS, FAIL_SECONDS = 1.0, 30.0


def _database() -> float:
    with connection.cursor() as cursor:
        cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
        return float(cursor.fetchone()[0])


def _broker() -> float:
    with client(settings.CELERY_BROKER_URL, seconds=1) as there:
        there.ping()  # so that the connect is not measured
        seconds, microseconds = there.time()
    return float(seconds) + float(microseconds) / 1e6


def skew(clock: Callable[[], float]) -> float:
    """Return by how many seconds at least that clock is off: half the round trip is not known."""
    before = time.time()
    there = clock()
    after = time.time()
    return max(0.0, abs(there - (before + after) / 2) - (after - before) / 2)


def database() -> Finding:
    """Is this host's clock that of the database?"""
    return _judged("the database", skew(_database))


def broker() -> Finding:
    """Is this host's clock that of Redis?"""
    try:
        return _judged("Redis", skew(_broker))
    except (redis.RedisError, OSError) as error:
        return Finding(State.WARN, f"Redis does not tell: {error}", asked=False)


def _judged(whose: str, seconds: float) -> Finding:
    state = grade(seconds, warn_above=WARN_SECONDS, fail_above=FAIL_SECONDS)
    if state is State.OK:
        return ok(f"within {max(seconds, 0.01):.2f} s of {whose}")
    return of(
        state,
        f"{seconds:.1f} s off that of {whose}",
        why="sweeps expire before they run or never, and measured delays are wrong",
        fix="timedatectl set-ntp true, on this host and on that of the server",
    )


CLOCKS: dict[str, Check] = {"database clock": database}
REDIS_CLOCK: dict[str, Check] = {"redis clock": broker}
