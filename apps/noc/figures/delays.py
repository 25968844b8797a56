"""
How long deliveries take: counted in the web process, added to the tenant's minute every 10 s.

Several processes add up. A process that dies takes at most its last 10 s along.
"""

import json
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from django.db import connection

from apps.noc.feed import database
from apps.noc.figures.buckets import BOUNDS, SIZE
from apps.tenancy.models import CANARY_SLUG

if TYPE_CHECKING:
    from apps.noc.feed.wire import Event

Key = tuple[int, int]  # tenant, and minute since 1970
MOST_KEYS = 10_000  # while the database is away; then the oldest minutes are let go

# In one order, so that two processes never wait for each other.
ADD = """
INSERT INTO noc_deliverycount AS d (tenant_id, minute, counts)
SELECT v.tenant_id, to_timestamp(v.minute * 60.0), v.counts
  FROM jsonb_to_recordset(%(rows)s::jsonb) AS v(tenant_id bigint, minute bigint, counts int[])
 WHERE EXISTS (SELECT FROM tenancy_tenant t WHERE t.id = v.tenant_id AND t.slug <> %(canary)s)
 ORDER BY 1, 2
    ON CONFLICT (tenant_id, minute) DO UPDATE
   SET counts = ARRAY(SELECT a + b FROM unnest(d.counts, excluded.counts)
                        WITH ORDINALITY AS u(a, b, n) ORDER BY n)
"""


class Delays:
    """What one process delivered since it was last written; used by one thread."""

    EVERY_SECONDS = 10.0

    def __init__(self) -> None:
        self._counts: dict[Key, list[int]] = {}

    def observe(self, tenant_id: int, events: Iterable["Event"], now: float) -> None:
        """Count events that a socket was sent live, at ``now`` in seconds since 1970."""
        key = (tenant_id, int(now // 60))
        counts = self._counts.get(key)
        if counts is None:
            counts = self._counts[key] = [0] * SIZE
        for event in events:
            counts[bisect_left(BOUNDS, now - event.written)] += 1

    async def write(self) -> None:
        """
        Add what was counted since the last time.

        Raises:
            django.db.Error: it could not be written, and stays for the next time.
        """
        counted, self._counts = self._counts, {}
        if not counted:
            return
        try:
            await database.run(add, counted)
        except BaseException:
            self._take_back(counted)
            raise

    def _take_back(self, counted: Mapping[Key, list[int]]) -> None:
        for key, counts in counted.items():
            later = self._counts.get(key)
            self._counts[key] = (
                counts if later is None else [a + b for a, b in zip(counts, later, strict=True)]
            )
        newest = sorted(self._counts, key=lambda key: key[1], reverse=True)
        for key in newest[MOST_KEYS:]:
            del self._counts[key]


def add(counted: Mapping[Key, list[int]]) -> None:
    """Add the counts of each tenant and minute to its row, in one statement."""
    rows = [
        {"tenant_id": tenant_id, "minute": minute, "counts": counts}
        for (tenant_id, minute), counts in counted.items()
    ]
    with connection.cursor() as cursor:
        cursor.execute(ADD, {"rows": json.dumps(rows), "canary": CANARY_SLUG})
