"""What every action shares: whose it is, and the lock under which its checks stay true."""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q

from apps.helpdesk.errors import StaleVersion, UnknownTicket
from apps.helpdesk.models import Ticket
from outbox import context

EVERYWHERE = Q()  # for callers that act for the system: imports, the demo
logger = logging.getLogger("apps.helpdesk.actions")  # one name, so that a command can quiet all


def by(actor: User | None) -> AbstractContextManager[None]:
    """What is written inside is said to be the actor's; the outer context's facts stay."""
    return nullcontext() if actor is None else context(actor=f"user:{actor.pk}")


@contextmanager
def locked(
    ticket_id: int, expected_version: int | None, within: Q = EVERYWHERE
) -> Iterator[Ticket]:
    """
    Open a transaction that holds the ticket's row, so that what is checked stays true.

    ``within``: the caller's scope, as ``Access.within`` gives it. It is judged of the row that is
    held, which somebody may have moved to another site while this waited for it.
    """
    with transaction.atomic():
        ticket = Ticket.objects.select_for_update().filter(within, pk=ticket_id).first()
        if ticket is None:
            raise UnknownTicket(ticket_id)
        if expected_version is not None and ticket.version != expected_version:
            raise StaleVersion(expected=expected_version, present=ticket.version)
        yield ticket
