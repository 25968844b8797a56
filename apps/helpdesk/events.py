"""The events of a ticket: what each carries, as SQL that runs in the trigger of the change."""

from collections.abc import Iterable
from typing import Any

from outbox import capture_delete, capture_insert, capture_update
from outbox.capture import PlainTrigger, refuse_truncate, utc

DESCRIPTION_CHARACTERS = 200  # the rest is read by the API

CLOSED = "('CLOSED', 'CANCELLED')"
_SHOWN = """(SELECT coalesce(nullif(btrim(u.first_name || ' ' || u.last_name), ''), u.username)
          FROM auth_user u WHERE u.id = {user_id})"""


def display_name(user_id: str) -> str:
    """Return SQL for a user as the admin shows one: the full name, else the user name; or null."""
    return _SHOWN.format(user_id=user_id)


SITE_NAME = "(SELECT s.name FROM tenancy_site s WHERE s.id = NEW.site_id)"

NAMES = {"ticket_id": "NEW.id", "ticket_no": "NEW.ticket_no"}
COMMON = {
    "priority": "NEW.priority",
    "assigned_to": display_name("NEW.assigned_to_id"),
    "site_id": "NEW.site_id",
    "site_name": SITE_NAME,
    "description": f"left(NEW.description, {DESCRIPTION_CHARACTERS})",
    "updated_at": utc("NEW.updated_at"),
    "version": "NEW.version",
}
ROW = {**NAMES, "status": "NEW.status", **COMMON}
NEW_ROW: dict[str, Any] = {
    "stream": "'tenant:' || NEW.tenant_id",
    "subject": "'ticket:' || NEW.id",
}


def ticket_triggers() -> Iterable[PlainTrigger]:
    """Return the captures of a ticket; one UPDATE may give moved, edited and updated, in order."""
    return [
        capture_insert("ticket_created", payload=ROW, **NEW_ROW),
        capture_update(
            "ticket_moved",
            when_changed=["site_id"],
            payload={**ROW, "old_site_id": "OLD.site_id"},
            order=10,
            **NEW_ROW,
        ),
        capture_update(
            "ticket_edited",
            when_changed=["ticket_no", "priority", "assigned_to_id", "description"],
            payload=ROW,
            order=20,
            **NEW_ROW,
        ),
        capture_update(
            "ticket_updated",
            when_changed=["status"],
            payload={**NAMES, "old_status": "OLD.status", "new_status": "NEW.status", **COMMON},
            order=30,
            **NEW_ROW,
        ),
        capture_delete(
            "ticket_deleted",
            stream="'tenant:' || OLD.tenant_id",
            subject="'ticket:' || OLD.id",
            payload={
                "ticket_id": "OLD.id",
                "ticket_no": "OLD.ticket_no",
                "site_id": "OLD.site_id",
            },
        ),
        refuse_truncate(),
    ]
