"""What people do about a ticket besides changing it, under /api/v1/tickets/{id}/."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from apps.helpdesk import actions
from apps.helpdesk.api import answer, checked, problems, require
from apps.helpdesk.rows import FullTicketRow
from apps.tenancy.http.bodies import Known
from apps.tenancy.http.scoped import ScopedView


class AcknowledgeView(ScopedView):
    """
    That somebody has seen the ticket. Both ways may be repeated; who was first stays.

    It ends by itself when the status becomes NEW again or the priority is raised.
    """

    @extend_schema(request=Known, responses=FullTicketRow)
    def post(self, request: Request, ticket_id: int) -> Response:
        require(self.access, ticket_id)
        checked(Known, request)
        with problems():
            actions.acknowledge(ticket_id=ticket_id, actor=self.caller)
        return answer(self.access, ticket_id, acknowledgement=True)

    @extend_schema(responses=FullTicketRow)
    def delete(self, request: Request, ticket_id: int) -> Response:
        require(self.access, ticket_id)
        with problems():
            actions.unacknowledge(ticket_id=ticket_id, actor=self.caller)
        return answer(self.access, ticket_id, acknowledgement=True)
