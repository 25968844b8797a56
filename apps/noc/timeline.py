"""
The story of a ticket, newest first: its events as the viewer may see them, and what people wrote.

Events say what a ticket is, not what changed: that is told by the one before. One write may give
several events of one version, so the one before is of a lower version, and each tells of its own
part alone. What happened at sites that the viewer does not see is left out, as in the feed.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from apps.helpdesk.conflicts import BESIDE_THE_ROW, SLACK
from apps.helpdesk.models import TicketNote
from apps.helpdesk.notes import notes_on
from apps.helpdesk.rows import utc
from apps.noc.feed.wire import MOVED, Event, event_of
from apps.tenancy.access import Access
from apps.tenancy.actors import names_of
from apps.tenancy.http.bodies import BIGGEST_ID
from apps.tenancy.http.problems import Problem
from apps.tenancy.names import display_name
from apps.tenancy.streams import stream_of
from outbox import log
from outbox.log import LogRow
from outbox.models import DeadLetter

COMMENTED = "ticket_commented"  # told by the comment itself
LOOK_BACK = 50  # events before a page, for what its oldest ones changed
# What each type tells the change of.
OWN: Mapping[str, Sequence[str]] = {
    "ticket_created": (),
    MOVED: ("site_name",),
    "ticket_edited": ("ticket_no", "priority", "assigned_to", "description"),
    "ticket_updated": ("status",),
}
_PLACE = re.compile(r"([0-9]{1,19})-([0-9]{1,19})", re.ASCII)


@dataclass(frozen=True)
class Place:
    """Where a page ends: what comes next lies before this event and this note."""

    seq: int = BIGGEST_ID
    note: int = BIGGEST_ID

    def __str__(self) -> str:
        return f"{self.seq}-{self.note}"

    @classmethod
    def of(cls, text: str | None) -> "Place":
        """Return the place that a client gives back; the start without one."""
        if text is None:
            return cls()
        found = _PLACE.fullmatch(text)
        if found is None or max(map(int, found.groups())) > BIGGEST_ID:
            raise Problem(400, "before: not one of ours; give back what the last page had.")
        return cls(*map(int, found.groups()))


def page(
    access: Access, ticket: Mapping[str, Any], *, place: Place, limit: int
) -> tuple[list[dict[str, Any]], Place | None]:
    """
    Return at most ``limit`` entries before ``place``, and where the next page begins.

    ``ticket``: one of ``rows.values()``, in scope. A page may be short when events are hidden.
    """
    stream, subject = stream_of(access.tenant_id), f"ticket:{ticket['id']}"
    since = ticket["created_at"] - SLACK
    rows = log.read_subject(
        stream, subject, since=since, before=place.seq, limit=limit, without=[COMMENTED]
    )
    older: list[LogRow] = []
    if rows:
        older = log.read_subject(
            stream, subject, since=since, before=rows[-1].seq, limit=LOOK_BACK,
            without=BESIDE_THE_ROW,
        )  # fmt: skip
    found = notes_on(ticket["id"], access).filter(pk__lt=place.note)
    notes = list(found.order_by("-pk")[:limit])

    told = _told(access, rows, older)
    entries: list[dict[str, Any]] = []
    seq, note = place.seq, place.note
    for each in _newest_first(rows, notes, limit):
        if len(entries) == limit:
            return entries, Place(seq, note)
        if isinstance(each, TicketNote):
            note = each.pk
            entries.append(_comment(each))
        else:
            seq = each.seq
            if seq in told:
                entries.append(told[seq])
    ended = len(rows) < limit and len(notes) < limit
    return entries, None if ended else Place(seq, note)


def _newest_first(
    rows: Sequence[LogRow], notes: Sequence[TicketNote], limit: int
) -> Iterator[LogRow | TicketNote]:
    """Merge both, each in its own order, up to where one of them may go on beyond what was read."""
    row, note = 0, 0
    while row < len(rows) or note < len(notes):
        if row == len(rows):
            if row == limit:
                return
            take_note = True
        elif note == len(notes):
            if note == limit:
                return
            take_note = False
        else:
            take_note = notes[note].written_at >= rows[row].occurred_at
        if take_note:
            yield notes[note]
            note += 1
        else:
            yield rows[row]
            row += 1


def _told(
    access: Access, rows: Sequence[LogRow], older: Sequence[LogRow]
) -> dict[int, dict[str, Any]]:
    """Return the entries of the events that the viewer may see, by their number."""
    names = names_of((_actor(row) for row in rows), tenant_id=access.tenant_id)
    letters = {
        letter.event_id: letter
        for letter in DeadLetter.objects.filter(event_id__in=[row.event_id for row in rows]).only(
            "event_id", "state", "reason", "attempts"
        )
    }
    seen = [(row, event_of(row)) for row in (*rows, *older)]
    seen = [(row, event) for row, event in seen if event.visible(access.sites)]
    states = [event for row, event in seen if _is_state(row, event, access.sites)]
    shown = {row.seq for row in rows}
    return {
        row.seq: {
            "kind": "event",
            "seq": row.seq,
            "type": event.type,
            "at": utc(row.occurred_at),
            "recorded_at": utc(row.recorded_at),
            "actor": names.get(_actor(row)),
            "changes": list(_changes(event, row, states, access.sites)),
            "replay_of": row.replay_of,
            "dead_letter": _letter(letters.get(row.event_id)),
        }
        for row, event in seen
        if row.seq in shown
    }


def _is_state(row: LogRow, event: Event, sites: Set[int] | None) -> bool:
    """Tell whether the event says what the ticket was, to this viewer; a replay says it late."""
    return event.type in OWN and row.replay_of is None and _whole(event, sites)


def _whole(event: Event, sites: Set[int] | None) -> bool:
    return sites is None or event.fields["site_id"] in sites


def _changes(
    event: Event, row: LogRow, states: Iterable[Event], sites: Set[int] | None
) -> Iterator[dict[str, Any]]:
    if row.replay_of is not None:
        return
    fields = event.fields
    if event.type == "ticket_acknowledged":
        yield {"field": "acknowledged_by", "old": None, "new": fields["acknowledged_by"]}
    if event.type == "ticket_updated":
        yield {"field": "status", "old": fields["old_status"], "new": fields["new_status"]}
    elif event.type in OWN:
        before = next(
            (
                state.fields
                for state in states
                if state.seq < event.seq and state.fields["version"] < fields["version"]
            ),
            None,
        )
        if before is None:
            return  # it is no longer kept, or was never seen
        for name in OWN[event.type]:
            new = fields[name] if _whole(event, sites) else None  # it left for where is not said
            if before[name] != new:
                yield {"field": name, "old": before[name], "new": new}


def _actor(row: LogRow) -> str | None:
    actor = row.context.get("actor") if isinstance(row.context, Mapping) else None
    return actor if isinstance(actor, str) else None


def _letter(letter: DeadLetter | None) -> dict[str, Any] | None:
    if letter is None:
        return None
    names = ("id", "state", "reason", "attempts")
    return {name: getattr(letter, name) for name in names}


def _comment(note: TicketNote) -> dict[str, Any]:
    return {
        "kind": "comment",
        "id": note.pk,
        "actor": note.author and display_name(note.author),
        "status": note.status or None,
        "text": note.text,
        "at": utc(note.written_at),
    }
