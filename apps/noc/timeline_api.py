"""A ticket's timeline, and what the monitoring saw at its site meanwhile."""

from datetime import timedelta
from typing import Any

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.helpdesk.api import visible
from apps.helpdesk.rows import FullTicketRow, row, values
from apps.noc.models import Anomaly, Finding
from apps.noc.sightings_api import AnomalyRow, FindingRow
from apps.noc.timeline import Place, page
from apps.tenancy.http.bodies import Known, Whole
from apps.tenancy.http.paging import MAX_LIMIT, query
from apps.tenancy.http.problems import not_found
from apps.tenancy.http.scoped import ScopedView

AROUND = timedelta(hours=24)  # of the ticket's creation
MOST_RELATED = 20  # of each kind


class TimelineQuery(Known):
    limit = Whole(min_value=1, max_value=MAX_LIMIT, default=50)
    before = serializers.CharField(required=False, max_length=50, help_text="from the last page")


class Timeline(serializers.Serializer[dict[str, Any]]):
    """The shape, for the OpenAPI document."""

    ticket = FullTicketRow()
    entries = serializers.ListField(
        child=serializers.DictField(),
        help_text="kind event: seq, type, at, recorded_at, actor, changes [{field, old, new}],"
        " replay_of, dead_letter; kind comment: id, actor, status, text, at",
    )
    before = serializers.CharField(allow_null=True, help_text="for the next page; null: no more")
    related = inline_serializer(
        "Related", {"findings": FindingRow(many=True), "anomalies": AnomalyRow(many=True)}
    )


class TimelineView(ScopedView):
    """
    What happened to a ticket and what was written on it, newest first.

    Related are the findings and anomalies of its site, from a day before it was created until its
    last update, and a day after its creation at least; newest first, at most 20 of each.
    """

    @extend_schema(parameters=[TimelineQuery], responses=Timeline)
    def get(self, request: Request, ticket_id: int) -> Response:
        asked = query(TimelineQuery, request)
        place = Place.of(asked.get("before"))
        ticket = values(visible(self.access).filter(pk=ticket_id), acknowledgement=True).first()
        if ticket is None:
            raise not_found(f"ticket {ticket_id}")
        entries, before = page(self.access, ticket, place=place, limit=asked["limit"])
        return Response(
            {
                "ticket": row(ticket),
                "entries": entries,
                "before": None if before is None else str(before),
                "related": self._related(ticket),
            }
        )

    def _related(self, ticket: dict[str, Any]) -> dict[str, Any]:
        created_at = ticket["created_at"]
        window = (created_at - AROUND, max(created_at + AROUND, ticket["updated_at"]))
        place = {"site_id": ticket["site_id"]}
        findings = (
            Finding.objects.filter(self.access.within(), created_at__range=window, **place)
            .select_related("site")
            .order_by("-created_at", "-id")[:MOST_RELATED]
        )
        anomalies = (
            Anomaly.objects.filter(self.access.within(), detected_at__range=window, **place)
            .select_related("site")
            .order_by("-detected_at", "-id")[:MOST_RELATED]
        )
        return {
            "findings": FindingRow(findings, many=True).data,
            "anomalies": AnomalyRow(anomalies, many=True).data,
        }
