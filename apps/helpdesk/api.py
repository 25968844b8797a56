"""Tickets under /api/v1/tickets/: read in scope, written through the actions."""

from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib.auth.models import User
from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.helpdesk import actions
from apps.helpdesk.conflicts import do, unhindered
from apps.helpdesk.etag import etag, expected_version
from apps.helpdesk.filters import TicketFilter, filtered
from apps.helpdesk.models import Ticket
from apps.helpdesk.rows import FullTicketRow, TicketRow, row, values
from apps.helpdesk.status import Priority, Status
from apps.tenancy.access import Access
from apps.tenancy.http.bodies import Id, Known
from apps.tenancy.http.openapi import ETAG, IF_MATCH, page_of
from apps.tenancy.http.paging import NewestFirst, PageQuery, query
from apps.tenancy.http.problems import Problem, not_found
from apps.tenancy.http.scoped import ScopedView
from apps.tenancy.models import Site

ACKNOWLEDGEMENT = "acknowledgement"
INCLUDE = OpenApiParameter(
    "include",
    OpenApiTypes.STR,
    enum=[ACKNOWLEDGEMENT],
    description="adds acknowledged_by, acknowledged_at and assigned_to_id",
)

Result = TypeVar("Result")


class TicketQuery(TicketFilter, PageQuery):
    include = serializers.ChoiceField(choices=[ACKNOWLEDGEMENT], required=False)
    updated_since = serializers.DateTimeField(
        required=False,
        help_text="Changed then or later. To follow changes read noc/events/, which misses none.",
    )


class NewTicket(Known):
    site_id = Id()
    description = serializers.CharField(max_length=10_000, trim_whitespace=False)
    priority = serializers.ChoiceField(Priority.choices, default=Priority.MEDIUM)


class TicketEdit(Known):
    site_id = Id(required=False)
    description = serializers.CharField(max_length=10_000, trim_whitespace=False, required=False)
    priority = serializers.ChoiceField(Priority.choices, required=False)
    assigned_to_id = Id(required=False, allow_null=True)


class StatusChange(Known):
    status = serializers.ChoiceField(Status.choices)
    note = serializers.CharField(
        max_length=2_000, required=False, allow_blank=True, help_text="On hold: the reason."
    )


class TicketsView(ScopedView):
    """The tickets in scope, newest first."""

    @extend_schema(
        operation_id="tickets_list", parameters=[TicketQuery], responses=page_of(FullTicketRow)
    )
    def get(self, request: Request) -> Response:
        asked = query(TicketQuery, request)
        tickets = filtered(visible(self.access), asked)
        if "updated_since" in asked:
            tickets = tickets.filter(updated_at__gte=asked["updated_since"])
        pages = NewestFirst()
        page = pages.paginate_queryset(
            values(tickets, acknowledgement=with_acknowledgement(request)), request, view=self
        )
        return pages.get_paginated_response([row(found) for found in page or []])

    @extend_schema(request=NewTicket, parameters=[ETAG], responses={201: TicketRow})
    def post(self, request: Request) -> Response:
        """Open a ticket at a site in scope. Its number is the next one of the site."""
        given = checked(NewTicket, request)
        site = site_in_scope(self.access, given["site_id"])
        with unhindered("The site"):  # it counts its tickets
            ticket = actions.create_ticket(
                site=site,
                description=given["description"],
                priority=given["priority"],
                actor=self.caller,
            )
        return answer(self.access, ticket.pk, status=201)


class OneTicketView(ScopedView):
    """A view of one ticket, whose writes heed If-Match."""

    def do(self, action: Callable[..., Result], ticket_id: int, **given: Any) -> Result:
        expected = expected_version(self.request.headers.get("If-Match"))
        return do(
            action,
            ticket_id,
            access=self.access,
            caller=self.caller,
            expected_version=expected,
            **given,
        )


class TicketView(OneTicketView):
    """One ticket; its ETag is its version."""

    @extend_schema(parameters=[ETAG, INCLUDE], responses=FullTicketRow)
    def get(self, request: Request, ticket_id: int) -> Response:
        return answer(self.access, ticket_id, acknowledgement=with_acknowledgement(request))

    @extend_schema(request=TicketEdit, parameters=[IF_MATCH, ETAG], responses=TicketRow)
    def patch(self, request: Request, ticket_id: int) -> Response:
        """Change what is given, and nothing else; with If-Match only if nobody was faster."""
        require(self.access, ticket_id)
        given: dict[str, Any] = dict(checked(TicketEdit, request))
        if "site_id" in given:
            given["site"] = site_in_scope(self.access, given.pop("site_id"))
        if "assigned_to_id" in given:
            given["assigned_to"] = member(self.access, given.pop("assigned_to_id"))
        self.do(actions.edit_ticket, ticket_id, **given)
        return answer(self.access, ticket_id)


class TicketStatusView(OneTicketView):
    """The one way to change a ticket's status."""

    @extend_schema(request=StatusChange, parameters=[IF_MATCH, ETAG], responses=TicketRow)
    def post(self, request: Request, ticket_id: int) -> Response:
        require(self.access, ticket_id)
        given = checked(StatusChange, request)
        self.do(actions.change_status, ticket_id, to=given["status"], note=given.get("note", ""))
        return answer(self.access, ticket_id)


def visible(access: Access) -> QuerySet[Ticket]:
    return Ticket.objects.filter(access.within())


def with_acknowledgement(request: Request) -> bool:
    """Tell whether ``?include=acknowledgement`` was asked for; other parameters are passed over."""
    asked = request.query_params.getlist("include")
    if any(each != ACKNOWLEDGEMENT for each in asked):
        raise Problem(400, f"include: only {ACKNOWLEDGEMENT} can be included.")
    return bool(asked)


def answer(
    access: Access, ticket_id: int, *, status: int = 200, acknowledgement: bool = False
) -> Response:
    """Return the ticket with its ETag; 404 when it is not in scope, or just moved out of it."""
    found = values(visible(access).filter(pk=ticket_id), acknowledgement=acknowledgement).first()
    if found is None:
        raise not_found(f"ticket {ticket_id}")
    return Response(row(found), status=status, headers={"ETag": etag(found["version"])})


def require(access: Access, ticket_id: int) -> None:
    if not visible(access).filter(pk=ticket_id).exists():
        raise not_found(f"ticket {ticket_id}")


def checked(serializer: type[Known], request: Request) -> dict[str, Any]:
    body = serializer(data=request.data)
    body.is_valid(raise_exception=True)
    given: dict[str, Any] = body.validated_data
    return given


def site_in_scope(access: Access, site_id: int) -> Site:
    site = Site.objects.filter(access.within(site="id"), pk=site_id).first()
    if site is None:
        raise not_found(f"site {site_id}")
    return site


def member(access: Access, user_id: int | None) -> User | None:
    """Return the user to assign, who must be an active one of the tenant."""
    if user_id is None:
        return None
    users = User.objects.filter(membership__tenant_id=access.tenant_id, is_active=True)
    user = users.filter(pk=user_id).first()
    if user is None:
        raise not_found(f"user {user_id}")
    return user
