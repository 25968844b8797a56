"""
How many tickets are open: a sample of each site once a minute, kept when it differs from the last.

That a sample was taken at all is a row per minute, so that a chart has a hole where nobody looked.
"""

from django.db import connection, transaction

from apps.helpdesk.status import OPEN, Status

COLUMNS = {  # of the sample, by status
    Status.NEW: "new",
    Status.IN_PROGRESS: "in_progress",
    Status.ON_HOLD: "on_hold",
    Status.RESOLVED: "resolved",
}

# The first run of a minute makes its row; another one waits here for the commit and does nothing.
BEGIN = """
INSERT INTO noc_samplerun (minute) VALUES (date_trunc('minute', statement_timestamp()))
    ON CONFLICT DO NOTHING
"""

# The open tickets of each tenant by the index ticket_by_status, however many are closed: OFFSET 0
# keeps the planner from reading the table as a whole. The last sample of each site is an index
# probe; a site that has none gets one, also of nothing.
SAMPLE = f"""
INSERT INTO noc_opensample (site_id, minute, {", ".join(COLUMNS.values())})
SELECT s.id, date_trunc('minute', statement_timestamp()),
       {", ".join(f"coalesce(n.{name}, 0)" for name in COLUMNS.values())}
  FROM tenancy_site s
  LEFT JOIN (
       SELECT k.site_id, {
    ", ".join(
        f"count(*) FILTER (WHERE k.status = '{status}') AS {name}"
        for status, name in COLUMNS.items()
    )
}
         FROM tenancy_tenant t
        CROSS JOIN LATERAL (SELECT site_id, status FROM helpdesk_ticket
                             WHERE tenant_id = t.id AND status = ANY(%(open)s) OFFSET 0) k
        GROUP BY k.site_id) n ON n.site_id = s.id
  LEFT JOIN LATERAL (
       SELECT {", ".join(COLUMNS.values())} FROM noc_opensample o
        WHERE o.site_id = s.id ORDER BY o.minute DESC LIMIT 1) o ON true
 WHERE ({", ".join(f"o.{name}" for name in COLUMNS.values())})
       IS DISTINCT FROM ({", ".join(f"coalesce(n.{name}, 0)" for name in COLUMNS.values())})
    ON CONFLICT (site_id, minute) DO NOTHING
"""  # noqa: S608 - our own column names


def take() -> bool:
    """Take the samples of this minute unless that was done; tell whether it was done now."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(BEGIN)
        if not cursor.rowcount:
            return False
        cursor.execute(SAMPLE, {"open": [str(status) for status in OPEN]})
        return True
