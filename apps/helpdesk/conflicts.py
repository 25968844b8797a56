"""Actions done for a caller of the API, and what they refuse as the problem that it reads."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from django.contrib.auth.models import User
from django.db import OperationalError

from apps.helpdesk.errors import (
    HoldNeedsReason,
    IllegalTransition,
    StaleVersion,
    UnknownTicket,
    WrongTenant,
)
from apps.helpdesk.models import Ticket
from apps.helpdesk.rows import row, utc, values
from apps.tenancy.access import Access
from apps.tenancy.actors import names_of
from apps.tenancy.http.problems import Problem, not_found
from apps.tenancy.http.trouble import BUSY_SECONDS, is_busy
from apps.tenancy.streams import stream_of
from outbox import log

BESIDE_THE_ROW = ("ticket_acknowledged", "ticket_unacknowledged", "ticket_commented")
SLACK = timedelta(hours=1)  # between the clocks of a ticket and of the log

Result = TypeVar("Result")


def do(
    action: Callable[..., Result],
    ticket_id: int,
    *,
    access: Access,
    caller: User,
    expected_version: int | None,
    **given: Any,
) -> Result:
    """
    Do one of ``actions`` to a ticket in the caller's scope and return what it returns.

    Raises:
        Problem: what the action refuses; a conflict shows what the ticket is now.
    """
    try:
        with unhindered("The ticket"):
            return action(
                ticket_id=ticket_id,
                actor=caller,
                expected_version=expected_version,
                within=access.within(),
                **given,
            )
    except StaleVersion as error:
        raise Problem(412, str(error), **present(access, ticket_id)) from error
    except IllegalTransition as error:
        allowed = sorted(error.allowed)
        raise Problem(409, str(error), allowed=allowed, **present(access, ticket_id)) from error
    except (HoldNeedsReason, WrongTenant) as error:
        raise Problem(400, str(error)) from error
    except UnknownTicket as error:
        raise not_found(f"ticket {error.ticket_id}") from error


@contextmanager
def unhindered(what: str) -> Iterator[None]:
    """Turn into a conflict that somebody holds what is to be changed."""
    try:
        yield
    except OperationalError as error:
        if not is_busy(error):
            raise
        detail = f"{what} is being changed by somebody: try again."
        raise Problem(409, detail, wait=BUSY_SECONDS) from error


def present(access: Access, ticket_id: int) -> dict[str, Any]:
    """Return what the ticket is now, who made it so, and when; raise the 404 if it has gone."""
    tickets = Ticket.objects.filter(access.within(), pk=ticket_id)
    found = values(tickets, acknowledgement=True).first()
    if found is None:
        raise not_found(f"ticket {ticket_id}")
    actor, changed_at = log.last_change(
        stream_of(access.tenant_id),
        f"ticket:{ticket_id}",
        since=found["created_at"] - SLACK,
        without=BESIDE_THE_ROW,
    ) or (None, None)
    return {
        "present_version": found["version"],
        "changed_by": names_of([actor], tenant_id=access.tenant_id).get(actor),
        "changed_at": None if changed_at is None else utc(changed_at),
        "ticket": row(found),
    }
