"""Saying that a ticket was seen, and commenting on it; neither raises the ticket's version."""

from django.contrib.auth.models import User
from django.db.models import Q

from apps.helpdesk.actions.locking import EVERYWHERE, by, locked, logger
from apps.helpdesk.models import Acknowledgement, Ticket, TicketNote


def acknowledge(
    *,
    ticket_id: int,
    actor: User | None = None,
    expected_version: int | None = None,
    within: Q = EVERYWHERE,
) -> Ticket:
    """
    Say that ``actor`` has seen the ticket; who was first stays.

    Raises:
        StaleVersion, UnknownTicket: as for ``change_status``.
    """
    with by(actor), locked(ticket_id, expected_version, within) as ticket:
        _, made = Acknowledgement.objects.get_or_create(
            ticket=ticket, defaults={"acknowledged_by": actor}
        )
    if made:
        logger.info("Ticket %s acknowledged", ticket.pk)
    return ticket


def unacknowledge(
    *,
    ticket_id: int,
    actor: User | None = None,
    expected_version: int | None = None,
    within: Q = EVERYWHERE,
) -> Ticket:
    """
    Take the acknowledgement back, whoever made it; without one nothing is written.

    Raises:
        StaleVersion, UnknownTicket: as for ``change_status``.
    """
    with by(actor), locked(ticket_id, expected_version, within) as ticket:
        deleted, _ = Acknowledgement.objects.filter(pk=ticket.pk).delete()
    if deleted:
        logger.info("Ticket %s unacknowledged", ticket.pk)
    return ticket


def comment(
    *,
    ticket_id: int,
    text: str,
    actor: User | None = None,
    expected_version: int | None = None,
    within: Q = EVERYWHERE,
) -> TicketNote:
    """
    Write ``text``, at most 2,000 characters, on the ticket.

    Raises:
        StaleVersion, UnknownTicket: as for ``change_status``.
    """
    with by(actor), locked(ticket_id, expected_version, within) as ticket:
        note = TicketNote.objects.create(ticket=ticket, author=actor, text=text)
    logger.info("Ticket %s commented", ticket.pk)
    return note
