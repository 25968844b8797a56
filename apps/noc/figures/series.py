"""Reading the figures as series: one value per minute, in what a user may see."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import accumulate
from typing import Any

from django.db import connection

from apps.noc.figures.buckets import quantiles
from apps.noc.figures.samples import COLUMNS
from apps.tenancy.access import Access

STEP = timedelta(minutes=1)
KINDS = ("ticket", "finding", "anomaly")

EVENTS = """
SELECT minute, sum(ticket), sum(finding), sum(anomaly) FROM noc_eventcount
 WHERE tenant_id = %(tenant)s AND minute >= %(begin)s AND minute < %(end)s
   AND (%(sites)s::bigint[] IS NULL OR site_id = ANY(%(sites)s))
 GROUP BY minute
"""

DELAYS = """
SELECT minute, counts FROM noc_deliverycount
 WHERE tenant_id = %(tenant)s AND minute >= %(begin)s AND minute < %(end)s
"""

# By how much the samples moved in each minute; what was before the first minute counts in it.
OPEN = f"""
SELECT greatest(minute, %(begin)s) AS at, {", ".join(f"sum({name})" for name in COLUMNS.values())}
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

RUNS = "SELECT minute FROM noc_samplerun WHERE minute >= %(before)s AND minute < %(end)s"

Line = list[Any]


@dataclass(frozen=True, kw_only=True)
class Span:
    """The minutes that are asked for; the last one is that of ``now``, which still runs."""

    begin: datetime
    end: datetime

    @classmethod
    def of(cls, minutes: int, *, now: datetime) -> "Span":
        end = now.replace(second=0, microsecond=0) + STEP
        return cls(begin=end - minutes * STEP, end=end)

    def __iter__(self) -> Iterator[datetime]:
        return (self.begin + n * STEP for n in range((self.end - self.begin) // STEP))


def events(access: Access, span: Span) -> dict[str, Line]:
    """Return how many events of each kind were recorded; 0 where there was none."""
    found = {minute: counts for minute, *counts in _rows(EVENTS, access, span)}
    return {
        kind: [found[minute][n] if minute in found else 0 for minute in span]
        for n, kind in enumerate(KINDS)
    }


def delays(access: Access, span: Span) -> dict[str, Line]:
    """
    Return the median and the 95th percentile of the seconds from a change to its delivery.

    Of every live delivery to any socket of the tenant, whatever its sites; ``None`` where there
    was none. They are as exact as a bucket is wide.
    """
    found = dict(_rows(DELAYS, access, span))
    pairs = [quantiles(found.get(minute, ()), 0.5, 0.95) for minute in span]
    return {name: [pair[n] for pair in pairs] for n, name in enumerate(("p50_s", "p95_s"))}


def open_tickets(access: Access, span: Span) -> dict[str, Line]:
    """Return how many tickets were open by status; ``None`` where no sample was taken."""
    moved = {minute: by for minute, *by in _rows(OPEN, access, span)}
    ran = {minute for (minute,) in _rows(RUNS, access, span)}
    # One that is late by a minute is no hole, and neither is the minute that has just begun.
    known = [minute in ran or minute - STEP in ran for minute in span]
    lines: dict[str, Line] = {}
    for n, status in enumerate(COLUMNS):
        values = accumulate(int(moved[minute][n]) if minute in moved else 0 for minute in span)
        lines[str(status)] = [
            value if there else None for value, there in zip(values, known, strict=True)
        ]
    return lines


def _rows(statement: str, access: Access, span: Span) -> list[tuple[Any, ...]]:
    parameters = {
        "tenant": access.tenant_id,
        "sites": None if access.sites is None else sorted(access.sites),
        "begin": span.begin,
        "before": span.begin - STEP,
        "end": span.end,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        found: list[tuple[Any, ...]] = cursor.fetchall()
        return found
