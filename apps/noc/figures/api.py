"""The figures of the charts over HTTP."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.helpdesk.rows import utc
from apps.noc.figures import series
from apps.noc.figures.samples import COLUMNS
from apps.noc.figures.series import STEPS, Span
from apps.tenancy.http.bodies import Known, Whole
from apps.tenancy.http.paging import query
from apps.tenancy.http.scoped import ScopedView


class FiguresQuery(Known):
    minutes = Whole(min_value=1, max_value=STEPS[-1][0], default=60)


def _counts(**options: Any) -> serializers.ListField:
    return serializers.ListField(child=serializers.IntegerField(**options))


def _seconds() -> serializers.ListField:
    return serializers.ListField(child=serializers.FloatField(allow_null=True))


class Figures(serializers.Serializer[dict[str, Any]]):
    """The shape, for the OpenAPI document; every list has one value per step."""

    to = serializers.DateTimeField(help_text="The end of the step that still runs.")
    step_s = serializers.IntegerField(help_text="60, 120 or 300, so that there are at most 288.")
    events = inline_serializer("EventFigures", {kind: _counts() for kind in series.KINDS})
    delivery = inline_serializer("DeliveryFigures", {"p50_s": _seconds(), "p95_s": _seconds()})
    open = inline_serializer(
        "OpenFigures", {str(status): _counts(allow_null=True) for status in COLUMNS}
    )

    def get_fields(self) -> dict[str, Any]:
        return {"from": serializers.DateTimeField(), **super().get_fields()}


class FiguresView(ScopedView):
    """
    Events, delays of deliveries and open tickets in steps, up to the one that still runs.

    Events are those of the sites in scope, by the time of their recording, a move at its new site.
    Delays are those of the whole tenant, from a change to its delivery. Open tickets are those at
    the end of the step. All of it is up to 15 s old.
    """

    @extend_schema(parameters=[FiguresQuery], responses=Figures)
    def get(self, request: Request) -> Response:
        span = Span.of(query(FiguresQuery, request)["minutes"], now=timezone.now())
        return Response(
            {
                "from": utc(span.begin),
                "to": utc(span.end),
                "step_s": int(span.step.total_seconds()),
                "events": series.events(self.access, span),
                "delivery": series.delays(self.access, span),
                "open": series.open_tickets(self.access, span),
            }
        )
