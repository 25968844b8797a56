"""
Random histories of a tenant: what happens to tickets, findings and anomalies, by every way in.

Each change alters something that viewers see. One that alters nothing counts the ticket's version
all the same and is no event, so after it no board could equal a new snapshot.
"""

import random
import threading
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from itertools import count

from django.contrib.auth.models import User
from django.db import OperationalError, connection, transaction

from apps.helpdesk import actions
from apps.helpdesk.errors import StaleVersion, UnknownTicket
from apps.helpdesk.models import Ticket
from apps.helpdesk.status import Priority, Status
from apps.noc.models import Anomaly, Finding
from apps.tenancy.models import Site
from outbox.session import close_session

HELD_SECONDS = 0.03  # a transaction, at most
ROLLED_BACK = 0.15
RAW = """
UPDATE helpdesk_ticket SET status = %s, priority = %s, description = %s WHERE id = ANY(%s)
"""
RAW_DELETE = (
    "SELECT FROM helpdesk_ticket WHERE id = %s FOR UPDATE",  # nobody adds a note from here on
    "DELETE FROM helpdesk_ticketnote WHERE ticket_id = %s",
    "DELETE FROM helpdesk_ticket WHERE id = %s",
)


class History:
    """Changes of one tenant's tickets; ``which`` and ``value`` choose among what there is."""

    def __init__(self, sites: Sequence[Site], users: Sequence[User]) -> None:
        self.sites = sites
        self.assignees: list[User | None] = [None, *users]
        self.tickets: list[int] = []  # ids, also of those that were deleted
        self._numbers = count(1)

    def do(self, kind: str, which: int, value: int) -> None:
        """Make one change; nothing when there is no ticket yet, or it is gone or is so already."""
        if kind in ALONE:
            getattr(self, kind)(which, value)
        elif self.tickets:
            with suppress(UnknownTicket):
                getattr(self, kind)(self.tickets[which % len(self.tickets)], value)

    def create(self, which: int, value: int) -> None:
        made = actions.create_ticket(
            site=self.site(which), description=self.text(value), priority=self.priority(value)
        )
        self.tickets.append(made.pk)

    def find(self, which: int, value: int) -> None:
        site = self.site(which) if value else None
        Finding.objects.create(tenant=self.sites[0].tenant, site=site, title=self.text(value)[:200])

    def detect(self, which: int, value: int) -> None:
        Anomaly.objects.create(
            tenant=self.sites[0].tenant,
            site=self.site(which) if value else None,
            metric="loss",
            observed=value / 4,
            expected=0,
        )

    def status(self, ticket: int, value: int) -> None:
        to = self.word(Status.values, value)
        Ticket.objects.filter(pk=ticket).exclude(status=to).update(status=to)

    def act(self, ticket: int, value: int) -> None:
        to = self.word(Status.values, value)
        with transaction.atomic():
            found = Ticket.objects.select_for_update().filter(pk=ticket).exclude(status=to)
            if found.exists():
                actions.change_status(ticket_id=ticket, to=to, note="seen", enforce=False)

    def edit(self, ticket: int, value: int) -> None:
        actions.edit_ticket(
            ticket_id=ticket, priority=self.priority(value), description=self.text(value)
        )

    def assign(self, ticket: int, value: int) -> None:
        actions.edit_ticket(ticket_id=ticket, assigned_to=self.assignee(value))

    def move(self, ticket: int, value: int) -> None:
        actions.move_ticket(ticket_id=ticket, site=self.site(value))

    def all_at_once(self, ticket: int, value: int) -> None:
        """One UPDATE that moves, edits and changes the status: up to three events."""
        Ticket.objects.filter(pk=ticket).update(
            site=self.site(value),
            description=self.text(value),
            status=self.word(Status.values, value),
            assigned_to=self.assignee(value),
        )

    def save(self, ticket: int, value: int) -> None:
        found = Ticket.objects.filter(pk=ticket).first()
        if found is not None:
            found.description = self.text(value)
            found.save()

    def bulk(self, ticket: int, value: int) -> None:
        Ticket.objects.filter(pk__in=self.some(value)).update(description=self.text(value))

    def raw(self, ticket: int, value: int) -> None:
        with connection.cursor() as cursor:
            to, priority = self.word(Status.values, value), self.priority(value)
            cursor.execute(RAW, [to, priority, self.text(value), [ticket]])

    def acknowledge(self, ticket: int, value: int) -> None:
        actions.acknowledge(ticket_id=ticket, actor=self.assignee(value))

    def unacknowledge(self, ticket: int, value: int) -> None:
        actions.unacknowledge(ticket_id=ticket)

    def comment(self, ticket: int, value: int) -> None:
        actions.comment(ticket_id=ticket, text=self.text(value), actor=self.assignee(value))

    def undo(self, ticket: int, value: int) -> None:
        """A savepoint that is rolled back within what stays."""
        try:
            with transaction.atomic():
                self.edit(ticket, value)
                raise Undone
        except Undone:
            self.edit(ticket, value)

    def delete(self, ticket: int, value: int) -> None:
        if value % 2:
            actions.delete_ticket(ticket_id=ticket)
        else:
            with transaction.atomic(), connection.cursor() as cursor:
                for statement in RAW_DELETE:
                    cursor.execute(statement, [ticket])

    def site(self, value: int) -> Site:
        return self.sites[value % len(self.sites)]

    def assignee(self, value: int) -> User | None:
        return self.assignees[value % len(self.assignees)]

    def priority(self, value: int) -> str:
        return self.word(Priority.values, value)

    def text(self, value: int) -> str:
        """Never the same twice; now and then longer than what events carry."""
        return f"{next(self._numbers)} " + "é" * (250 if value == 5 else 3)

    def some(self, value: int) -> list[int]:
        return sorted(self.tickets[value::3])

    @staticmethod
    def word(words: Sequence[str], value: int) -> str:
        return words[value % len(words)]


ALONE = ("create", "find", "detect")  # what is no change of a ticket that exists
CHANGES = (
    *("status", "act", "edit", "assign", "move", "all_at_once", "save", "bulk", "raw", "undo"),
    *("acknowledge", "unacknowledge", "comment", "delete"),
)
OFTEN = (*CHANGES[:-1], *CHANGES, *("create",) * 4, "find", "detect")  # half as many deletions


class Undone(Exception):
    """The transaction is to be rolled back."""


class Writer(threading.Thread):
    """Makes changes until stopped: one to three in a transaction that is held for a while."""

    def __init__(self, history: History, seed: int) -> None:
        super().__init__(name=f"writer-{seed}", daemon=True)
        self.did: Counter[str] = Counter()
        self.failure: BaseException | None = None
        self.stopped = threading.Event()
        self._history = history
        self._random = random.Random(seed)

    def run(self) -> None:
        try:
            while not self.stopped.is_set():
                self._write()
        except BaseException as error:
            self.failure = error
        finally:
            connection.close()
            close_session()

    def _write(self) -> None:
        kinds = self._random.choices(OFTEN, k=self._random.choice([1, 1, 2, 3]))
        try:
            with transaction.atomic():
                for kind in kinds:
                    self._history.do(kind, self._random.randrange(64), self._random.randrange(6))
                    self.stopped.wait(self._random.uniform(0, HELD_SECONDS))
                if self._random.random() < ROLLED_BACK:
                    raise Undone
            self.did.update(kinds)
        except Undone:
            self.did["rolled back"] += 1
        except StaleVersion:
            self.did["too late"] += 1  # another writer was faster
        except OperationalError as error:
            if getattr(error.__cause__, "sqlstate", None) != "40P01":
                raise
            self.did["deadlock"] += 1
