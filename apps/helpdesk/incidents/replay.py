"""
Applying an export to tickets, row by row, each change in a transaction of its own.

Note [How a replay continues]
The place of the last applied row of an incident is committed with the change that it made. So a
run that was killed at any moment is continued by the next: rows up to that place are done. Rows
that change nothing need no place, since comparing them with what the file said last gives the
same answer again. The update of the place asks for the count that was read, and the incident's
number is unique: of two runs at once, or of a repeated commit whose answer was lost, one finds
that it was overtaken, reads again and goes on from there.
"""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Event
from typing import Any

from django.db import DataError, IntegrityError, transaction

from apps.helpdesk import actions
from apps.helpdesk.errors import HelpdeskError, IllegalTransition, UnknownTicket
from apps.helpdesk.incidents.models import ImportedIncident
from apps.helpdesk.incidents.pace import Pace
from apps.helpdesk.incidents.reader import AuditRow
from apps.helpdesk.incidents.report import Outcome, Report
from apps.helpdesk.reconnect import Interrupted, outlasting
from apps.helpdesk.status import Priority
from apps.tenancy.models import Site
from outbox import context

ACTOR = "import:servicenow"
DELETED = "its ticket was deleted here"


@dataclass(frozen=True, slots=True)
class History:
    """How far an incident is: an ``ImportedIncident`` in memory."""

    ticket_id: int | None
    status: str
    priority: str
    place: tuple[datetime, int, int]
    applied: int


class Overtaken(Exception):
    """Another run applied this row, or an earlier try of ours whose answer was lost."""


class Replay:
    """One run over ``rows``, which are in order. ``stop`` ends it between two rows."""

    def __init__(
        self,
        rows: Sequence[AuditRow],
        sites: Mapping[str, Site],
        *,
        pace: Pace,
        stop: Event,
        report: Report,
    ) -> None:
        self.rows = rows
        self.sites = sites
        self.pace = pace
        self.stop = stop
        self.report = report
        self.run_id = uuid.uuid4().hex[:12]
        self._histories = _load({row.number for row in rows})

    def __iter__(self) -> Iterator[AuditRow]:
        """Yield each row when it is done."""
        for row in self.rows:
            if not self._done_before(row):
                self.pace.wait(row.updated_at)
            if self.stop.is_set():
                self.report.interrupted = True
                return
            try:
                self._one(row)
            except Interrupted:
                self.report.interrupted = True
                return
            yield row

    def _done_before(self, row: AuditRow) -> bool:
        history = self._histories.get(row.number)
        return history is not None and row.place <= history.place

    def _one(self, row: AuditRow) -> None:
        """Apply one row and count what became of it; no fault of a row leaves this."""
        tried = False

        def attempt() -> Outcome:
            nonlocal tried
            if tried:
                self._reload(row.number)
            tried = True
            return self._apply(row)

        try:
            with context(actor=ACTOR, request_id=f"replay-{self.run_id}:{row.line}"):
                outcome = outlasting(attempt, stop=self.stop)
        except UnknownTicket:
            self.report.refusals.add(row.line, DELETED)
        except HelpdeskError as error:
            self.report.refusals.add(row.line, str(error))
        except (DataError, IntegrityError) as error:
            first_line = str(error).partition("\n")[0]
            self.report.refusals.add(row.line, f"the database refuses it: {first_line}")
        else:
            self.report.outcomes[outcome] += 1

    def _apply(self, row: AuditRow) -> Outcome:
        while True:
            history = self._histories.get(row.number)
            try:
                if history is None:
                    return self._create(row)
                if row.place <= history.place:
                    return Outcome.DONE_BEFORE
                priority = row.priority or history.priority
                if (row.status, priority) == (history.status, history.priority):
                    return Outcome.UNCHANGED
                return self._change(row, history, priority)
            except Overtaken:
                self._reload(row.number)

    def _create(self, row: AuditRow) -> Outcome:
        site, priority = self.sites[row.location], row.priority or Priority.MEDIUM
        try:
            with transaction.atomic():
                ticket = actions.create_ticket(
                    site=site,
                    description=row.description,
                    priority=priority,
                    status=row.status,
                    reason=row.awaited,
                    ticket_no=f"{site.code}#{row.number}",
                )
                history = History(ticket.pk, row.status, priority, row.place, 1)
                ImportedIncident.objects.create(number=row.number, **_columns(history))
        except IntegrityError:
            if ImportedIncident.objects.filter(number=row.number).exists():
                raise Overtaken from None
            raise
        self._histories[row.number] = history
        return Outcome.CREATED

    def _change(self, row: AuditRow, history: History, priority: str) -> Outcome:
        if history.ticket_id is None:
            raise UnknownTicket(0)
        edited, changed = priority != history.priority, row.status != history.status
        new = replace(
            history,
            status=row.status,
            priority=priority,
            place=row.place,
            applied=history.applied + 1,
        )
        with transaction.atomic():
            own = ImportedIncident.objects.filter(number=row.number, applied=history.applied)
            if not own.update(**_columns(new)):
                raise Overtaken
            if edited:
                actions.edit_ticket(ticket_id=history.ticket_id, priority=priority)
            if changed:
                changed = _change_status(history.ticket_id, row)
        self._histories[row.number] = new
        self.report.edits += edited
        if changed:
            return Outcome.CHANGED
        return Outcome.EDITED if edited else Outcome.UNCHANGED

    def _reload(self, number: str) -> None:
        self._histories.pop(number, None)
        self._histories.update(_load({number}))


def _change_status(ticket_id: int, row: AuditRow) -> bool:
    """Return whether the status changed; somebody here may have set it already."""
    try:
        actions.change_status(ticket_id=ticket_id, to=row.status, reason=row.awaited)
    except IllegalTransition as error:
        if error.present != error.to:
            raise
        return False
    return True


def _load(numbers: set[str]) -> dict[str, History]:
    found = ImportedIncident.objects.filter(number__in=numbers)
    return {
        row.number: History(
            row.ticket_id,
            row.status,
            row.priority,
            (row.updated_at, row.mod_count, row.nth),
            row.applied,
        )
        for row in found
    }


def _columns(history: History) -> dict[str, Any]:
    updated_at, mod_count, nth = history.place
    return {
        "ticket_id": history.ticket_id,
        "status": history.status,
        "priority": history.priority,
        "updated_at": updated_at,
        "mod_count": mod_count,
        "nth": nth,
        "applied": history.applied,
    }
