"""Which events a ticket has moved past: sending them again would tell of a state that is over."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from apps.helpdesk.models import Ticket
from outbox.log import LogRow

_OF_A_STATE = frozenset({"ticket_created", "ticket_edited", "ticket_updated", "ticket_moved"})


def moved_on(rows: Sequence[LogRow]) -> Mapping[UUID, str]:
    """Return why each stale event of ``rows`` is so, by its ``event_id``; in one query."""
    told = {row.event_id: _told(row) for row in rows if row.type in _OF_A_STATE}
    ids = {ticket_id for ticket_id, _ in told.values() if ticket_id is not None}
    versions = dict(Ticket.objects.filter(pk__in=ids).values_list("pk", "version"))
    stale = {}
    for event_id, (ticket_id, version) in told.items():
        if ticket_id is None or version is None:
            continue  # not the shape of such an event: that is for others to say
        present = versions.get(ticket_id)
        if present is None:
            stale[event_id] = "the ticket is deleted"
        elif present > version:
            stale[event_id] = f"the ticket has since moved to version {present}"
    return stale


def _told(row: LogRow) -> tuple[int | None, int | None]:
    payload: Any = row.payload
    if not isinstance(payload, Mapping):
        return None, None
    ticket_id, version = (payload.get(key) for key in ("ticket_id", "version"))
    if type(ticket_id) is not int or type(version) is not int or not 0 < ticket_id < 2**63:
        return None, None
    return ticket_id, version
