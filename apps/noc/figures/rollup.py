"""
Counting the event log: per tenant, minute of recording, site and kind; each event exactly once.

# Note [A cursor per tenant]
The log is append-only and a stream's numbers become visible in order, so "counted up to seq" is all
there is to remember. Counts and cursors move in one statement: a run that is killed has done
nothing, and one that is repeated finds nothing to do. One run at a time holds the lock.
"""

from time import monotonic

from django.db import connection, transaction

from apps.tenancy.models import CANARY_SLUG

STEP_EVENTS = 20_000
PLACED_AT_ONCE = 200  # tenants; finding where a day begins may take a look at all of the day
FIRST_HOURS = 24  # a tenant that was never counted begins this far back

LOCK = int.from_bytes(b"figs", "big")
TAKE_LOCK = "SELECT pg_try_advisory_xact_lock(%(lock)s)"

# Where counting begins: of a tenant without cursor a day ago, and of a log that was replaced after
# the last event that is counted. That is told by its number and time, when it is still there; else
# by the time alone.
PLACE = """
INSERT INTO noc_eventcursor AS k (tenant_id, epoch, seq, recorded_at)
SELECT t.id, s.epoch,
       coalesce((SELECT e.seq FROM event_log e
                  WHERE e.stream = s.name AND e.seq = c.seq AND e.recorded_at = c.recorded_at),
                (SELECT e.seq - 1 FROM event_log e
                  WHERE e.stream = s.name AND e.recorded_at > b.at ORDER BY e.seq LIMIT 1),
                s.last_seq),
       b.at
  FROM tenancy_tenant t
  JOIN outbox_stream s ON s.name = 'tenant:' || t.id
  LEFT JOIN noc_eventcursor c ON c.tenant_id = t.id
 CROSS JOIN LATERAL (
       SELECT coalesce(c.recorded_at,
                       statement_timestamp() - make_interval(hours => %(hours)s)) AS at) b
 WHERE t.slug <> %(canary)s
   AND (c.tenant_id IS NULL OR c.epoch <> s.epoch OR c.seq > s.last_seq)
 LIMIT %(tenants)s
    ON CONFLICT (tenant_id) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq
"""

# The streams that are least behind come first, so that one with a long backlog holds up no other.
# The inner LIMIT keeps the planner at one index scan per stream, and recorded_at, which never falls
# within a stream, at the partitions that can hold the slice. What a payload calls its site may be
# anything: as in the feed, what is no id is of no site.
COUNT = """
WITH behind AS (
  SELECT c.tenant_id, s.name, c.seq, s.last_seq, c.recorded_at,
         sum(s.last_seq - c.seq) OVER (ORDER BY s.last_seq - c.seq, c.tenant_id)
           - (s.last_seq - c.seq) AS sooner
    FROM noc_eventcursor c JOIN outbox_stream s ON s.name = 'tenant:' || c.tenant_id
   WHERE s.epoch = c.epoch AND s.last_seq > c.seq),
due AS MATERIALIZED (
  SELECT tenant_id, name, seq, recorded_at,
         least(last_seq, seq + %(events)s - sooner)::bigint AS upto
    FROM behind WHERE sooner < %(events)s),
found AS MATERIALIZED (
  SELECT d.tenant_id, e.recorded_at, e.kind,
         CASE WHEN e.site ~ '^[0-9]{1,18}$' THEN e.site::bigint ELSE 0 END AS site_id
    FROM due d CROSS JOIN LATERAL (
         SELECT l.recorded_at, l.payload->>'site_id' AS site,
                CASE WHEN l.type LIKE 'ticket\\_%%' THEN 'ticket'
                     WHEN l.type LIKE 'finding\\_%%' THEN 'finding'
                     WHEN l.type LIKE 'anomaly\\_%%' THEN 'anomaly' END AS kind
           FROM event_log l
          WHERE l.stream = d.name AND l.seq > d.seq AND l.seq <= d.upto
            AND l.recorded_at >= d.recorded_at
          ORDER BY l.seq LIMIT %(events)s) e),
counted AS (
  INSERT INTO noc_eventcount AS n (tenant_id, minute, site_id, ticket, finding, anomaly)
  SELECT tenant_id, date_trunc('minute', recorded_at), site_id,
         count(*) FILTER (WHERE kind = 'ticket'), count(*) FILTER (WHERE kind = 'finding'),
         count(*) FILTER (WHERE kind = 'anomaly')
    FROM found WHERE kind IS NOT NULL GROUP BY 1, 2, 3
      ON CONFLICT (tenant_id, minute, site_id) DO UPDATE
     SET ticket = n.ticket + excluded.ticket, finding = n.finding + excluded.finding,
         anomaly = n.anomaly + excluded.anomaly),
moved AS (
  UPDATE noc_eventcursor c
     SET seq = d.upto,
         recorded_at = coalesce((SELECT e.recorded_at FROM event_log e
                                  WHERE e.stream = d.name AND e.seq = d.upto
                                    AND e.recorded_at >= d.recorded_at), c.recorded_at)
    FROM due d WHERE c.tenant_id = d.tenant_id)
SELECT coalesce(sum(upto - seq), 0) FROM due
"""


def count(*, deadline: float) -> int:
    """
    Count what was recorded since the last run, until ``deadline`` (monotonic).

    Return how many events were passed; 0 also while another run is at it. Each step is a
    transaction of its own, and has at most ``STEP_EVENTS``.
    """
    total = 0
    while passed := _step():
        total += passed
        if monotonic() > deadline:
            break
    return total


def _step() -> int:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(TAKE_LOCK, {"lock": LOCK})
        if not cursor.fetchone()[0]:
            return 0
        cursor.execute(
            PLACE, {"hours": FIRST_HOURS, "tenants": PLACED_AT_ONCE, "canary": CANARY_SLUG}
        )
        placed = cursor.rowcount == PLACED_AT_ONCE
        cursor.execute(COUNT, {"events": STEP_EVENTS})
        passed = int(cursor.fetchone()[0])
    return passed or (1 if placed else 0)
