"""Which cursors were built under other sites: Note [Cursors of another scope] in triggers.py."""

from django.db import connection

# Within 30 s every socket has the new scope, also without Redis. Twice that is far from both.
SETTLED_SECONDS = 60

# One statement, so that a change of the sites in between keeps its own mark.
MOVE = """
UPDATE tenancy_membership m
   SET scope_seq = s.last_seq,
       scope_changed_at = CASE
         WHEN m.scope_changed_at > clock_timestamp() - make_interval(secs => %s)
         THEN m.scope_changed_at END
  FROM outbox_stream s
 WHERE m.user_id = %s AND s.name = 'tenant:' || m.tenant_id AND m.scope_changed_at IS NOT NULL
RETURNING m.scope_seq
"""


def moved_scope_seq(user_id: int) -> int | None:
    """
    Move the user's ``scope_seq`` to the head of the tenant's stream, and return it.

    For a membership with ``scope_changed_at`` only. The first call after 60 s is the last one.
    """
    with connection.cursor() as cursor:
        cursor.execute(MOVE, [SETTLED_SECONDS, user_id])
        row = cursor.fetchone()
    return None if row is None else row[0]
