"""Start checks: the relay refuses a database whose settings would break its promises."""

import psycopg

from outbox import sql
from outbox.conf import outbox_settings
from outbox.errors import LaneCountDiffers, LaneMissing, UnsafeDatabase


def check_database(connection: psycopg.Connection) -> None:
    """
    Compare the server and the schema with what the relay relies on, in one statement.

    Raises:
        UnsafeDatabase: a server setting or a guard is missing; the message names it.
        LaneCountDiffers: ``OUTBOX["lanes"]`` and the database disagree.
        LaneMissing: a lane has no row.
    """
    (row,) = connection.execute(sql.SAFETY).fetchall()
    fsync, full_page_writes, cache, lanes, lane_rows, default_partition, xid_trigger, replica = row
    wanted = outbox_settings().lanes
    if replica:
        raise UnsafeDatabase("this server is a standby: point DATABASE_URL at the primary")
    if fsync != "on" or full_page_writes != "on":
        raise UnsafeDatabase(
            "fsync or full_page_writes is off, so a crash could give numbers twice: set both on"
        )
    if cache != 1:
        raise UnsafeDatabase(
            f"the id sequence of outbox_message has CACHE {cache}, which breaks the order per "
            "ticket: ALTER TABLE outbox_message ALTER id SET CACHE 1"
        )
    if not default_partition:
        raise UnsafeDatabase(
            "event_log has no default partition, so one row could block the others: "
            "CREATE TABLE event_log_default PARTITION OF event_log DEFAULT"
        )
    if not xid_trigger:
        raise UnsafeDatabase(
            "the trigger outbox_take_xid is missing or disabled: "
            "ALTER TABLE outbox_message ENABLE TRIGGER outbox_take_xid"
        )
    if lanes != wanted:
        raise LaneCountDiffers(
            f"OUTBOX['lanes'] is {wanted}, the database has {lanes}: set it to {lanes}, or stop "
            f"the workers and run `manage.py outbox_relane {wanted}`"
        )
    if lane_rows != lanes:
        raise LaneMissing(
            f"outbox_lane has {lane_rows} rows for {lanes} lanes: run "
            f"`manage.py outbox_relane {lanes}`"
        )
