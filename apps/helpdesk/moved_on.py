"""Which events a ticket has moved past: sending them again would tell of a state that is over."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from apps.helpdesk.models import Ticket
from apps.helpdesk.rows import utc
from outbox.log import LogRow

_OF_A_STATE = frozenset({"ticket_created", "ticket_edited", "ticket_updated", "ticket_moved"})
_OF_ATTENTION = frozenset({"ticket_acknowledged", "ticket_unacknowledged", "ticket_commented"})


def moved_on(rows: Sequence[LogRow]) -> Mapping[UUID, str]:
    """Return why each stale event of ``rows`` is so, by its ``event_id``; in one query."""
    told = [
        (row, row.payload["ticket_id"])
        for row in rows
        if row.type in _OF_A_STATE | _OF_ATTENTION and _has_ticket(row.payload)
    ]
    present = {
        pk: (version, acknowledged_at)
        for pk, version, acknowledged_at in Ticket.objects.filter(
            pk__in={ticket_id for _, ticket_id in told}
        ).values_list("pk", "version", "acknowledgement__acknowledged_at")
    }
    stale = {}
    for row, ticket_id in told:
        of_state = row.type in _OF_A_STATE
        if of_state and type(row.payload.get("version")) is not int:
            continue  # not the shape of such an event: that is for others to say
        if ticket_id not in present:
            stale[row.event_id] = "the ticket is deleted"
        elif reason := (_state if of_state else _attention)(row, *present[ticket_id]):
            stale[row.event_id] = reason
    return stale


def _state(row: LogRow, version: int, acknowledged_at: datetime | None) -> str | None:
    if version > row.payload["version"]:
        return f"the ticket has since moved to version {version}"
    return None


def _attention(row: LogRow, version: int, acknowledged_at: datetime | None) -> str | None:
    if row.type == "ticket_commented":
        return None
    if row.type == "ticket_unacknowledged":
        return None if acknowledged_at is None else "the ticket has been acknowledged since"
    if acknowledged_at is None:
        return "the acknowledgement has ended"
    if utc(acknowledged_at) != row.payload.get("acknowledged_at"):
        return "the ticket has been acknowledged anew since"
    return None


def _has_ticket(payload: Any) -> bool:
    ticket_id = payload.get("ticket_id") if isinstance(payload, Mapping) else None
    return type(ticket_id) is int and 0 < ticket_id < 2**63
