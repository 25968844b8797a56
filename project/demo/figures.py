"""How far the events of a tenant are: what waits, what is in the log, what was handed over."""

from typing import Any

from django.db import connection
from prometheus_client import REGISTRY

from apps.tenancy.streams import stream_of

# Of the last minute at most 10,000 are counted, the newest, so that a large log costs no more.
FIGURES = """
SELECT count(m.id), coalesce(extract(epoch FROM clock_timestamp() - min(m.occurred_at)), 0)::float8,
       (SELECT last_seq FROM outbox_stream WHERE name = %(stream)s),
       (SELECT published_seq FROM outbox_stream WHERE name = %(stream)s),
       (SELECT count(*) FROM (SELECT recorded_at FROM event_log WHERE stream = %(stream)s
                               ORDER BY seq DESC LIMIT 10000) newest
         WHERE recorded_at > clock_timestamp() - interval '1 minute')
  FROM outbox_message m WHERE m.stream = %(stream)s
"""


def figures(tenant_id: int) -> dict[str, Any]:
    """Return them for the tenant; ``sockets`` are those of this web process, of every tenant."""
    with connection.cursor() as cursor:
        cursor.execute(FIGURES, {"stream": stream_of(tenant_id)})
        pending, oldest, head, published, last_minute = cursor.fetchone()
    return {
        "pending": pending,
        "oldest_seconds": oldest,
        "head": head or 0,
        "published": published or 0,
        "last_minute": last_minute,
        "sockets": int(REGISTRY.get_sample_value("noc_feed_connections") or 0),
    }
