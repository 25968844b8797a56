"""For test suites: put the outbox's own rows back after the tables were emptied."""

from django.db.backends.base.base import BaseDatabaseWrapper

from outbox import heartbeat
from outbox.session import close_session

# Rows that the first migration makes; a suite's TRUNCATE takes them along.
_SEED = """
INSERT INTO outbox_log (system_identifier, timeline)
SELECT system_identifier, ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int
  FROM pg_control_system() ON CONFLICT DO NOTHING;
INSERT INTO outbox_lane (lane) SELECT generate_series(0, outbox_lanes() - 1)
ON CONFLICT (lane) DO UPDATE SET round = 0, low_id = 0, mark_id = 0, mark_xid = NULL,
  publish_failures = 0, publish_after = NULL, publish_error = NULL, paused_at = NULL,
  paused_by = NULL, pause_reason = NULL, takeover_at = NULL, takeover_by = NULL,
  solo_event_id = NULL
"""


def reset(connection: BaseDatabaseWrapper) -> None:
    """Restore lanes and epoch, and drop the relay session whose memory is of the old rows."""
    with connection.cursor() as cursor:
        cursor.execute(_SEED)
    close_session()
    heartbeat.forget()
