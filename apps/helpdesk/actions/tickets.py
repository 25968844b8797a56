"""Creating, changing, moving and deleting a ticket."""

from enum import Enum
from typing import Final

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, Q

from apps.helpdesk import transitions
from apps.helpdesk.actions.locking import EVERYWHERE, by, locked, logger
from apps.helpdesk.errors import HoldNeedsReason, WrongTenant
from apps.helpdesk.models import Ticket, TicketNote
from apps.helpdesk.status import Priority, Status
from apps.tenancy.models import Membership, Site


class Unchanged(Enum):
    """The default of an argument whose None means something."""

    VALUE = "unchanged"


UNCHANGED: Final = Unchanged.VALUE


def create_ticket(
    *,
    site: Site,
    description: str,
    priority: str = Priority.MEDIUM,
    actor: User | None = None,
    status: str = Status.NEW,
    reason: str = "",
    ticket_no: str | None = None,
    assigned_to: User | None = None,
) -> Ticket:
    """
    Create a ticket in ``site``, numbered by the site unless ``ticket_no`` is given.

    ``reason`` is what a ticket that begins ON_HOLD waits for.

    Raises:
        WrongTenant: the assignee is not of the site's tenant.
        IntegrityError: the tenant has the given ``ticket_no`` already.
    """
    ticket = Ticket(
        site=site,
        ticket_no=ticket_no or "",
        status=status,
        hold_reason=reason.strip()[:200] if status == Status.ON_HOLD else "",
        priority=priority,
        assigned_to=assigned_to,
        description=description,
    )
    return add_ticket(ticket=ticket, actor=actor)


def add_ticket(*, ticket: Ticket, actor: User | None = None) -> Ticket:
    """
    Insert a ticket that a form filled; its site gives the tenant, and the number if it has none.

    Raises:
        WrongTenant, IntegrityError: as for ``create_ticket``.
    """
    with by(actor), transaction.atomic():
        ticket.tenant_id = ticket.site.tenant_id
        _check_assignee(ticket.assigned_to, ticket.tenant_id)
        ticket.ticket_no = ticket.ticket_no or _draw_number(ticket.site)
        ticket.save(force_insert=True)
    return ticket


def change_status(
    *,
    ticket_id: int,
    to: str,
    actor: User | None = None,
    expected_version: int | None = None,
    within: Q = EVERYWHERE,
    note: str = "",
    reason: str = "",
    enforce: bool = True,
) -> Ticket:
    """
    Move a ticket to ``to`` and return it with its new version.

    ``note`` is kept with the ticket; on hold it is also the reason unless ``reason`` is given.
    ``enforce=False`` is for imports: what another system did is history, not to be judged.

    Raises:
        IllegalTransition: ``to`` cannot follow the present status.
        HoldNeedsReason: ON_HOLD without ``reason`` and ``note``.
        StaleVersion: someone changed the ticket since ``expected_version``.
        UnknownTicket: there is none with this id ``within`` the caller's scope.
    """
    with by(actor), locked(ticket_id, expected_version, within) as ticket:
        old = ticket.status
        if enforce:
            transitions.check(old, to)
            if to == Status.ON_HOLD and not (reason or note).strip():
                raise HoldNeedsReason
        ticket.status = to
        ticket.hold_reason = (reason or note).strip()[:200] if to == Status.ON_HOLD else ""
        ticket.save(update_fields=["status", "hold_reason"])
        if note.strip():
            TicketNote.objects.create(ticket=ticket, author=actor, status=to, text=note.strip())
    if old != to:
        logger.info("Ticket %s status changed: %s → %s", ticket.pk, old, to)
    return ticket


def edit_ticket(
    *,
    ticket_id: int,
    actor: User | None = None,
    expected_version: int | None = None,
    within: Q = EVERYWHERE,
    site: Site | Unchanged = UNCHANGED,
    priority: str | Unchanged = UNCHANGED,
    description: str | Unchanged = UNCHANGED,
    assigned_to: User | Unchanged | None = UNCHANGED,
) -> Ticket:
    """
    Change what is given, in one UPDATE, and return the ticket; without a difference nothing is
    written. A ticket that moves to another site keeps its number.

    Raises:
        WrongTenant: the site or the assignee is not of the ticket's tenant.
        StaleVersion, UnknownTicket: as for ``change_status``.
    """
    wanted = {
        "site": site,
        "priority": priority,
        "description": description,
        "assigned_to": assigned_to,
    }
    with by(actor), locked(ticket_id, expected_version, within) as ticket:
        changed = [
            name
            for name, value in wanted.items()
            if value is not UNCHANGED and value != getattr(ticket, name)
        ]
        if isinstance(site, Site) and site.tenant_id != ticket.tenant_id:
            raise WrongTenant(f"Site {site.pk} is not of the tenant of ticket {ticket.ticket_no}.")
        if isinstance(assigned_to, User) and "assigned_to" in changed:
            _check_assignee(assigned_to, ticket.tenant_id)
        for name in changed:
            setattr(ticket, name, wanted[name])
        if changed:
            ticket.save(update_fields=changed)
    return ticket


def move_ticket(
    *, ticket_id: int, site: Site, actor: User | None = None, expected_version: int | None = None
) -> Ticket:
    """Move a ticket to another site of its tenant; ``edit_ticket`` with the site alone."""
    return edit_ticket(
        ticket_id=ticket_id, site=site, actor=actor, expected_version=expected_version
    )


def save_ticket(*, ticket: Ticket, actor: User | None = None) -> Ticket:
    """
    Save what a form changed on a loaded ticket, in one UPDATE; the form has judged the values.

    Raises:
        StaleVersion: someone changed the ticket since it was loaded.
    """
    with by(actor), transaction.atomic():
        old = Ticket.objects.values_list("status", flat=True).get(pk=ticket.pk)
        if ticket.status != Status.ON_HOLD:
            ticket.hold_reason = ""
        ticket.save(force_update=True)
    if old != ticket.status:
        logger.info("Ticket %s status changed: %s → %s", ticket.pk, old, ticket.status)
    return ticket


def delete_ticket(
    *, ticket_id: int, actor: User | None = None, expected_version: int | None = None
) -> None:
    """
    Delete a ticket and its notes.

    Raises:
        StaleVersion, UnknownTicket: as for ``change_status``.
    """
    with by(actor), locked(ticket_id, expected_version) as ticket:
        ticket.delete()


def _draw_number(site: Site) -> str:
    """Draw the site's next free number. The update locks the site's row until the commit."""
    while True:
        Site.objects.filter(pk=site.pk).update(last_ticket_no=F("last_ticket_no") + 1)
        code, number = Site.objects.values_list("code", "last_ticket_no").get(pk=site.pk)
        drawn = f"{code}#{number}"
        # Somebody may have used the number by hand: an import, raw SQL.
        if not Ticket.objects.filter(tenant_id=site.tenant_id, ticket_no=drawn).exists():
            return drawn


def _check_assignee(user: User | None, tenant_id: int) -> None:
    if user is None:
        return
    if not Membership.objects.filter(user_id=user.pk, tenant_id=tenant_id).exists():
        raise WrongTenant(f"User {user.pk} is not of this tenant: choose one of its members.")
