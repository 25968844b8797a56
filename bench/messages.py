"""Backlogs for the relay: messages as the capture writes them, made by one statement."""

from django.db import connection

FILL = """
INSERT INTO outbox_message (lane, stream, type, subject, payload)
SELECT outbox_lane_of(s.stream), s.stream, 'ticket_updated', 'ticket:' || n,
       jsonb_build_object('ticket_id', n, 'ticket_no', 'SITE001#' || n, 'old_status', 'NEW',
         'new_status', 'IN_PROGRESS', 'priority', 'HIGH', 'assigned_to', 'John Doe',
         'site_id', n %% 10 + 1, 'site_name', 'Downtown Office',
         'description', repeat('Network connectivity issue. ', 4),
         'updated_at', '2026-01-01T10:30:00.000000Z', 'version', 2)
  FROM generate_series(1, %(count)s) n
  CROSS JOIN LATERAL (SELECT 'tenant:' || n %% %(tenants)s + 1 AS stream) s
"""


def fill(count: int, *, tenants: int) -> None:
    """Put ``count`` messages of ``tenants`` streams into the outbox, committed."""
    with connection.cursor() as cursor:
        cursor.execute(FILL, {"count": count, "tenants": tenants})
        cursor.execute("VACUUM (ANALYZE) outbox_message")
