"""What people do about a ticket besides changing it, under /api/v1/tickets/{id}/."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.helpdesk import actions
from apps.helpdesk.api import OneTicketView, answer, checked, require
from apps.helpdesk.models import TicketNote
from apps.helpdesk.notes import notes_on
from apps.helpdesk.rows import FullTicketRow, utc
from apps.tenancy.http.bodies import Known
from apps.tenancy.http.openapi import ETAG, IF_MATCH, page_of
from apps.tenancy.http.paging import NewestFirst, PageQuery, query
from apps.tenancy.names import display_name


class AcknowledgeView(OneTicketView):
    """
    That somebody has seen the ticket. Both ways may be repeated; who was first stays.

    It ends by itself when the status becomes NEW again or the priority is raised. With If-Match,
    what is acknowledged is what the caller has seen.
    """

    @extend_schema(request=Known, parameters=[IF_MATCH, ETAG], responses=FullTicketRow)
    def post(self, request: Request, ticket_id: int) -> Response:
        require(self.access, ticket_id)
        checked(Known, request)
        self.do(actions.acknowledge, ticket_id)
        return answer(self.access, ticket_id, acknowledgement=True)

    @extend_schema(parameters=[IF_MATCH, ETAG], responses={200: FullTicketRow})
    def delete(self, request: Request, ticket_id: int) -> Response:
        require(self.access, ticket_id)
        self.do(actions.unacknowledge, ticket_id)
        return answer(self.access, ticket_id, acknowledgement=True)


class NewComment(Known):
    text = serializers.CharField(max_length=2_000)


class CommentRow(serializers.Serializer[dict[str, Any]]):
    """The shape, for the OpenAPI document."""

    id = serializers.IntegerField()
    author = serializers.CharField(allow_null=True, help_text="display name")
    status = serializers.CharField(allow_null=True, help_text="of a note: the status it went with")
    text = serializers.CharField()
    written_at = serializers.DateTimeField()


class CommentsView(OneTicketView):
    """
    The comments on a ticket and the notes that went with its changes of status, newest first.

    What was written while the ticket was at a site out of scope is left out.
    """

    @extend_schema(operation_id="comments_list", parameters=[PageQuery],
                   responses=page_of(CommentRow))  # fmt: skip
    def get(self, request: Request, ticket_id: int) -> Response:
        require(self.access, ticket_id)
        query(PageQuery, request)
        pages = NewestFirst()
        page = pages.paginate_queryset(notes_on(ticket_id, self.access), request, view=self)
        return pages.get_paginated_response([comment_row(note) for note in page or []])

    @extend_schema(request=NewComment, parameters=[IF_MATCH], responses={201: CommentRow})
    def post(self, request: Request, ticket_id: int) -> Response:
        require(self.access, ticket_id)
        given = checked(NewComment, request)
        note = self.do(actions.comment, ticket_id, text=given["text"])
        return Response(comment_row(note), status=201)


def comment_row(note: TicketNote) -> dict[str, Any]:
    return {
        "id": note.pk,
        "author": note.author and display_name(note.author),
        "status": note.status or None,
        "text": note.text,
        "written_at": utc(note.written_at),
    }
