"""Reading the figures as series: one value per step, in what a user may see."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from operator import add
from typing import Any

from django.db import connection

from apps.noc.figures.buckets import quantiles
from apps.noc.figures.samples import COLUMNS
from apps.tenancy.access import Access

MINUTE = timedelta(minutes=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
STEPS = ((120, 1), (480, 2), (24 * 60, 5))  # up to so many minutes, the minutes of a step
KINDS = ("ticket", "finding", "anomaly")

# The number of the step that a minute is in.
STEP = "floor(extract(epoch FROM {minute} - %(begin)s) / %(step)s)::int"

EVENTS = f"""
SELECT {STEP.format(minute="minute")} AS at, sum(ticket), sum(finding), sum(anomaly)
  FROM noc_eventcount
 WHERE tenant_id = %(tenant)s AND minute >= %(begin)s AND minute < %(end)s
   AND (%(sites)s::bigint[] IS NULL OR site_id = ANY(%(sites)s))
 GROUP BY at
"""  # noqa: S608 - our own words

DELAYS = f"""
SELECT {STEP.format(minute="minute")}, counts FROM noc_deliverycount
 WHERE tenant_id = %(tenant)s AND minute >= %(begin)s AND minute < %(end)s
"""  # noqa: S608 - our own words

# By how much the samples moved in each step; what was before the first step counts in it.
OPEN = f"""
SELECT greatest(0, {STEP.format(minute="minute")}) AS at, {
    ", ".join(f"sum({name})" for name in COLUMNS.values())
}
  FROM (SELECT o.minute, {
    ", ".join(
        f"o.{name} - lag(o.{name}, 1, 0) OVER (PARTITION BY s.id ORDER BY o.minute) AS {name}"
        for name in COLUMNS.values()
    )
}
          FROM tenancy_site s CROSS JOIN LATERAL (
               (SELECT * FROM noc_opensample WHERE site_id = s.id AND minute < %(begin)s
                 ORDER BY minute DESC LIMIT 1)
                UNION ALL
               (SELECT * FROM noc_opensample
                 WHERE site_id = s.id AND minute >= %(begin)s AND minute < %(end)s)) o
         WHERE s.tenant_id = %(tenant)s
           AND (%(sites)s::bigint[] IS NULL OR s.id = ANY(%(sites)s))) moved
 GROUP BY at
"""  # noqa: S608 - our own column names

# A sample is known of its own minute and of the next.
RUNS = f"""
SELECT DISTINCT {STEP.format(minute="known")}
  FROM noc_samplerun CROSS JOIN unnest(ARRAY[minute, minute + interval '1 min']) AS known
 WHERE minute >= %(before)s AND known >= %(begin)s AND known < %(end)s
"""  # noqa: S608 - our own words

Line = list[Any]


@dataclass(frozen=True, kw_only=True)
class Span:
    """The minutes that are asked for, in steps of some; the last step is that of ``now``."""

    begin: datetime
    end: datetime
    step: timedelta

    @classmethod
    def of(cls, minutes: int, *, now: datetime) -> "Span":
        """Return the steps of ``minutes``, 288 at most; the last one is that of ``now``."""
        size = next(size for most, size in STEPS if minutes <= most)
        step = size * MINUTE
        end = now - (now - EPOCH) % step + step
        return cls(begin=end - -(-minutes // size) * step, end=end, step=step)

    def __len__(self) -> int:
        return (self.end - self.begin) // self.step


def events(access: Access, span: Span) -> dict[str, Line]:
    """Return how many events of each kind were recorded in each step."""
    lines: dict[str, Line] = {kind: [0] * len(span) for kind in KINDS}
    for at, *counts in _rows(EVENTS, access, span):
        for kind, count in zip(KINDS, counts, strict=True):
            lines[kind][at] = int(count)
    return lines


def delays(access: Access, span: Span) -> dict[str, Line]:
    """
    Return the median and the 95th percentile of the seconds from a change to its delivery.

    Of every live delivery to any socket of the tenant, whatever its sites; ``None`` where there
    was none. They are as exact as a bucket is wide.
    """
    counts: list[Sequence[int]] = [()] * len(span)
    for at, more in _rows(DELAYS, access, span):
        counts[at] = list(map(add, counts[at], more)) if counts[at] else more
    pairs = [quantiles(each, 0.5, 0.95) for each in counts]
    return {name: [pair[n] for pair in pairs] for n, name in enumerate(("p50_s", "p95_s"))}


def open_tickets(access: Access, span: Span) -> dict[str, Line]:
    """
    Return how many tickets were open by status at the end of each step.

    ``None`` where no sample was taken. One that is late by a minute is no hole, and neither is the
    minute that has just begun.
    """
    moved: dict[str, Line] = {str(status): [0] * len(span) for status in COLUMNS}
    for at, *by in _rows(OPEN, access, span):
        for line, move in zip(moved.values(), by, strict=True):
            line[at] = int(move)
    known = {at for (at,) in _rows(RUNS, access, span)}
    return {
        status: [value if at in known else None for at, value in enumerate(accumulate(line))]
        for status, line in moved.items()
    }


def _rows(statement: str, access: Access, span: Span) -> list[tuple[Any, ...]]:
    parameters = {
        "tenant": access.tenant_id,
        "sites": None if access.sites is None else sorted(access.sites),
        "begin": span.begin,
        "before": span.begin - MINUTE,
        "end": span.end,
        "step": span.step.total_seconds(),
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found
