"""A tenant's log as the feed's own modules read it: rows put there by hand, tasks waited for."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from django.db import connection, transaction
from prometheus_client import REGISTRY

from apps.noc.feed import database
from apps.noc.feed.pages import slice_of
from apps.noc.feed.wire import Event
from outbox import log

STREAM = "tenant:7"
OTHER_EPOCH = "00000000-0000-0000-0000-000000000000"
STORY_SECONDS = 30

HEAD = """
INSERT INTO outbox_stream (name, lane, epoch, last_seq, published_seq, last_recorded_at)
SELECT %(stream)s, outbox_lane_of(%(stream)s), epoch, %(last)s, %(last)s, clock_timestamp()
  FROM outbox_log
ON CONFLICT (name) DO UPDATE SET last_seq = EXCLUDED.last_seq
"""
EVENTS = """
INSERT INTO event_log (stream, seq, event_id, type, subject, payload, context, schema_version,
                       occurred_at, recorded_at)
SELECT %(stream)s, n, gen_random_uuid(), 'ticket_deleted', 'ticket:' || n,
       jsonb_build_object('ticket_id', n, 'ticket_no', 'SITE#' || n, 'site_id', n %% 3),
       '{}', 1, clock_timestamp(), clock_timestamp()
  FROM generate_series(%(first)s::bigint, %(last)s) n
"""
SET_HEAD = "UPDATE outbox_stream SET last_seq = %(last)s WHERE name = %(stream)s"
SET_EPOCH = "UPDATE outbox_stream SET epoch = %(epoch)s WHERE name = %(stream)s"


def write(*statements: str, **values: Any) -> None:
    """Run statements in one transaction, in the thread of the caller."""
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement, {"stream": STREAM, **values})


def record(first: int, last: int) -> None:
    """Put these numbers into the log, as the relay would."""
    write(HEAD, EVENTS, first=first, last=last)


async def recorded(first: int, last: int) -> list[Event]:
    """Put these numbers into the log; return them as the channel layer would tell of them."""
    await database.run(record, first, last)
    before = log_reads("gap")
    events = await slice_of(STREAM, first - 1, last - first + 1)
    assert log_reads("gap") == before + 1
    return events


async def head() -> log.Head:
    return await database.run(log.head, STREAM)


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def log_reads(purpose: str) -> float:
    return counted("noc_feed_log_reads_total", purpose=purpose)


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a coroutine function in a loop of its own, for a bounded time."""

    async def bounded() -> None:
        async with asyncio.timeout(STORY_SECONDS):
            await story()

    asyncio.run(bounded())


async def settle() -> None:
    """Let everything go on that waits for nothing."""
    for _ in range(10):
        await asyncio.sleep(0)


async def quiet() -> None:
    """Return when no other task of this loop is left."""
    this = asyncio.current_task()
    while others := asyncio.all_tasks() - {this}:
        await asyncio.wait(others)
