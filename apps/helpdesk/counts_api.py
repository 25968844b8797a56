"""The counts of a board under /api/v1/tickets/counts/."""

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.helpdesk.api import visible
from apps.helpdesk.counts import counts, one_moment
from apps.helpdesk.filters import TicketFilter
from apps.tenancy.http.paging import query
from apps.tenancy.http.scoped import ScopedView
from apps.tenancy.streams import stream_of
from outbox import log


class SiteCounts(serializers.Serializer[dict[str, Any]]):
    site_id = serializers.IntegerField()
    site_name = serializers.CharField()
    open = serializers.IntegerField()
    unacknowledged = serializers.IntegerField()
    by_priority = serializers.DictField(child=serializers.IntegerField())


class Counts(serializers.Serializer[dict[str, Any]]):
    """The shape, for the OpenAPI document."""

    epoch = serializers.UUIDField()
    seq = serializers.IntegerField(help_text="At least the events up to this one are counted.")
    total = serializers.IntegerField()
    unacknowledged = serializers.IntegerField()
    by_status = serializers.DictField(child=serializers.IntegerField())
    by_priority = serializers.DictField(child=serializers.IntegerField())
    by_site = SiteCounts(many=True)


class CountsView(ScopedView):
    """
    How many open tickets the filter means, and what another choice in it would mean.

    ``by_status``, ``by_priority`` and ``by_site`` leave out their own part of the filter,
    ``unacknowledged`` that of the acknowledgement. The head is read first, as for the snapshot.
    """

    @extend_schema(parameters=[TicketFilter], responses=Counts)
    def get(self, request: Request) -> Response:
        given = query(TicketFilter, request)
        with one_moment():
            head = log.head(stream_of(self.access.tenant_id))
            found = counts(visible(self.access), given)
        return Response({"epoch": str(head.epoch), "seq": head.last_seq, **found})
