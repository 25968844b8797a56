"""The events of a ticket: what each carries, as SQL that runs in the trigger of the change."""

from collections.abc import Iterable
from typing import Any

import pgtrigger

from outbox import capture_delete, capture_insert, capture_update
from outbox.capture import PlainTrigger, refuse_truncate, utc

DESCRIPTION_CHARACTERS = 200  # the rest is read by the API
COMMENT_CHARACTERS = 200

CLOSED = "('CLOSED', 'CANCELLED')"
_SHOWN = """(SELECT coalesce(nullif(btrim(u.first_name || ' ' || u.last_name), ''), u.username)
          FROM auth_user u WHERE u.id = {user_id})"""

_OF_TICKET = """(SELECT {value} FROM helpdesk_ticket t JOIN tenancy_site s ON s.id = t.site_id
          WHERE t.id = {ticket_id})"""


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


def names_of_ticket(ticket_id: str) -> dict[str, str]:
    """Return the SQL of what names a ticket in an event that another table's trigger writes."""

    def of(value: str) -> str:
        return _OF_TICKET.format(value=value, ticket_id=ticket_id)

    return {
        "ticket_id": ticket_id,
        "ticket_no": of("t.ticket_no"),
        "site_id": of("t.site_id"),
        "site_name": of("s.name"),
    }


def place_of_ticket(ticket_id: str) -> dict[str, Any]:
    """Return the SQL of the stream and the subject of a ticket's events, for another table."""
    return {
        "stream": _OF_TICKET.format(value="'tenant:' || t.tenant_id", ticket_id=ticket_id),
        "subject": f"'ticket:' || {ticket_id}",
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


def note_site_trigger() -> PlainTrigger:
    """Note at which site a ticket was when somebody wrote on it."""
    return PlainTrigger(
        name="note_site",
        when=pgtrigger.Before,
        operation=pgtrigger.Insert,
        func="""
            NEW.site_id := (SELECT t.site_id FROM helpdesk_ticket t WHERE t.id = NEW.ticket_id);
            RETURN NEW;
        """,
    )


def comment_trigger() -> PlainTrigger:
    """Capture a comment; a note that goes with a change of status is told by that change."""
    comment = capture_insert(
        "ticket_commented",
        payload={
            "comment_id": "NEW.id",
            **names_of_ticket("NEW.ticket_id"),
            "author": display_name("NEW.author_id"),
            "text": f"left(NEW.text, {COMMENT_CHARACTERS})",
            "written_at": utc("NEW.written_at"),
        },
        **place_of_ticket("NEW.ticket_id"),
    )
    comment.condition = pgtrigger.Condition("NEW.status = ''")
    return comment
