"""Changing the number of lanes, with every writer and every drainer held back meanwhile."""

from django.db import connections, transaction

from outbox import sql
from outbox.errors import BadSettings


def relane(lanes: int, *, using: str = "default") -> int:
    """
    Spread streams and waiting messages over ``lanes`` lanes; return how many messages moved.

    Needs the owner of the outbox's tables. Start the workers again with ``OUTBOX["lanes"]`` set.

    Raises:
        BadSettings: ``lanes`` is not within 1 to 1,024, or a lane is stopped by hand.
    """
    if not 1 <= lanes <= 1024:
        raise BadSettings(f"{lanes} lanes: use 1 to 1,024")
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute(sql.LOCK_LANES)
        cursor.execute("SELECT lane FROM outbox_lane WHERE paused_at IS NOT NULL ORDER BY lane")
        if stopped := cursor.fetchall():
            raise BadSettings(
                f"lane {stopped[0][0]} is stopped by hand, and its streams would leave it: resume"
                " it first, by `manage.py outbox_lane resume`"
            )
        # Writers wait here; the count reaches them with the lock, before they compute a lane.
        cursor.execute("LOCK TABLE outbox_message, outbox_stream IN ACCESS EXCLUSIVE MODE")
        cursor.execute(
            "CREATE OR REPLACE FUNCTION outbox_lanes() RETURNS integer "
            f"LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT {lanes:d}'"
        )
        # A kept plan holds the old count as a constant and is made anew only when the function that
        # it took in changes: an ALTER that alters nothing is such a change.
        cursor.execute("ALTER FUNCTION outbox_lane_of(text) IMMUTABLE")
        # A round above all that were: no session may take a lane for the one that it remembers.
        cursor.execute(
            "INSERT INTO outbox_lane AS l (lane, round) "
            "SELECT generate_series(0, %s - 1), (SELECT max(round) + 1 FROM outbox_lane) "
            "ON CONFLICT (lane) DO UPDATE "
            "SET round = EXCLUDED.round, low_id = 0, mark_id = 0, mark_xid = NULL, "
            "publish_failures = 0, publish_after = NULL, publish_error = NULL, "
            "takeover_at = NULL, takeover_by = NULL, solo_event_id = NULL",
            [lanes],
        )
        cursor.execute("DELETE FROM outbox_lane WHERE lane >= %s", [lanes])
        cursor.execute("UPDATE outbox_stream SET lane = outbox_lane_of(name)")
        cursor.execute(
            "UPDATE outbox_message SET lane = outbox_lane_of(stream) "
            "WHERE lane <> outbox_lane_of(stream)"
        )
        moved: int = cursor.rowcount
        return moved
