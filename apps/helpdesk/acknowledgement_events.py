"""
The events of an acknowledgement, and what ends one, as SQL that runs in the trigger of the change.

An acknowledgement says that somebody has seen the ticket as it is. So it ends when the status
becomes NEW again or the priority is raised, whoever writes that.
"""

from collections.abc import Iterable

import pgtrigger

from apps.helpdesk.events import (
    CLOSED,
    SITE_NAME,
    display_name,
    names_of_ticket,
    place_of_ticket,
)
from apps.helpdesk.status import Priority, Status
from outbox import capture_delete, capture_insert, capture_update
from outbox.capture import PlainTrigger, utc

_RANKS = f"'{{{','.join(Priority.values)}}}'::text[]"  # lowest first
ENDS = f"""
    OLD.status IS DISTINCT FROM NEW.status AND NEW.status = '{Status.NEW}'
    OR (OLD.priority IS DISTINCT FROM NEW.priority
        AND array_position({_RANKS}, NEW.priority::text)
            > array_position({_RANKS}, OLD.priority::text))
"""
COMES_INTO_VIEW = f"""
    OLD.site_id IS DISTINCT FROM NEW.site_id
    OR (OLD.status IN {CLOSED} AND NEW.status NOT IN {CLOSED})
"""


_OF_ACKNOWLEDGEMENT = """(SELECT {value} FROM helpdesk_acknowledgement a
          WHERE a.ticket_id = NEW.id)"""


def _unless(condition: str, trigger: PlainTrigger) -> PlainTrigger:
    """Let the trigger do nothing where the condition holds, which a WHEN clause could not ask."""
    trigger.func = f"IF {condition} THEN RETURN NULL; END IF;{trigger.func}"
    return trigger


def acknowledgement_triggers() -> Iterable[PlainTrigger]:
    """Return the captures of an acknowledgement; what goes with its ticket gives no event."""
    payload = {
        **names_of_ticket("NEW.ticket_id"),
        "acknowledged_by": display_name("NEW.acknowledged_by_id"),
        "acknowledged_at": utc("NEW.acknowledged_at"),
    }
    return [
        capture_insert("ticket_acknowledged", payload=payload, **place_of_ticket("NEW.ticket_id")),
        capture_update(
            "ticket_acknowledged",
            when_changed=["acknowledged_by_id", "acknowledged_at"],
            payload=payload,
            order=10,
            **place_of_ticket("NEW.ticket_id"),
        ),
        _unless(
            "NOT EXISTS (SELECT FROM helpdesk_ticket WHERE id = OLD.ticket_id)",
            capture_delete(
                "ticket_unacknowledged",
                payload=names_of_ticket("OLD.ticket_id"),
                **place_of_ticket("OLD.ticket_id"),
            ),
        ),
    ]


def ticket_side_triggers() -> Iterable[PlainTrigger]:
    """
    Return the triggers of the ticket's table, which come after the ticket's own events.

    A ticket that moves or is opened again comes onto boards that knew nothing of it, and its own
    events do not tell whether it is acknowledged: so that is told once more.
    """
    told_again = capture_update(
        "ticket_acknowledged",
        when_changed=["site_id"],
        stream="'tenant:' || NEW.tenant_id",
        subject="'ticket:' || NEW.id",
        payload={
            "ticket_id": "NEW.id",
            "ticket_no": "NEW.ticket_no",
            "site_id": "NEW.site_id",
            "site_name": SITE_NAME,
            "acknowledged_by": display_name(_of_acknowledgement("a.acknowledged_by_id")),
            "acknowledged_at": _of_acknowledgement(utc("a.acknowledged_at")),
        },
        order=50,
    )
    told_again.condition = pgtrigger.Condition(COMES_INTO_VIEW)
    return [
        PlainTrigger(
            name="outbox_40_end_acknowledgement",
            when=pgtrigger.After,
            operation=pgtrigger.Update,
            condition=pgtrigger.Condition(ENDS),
            func="DELETE FROM helpdesk_acknowledgement WHERE ticket_id = NEW.id; RETURN NULL;",
        ),
        _unless(
            "NOT EXISTS (SELECT FROM helpdesk_acknowledgement WHERE ticket_id = NEW.id)", told_again
        ),
    ]


def _of_acknowledgement(value: str) -> str:
    return _OF_ACKNOWLEDGEMENT.format(value=value)
