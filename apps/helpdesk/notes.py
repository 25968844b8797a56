"""What people wrote on a ticket, as far as somebody may read it."""

from django.db.models import QuerySet

from apps.helpdesk.models import TicketNote
from apps.tenancy.access import Access


def notes_on(ticket_id: int, access: Access) -> QuerySet[TicketNote]:
    """Return the comments and notes that were written while the ticket was at a site in scope."""
    in_scope = access.within(tenant="ticket__tenant_id", site="site_id")
    return TicketNote.objects.filter(in_scope, ticket_id=ticket_id).select_related("author")
