"""
What the figures of the charts cost: counting the log, sampling what is open, and one request.

1,000 tenants with two sites each, ``--rows`` logged events that are to be counted, 100,000 open
tickets among ``--closed`` that are not, and the figures of a day in every minute.
"""

import sys
from collections.abc import Callable
from time import monotonic, perf_counter
from timeit import timeit

from bench import harness
from bench.growth import HEADS
from bench.harness import Target

TENANTS = """
INSERT INTO tenancy_tenant (name, slug) SELECT 'T' || n, 't' || n FROM generate_series(1, 1000) n;
INSERT INTO tenancy_site (tenant_id, code, name)
SELECT t.id, 'SITE00' || n, 'S' || n FROM tenancy_tenant t, generate_series(1, 2) n;
"""
TICKETS = """
SET LOCAL session_replication_role = replica;
INSERT INTO helpdesk_ticket (tenant_id, site_id, ticket_no, status)
SELECT s.tenant_id, s.id, s.code || '#' || n,
       CASE WHEN n <= 50 THEN (ARRAY['NEW', 'IN_PROGRESS', 'ON_HOLD', 'RESOLVED'])[n %% 4 + 1]
            ELSE 'CLOSED' END
  FROM tenancy_site s, generate_series(1, 50 + %(closed)s / 2000) n;
"""
LOG = """
INSERT INTO event_log (stream, seq, event_id, type, subject, payload, context, schema_version,
                       occurred_at, recorded_at)
SELECT 'tenant:' || t.id, n, gen_random_uuid(), 'ticket_updated', 'ticket:' || n,
       jsonb_build_object('ticket_id', n, 'site_id', t.site,
                          'description', repeat('Network connectivity issue. ', 8)),
       '{}', 1, now(), now() - make_interval(secs => 3600 - n * 3600 / %(each)s)
  FROM (SELECT tenant_id AS id, min(id) AS site FROM tenancy_site GROUP BY 1) t,
       generate_series(1, %(each)s) n
"""
DAY = """
INSERT INTO noc_eventcount (tenant_id, minute, site_id, ticket, finding, anomaly)
SELECT s.tenant_id, m, s.id, 5, 1, 1
  FROM generate_series(%(now)s - interval '25 h', %(now)s - interval '2 h', '1 min') m,
       tenancy_site s;
INSERT INTO noc_deliverycount (tenant_id, minute, counts)
SELECT t.id, m, array_fill(3, ARRAY[52])
  FROM generate_series(%(now)s - interval '25 h', %(now)s, '1 min') m, tenancy_tenant t;
INSERT INTO noc_opensample (site_id, minute, new, in_progress, on_hold, resolved)
SELECT s.id, m, 5, 4, 3, 2
  FROM generate_series(%(now)s - interval '25 h', %(now)s - interval '1 min', '1 min') m,
       tenancy_site s;
INSERT INTO noc_samplerun
SELECT m FROM generate_series(%(now)s - interval '25 h', %(now)s - interval '1 min', '1 min') m;
"""


def main() -> int:
    parser = harness.parser(__doc__ or "")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--closed", type=int, default=1_000_000)
    options = parser.parse_args()
    harness.prepare()
    from django.db import connection, transaction
    from django.utils import timezone

    from apps.noc.feed.wire import Event
    from apps.noc.figures import rollup, samples, series
    from apps.noc.figures.delays import Delays
    from apps.tenancy.access import Access
    from apps.tenancy.models import Tenant

    def run(statement: str, **values: object) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL statement_timeout = 0")
            cursor.execute(statement, values or None)

    def timed(act: Callable[[], object]) -> float:
        began = perf_counter()
        act()
        return (perf_counter() - began) * 1e3

    now = timezone.now().replace(second=0, microsecond=0)
    run(TENANTS)
    run(TICKETS, closed=options.closed)
    run(LOG, each=options.rows // 1_000)
    run(HEADS)
    run(DAY, now=now)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute("VACUUM (ANALYZE)")

    found: dict[str, float] = {}
    milliseconds = timed(lambda: rollup.count(deadline=monotonic() + 600))
    found["count the log, events/s"] = options.rows / milliseconds * 1e3
    found["a run with nothing to count, ms"] = timed(lambda: rollup.count(deadline=monotonic()))
    found["sample 2,000 sites, ms"] = timed(samples.take)

    def read(part: Callable[..., object]) -> float:
        tenants = Tenant.objects.filter(slug__startswith="t").order_by("?")[:20]
        total = 0.0
        for tenant in tenants:
            access = Access(user_id=1, tenant_id=tenant.pk, capabilities=frozenset(), sites=None)
            total += timed(lambda access=access: part(access, day))  # type: ignore[misc]
        return total / 20

    day = series.Span.of(1_440, now=now)
    figures = harness.interleave(
        {
            "read a day of events, ms": lambda: read(series.events),
            "read a day of delays, ms": lambda: read(series.delays),
            "read a day of open tickets, ms": lambda: read(series.open_tickets),
        },
        rounds=options.rounds or 5,
    )
    read_a_day = sum(harness.medians(figures).values())
    found |= harness.medians(figures)
    counted = Delays()
    event = Event("canary", 1, "e", "i", timezone.now().isoformat(), {})
    batch, at = [event] * 64, event.written + 0.02
    found["count one delivery, us"] = (
        timeit(lambda: counted.observe(1, batch, at), number=20_000) / 20_000 / 64 * 1e6
    )
    targets = [
        Target("count one delivery, us", found["count one delivery, us"], 1, at_most=True),
        Target("read a day, ms", read_a_day, 100, at_most=True),
        Target("nothing to count, ms", found["a run with nothing to count, ms"], 100, at_most=True),
    ]
    return harness.report("figures", "as named", found, targets, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
