"""One event over HTTP, and its receipts: who received it, and when they confirmed it."""

from typing import Any

from django.db.models import QuerySet
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from apps.helpdesk.rows import utc
from apps.noc.api import as_read
from apps.noc.feed.wire import event_of
from apps.noc.receipts import derive
from apps.noc.receipts.derive import Receipt
from apps.noc.receipts.models import FeedSession
from apps.tenancy.access import Access
from apps.tenancy.http.paging import NewestFirst, PageQuery, query
from apps.tenancy.http.problems import Problem, not_found
from apps.tenancy.http.scoped import ScopedView
from apps.tenancy.models import Capability
from apps.tenancy.names import display_name
from apps.tenancy.streams import stream_of
from outbox import log
from outbox.log import LogRow


class EventView(ScopedView):
    """One event of the log, as the list of events shows it to who stands right before it."""

    @extend_schema(operation_id="noc_event_retrieve", responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, seq: int) -> Response:
        row = row_in_scope(self.access, seq)
        text = event_of(row).text(prev=seq - 1, sites=self.access.sites)
        return Response(as_read(text, row))


class ReceiptRow(serializers.Serializer[dict[str, Any]]):
    user = serializers.CharField()
    name = serializers.CharField(help_text="display name")
    session = serializers.UUIDField()
    scope = inline_serializer(
        "ReceiptScope", {"sites": serializers.JSONField(help_text='"*" or site ids')}
    )
    opened_at = serializers.DateTimeField()
    closed_at = serializers.DateTimeField(allow_null=True)
    close_code = serializers.IntegerField(allow_null=True)
    confirmed = serializers.BooleanField()
    confirmed_by = serializers.DateTimeField(
        allow_null=True, help_text="It was confirmed at this time or before."
    )


class Receipts(serializers.Serializer[dict[str, Any]]):
    """The shape, for the OpenAPI document."""

    seq = serializers.IntegerField()
    epoch = serializers.UUIDField()
    event_id = serializers.UUIDField()
    received = serializers.IntegerField(help_text="users")
    confirmed = serializers.IntegerField(help_text="users")
    next = serializers.URLField(allow_null=True)
    previous = serializers.URLField(allow_null=True)
    results = ReceiptRow(many=True)


class ReceiptsView(ScopedView):
    """
    The connections that received an event, newest first, and how many users they belong to.

    It tells which members were connected when, so it needs ``tenant:admin`` besides ``noc:view``.
    """

    @extend_schema(parameters=[PageQuery], responses=Receipts)
    def get(self, request: Request, seq: int) -> Response:
        query(PageQuery, request)
        row = row_in_scope(self.access, seq)
        if not self.access.may(Capability.TENANT_ADMIN):
            needed = Capability.TENANT_ADMIN
            raise PermissionDenied(f"This needs the capability {needed}: ask an administrator.")
        found = {receipt.part_id: receipt for receipt in derive.receipts(row)}
        pages = NewestFirst()
        page = pages.paginate_queryset(parts(found), request, view=self) or []
        answer = pages.get_paginated_response([shown(part, found[part.pk]) for part in page])
        counts = {
            "seq": row.seq,
            "epoch": str(row.epoch),
            "event_id": str(row.event_id),
            "received": derive.users(found.values()),
            "confirmed": derive.users(r for r in found.values() if r.confirmed),
        }
        return Response(counts | answer.data)


def row_in_scope(access: Access, seq: int) -> LogRow:
    """Return the event from the log, or raise the 404 that names what can be had instead."""
    row = derive.row_of(access.tenant_id, seq)
    if row is None:
        head = log.head(stream_of(access.tenant_id))
        if 1 <= seq < head.min_seq:
            detail = f"Event {seq} is no longer kept: the oldest is {head.min_seq} (min_seq)."
            raise Problem(404, detail, min_seq=head.min_seq)
    if row is None or not event_of(row).visible(access.sites):
        raise not_found(f"event {seq}")
    return row


def parts(ids: Any) -> QuerySet[FeedSession]:
    """Return the rows of these parts with their users, for a page of them."""
    return FeedSession.objects.filter(pk__in=list(ids)).select_related("user")


def shown(part: FeedSession, receipt: Receipt) -> dict[str, Any]:
    """Return one entry of the results."""
    user = part.user
    return {
        "user": user.get_username(),
        "name": display_name(user),
        "session": str(part.session),
        "scope": {"sites": "*" if part.sites is None else part.sites},
        "opened_at": utc(part.opened_at),
        "closed_at": utc(part.closed_at) if part.closed_at else None,
        "close_code": part.close_code,
        "confirmed": receipt.confirmed,
        "confirmed_by": utc(receipt.confirmed_by) if receipt.confirmed_by else None,
    }
