"""Findings and anomalies: lists in scope, newest first, and the door for the monitoring."""

from typing import Any

from django.db.models import QuerySet, Value
from django.db.models.functions import Concat
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.helpdesk.api import checked, site_in_scope
from apps.helpdesk.filters import has_all
from apps.noc.models import Anomaly, Finding, Severity
from apps.tenancy.access import Access
from apps.tenancy.http.bodies import Id, Known
from apps.tenancy.http.openapi import page_of
from apps.tenancy.http.paging import NewestFirst, PageQuery, query
from apps.tenancy.http.problems import Problem
from apps.tenancy.http.scoped import ScopedView
from outbox import context

SITE = ("id", "severity", "site_id", "site_name")


class FindingRow(serializers.ModelSerializer[Finding]):
    site_name = serializers.CharField(source="site.name", default=None, allow_null=True)

    class Meta:
        model = Finding
        fields = (*SITE, "title", "status", "created_at")


class AnomalyRow(serializers.ModelSerializer[Anomaly]):
    site_name = serializers.CharField(source="site.name", default=None, allow_null=True)

    class Meta:
        model = Anomaly
        fields = (*SITE, "metric", "observed", "expected", "detected_at")


class NewSighting(Known):
    site_id = Id(allow_null=True, default=None, help_text="null: of the whole tenant")
    severity = serializers.ChoiceField(choices=Severity.choices, default=Severity.MEDIUM)


class NewFinding(NewSighting):
    title = serializers.CharField(max_length=200)


class NewAnomaly(NewSighting):
    metric = serializers.CharField(max_length=200)
    observed = serializers.FloatField()
    expected = serializers.FloatField()

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        for name in ("observed", "expected"):
            if attrs[name] in (float("inf"), float("-inf")):  # 1e999 in JSON
                raise serializers.ValidationError({name: "too large"})
        return attrs


class SightingQuery(PageQuery):
    site = serializers.ListField(child=Id(), required=False, help_text="site ids")
    severity = serializers.MultipleChoiceField(choices=Severity.choices, required=False)
    q = serializers.CharField(
        max_length=200,
        required=False,
        allow_blank=True,
        help_text="Words that all occur in the title or metric, or the site's name.",
    )


class FindingsView(ScopedView):
    """What checks found to be wrong."""

    @extend_schema(parameters=[SightingQuery], responses=page_of(FindingRow))
    def get(self, request: Request) -> Response:
        return listed(self, Finding.objects.all(), FindingRow, named="title")

    @extend_schema(request=NewFinding, responses={201: FindingRow})
    def post(self, request: Request) -> Response:
        """Report what a check found to be wrong."""
        finding = Finding(**owned(self.access, checked(NewFinding, request)))
        with context(actor=f"user:{self.caller.pk}"):
            finding.save(force_insert=True)
        return Response(FindingRow(finding).data, status=201)


class AnomaliesView(ScopedView):
    """Metrics that were not where they were expected."""

    @extend_schema(parameters=[SightingQuery], responses=page_of(AnomalyRow))
    def get(self, request: Request) -> Response:
        return listed(self, Anomaly.objects.all(), AnomalyRow, named="metric")

    @extend_schema(request=NewAnomaly, responses={201: AnomalyRow})
    def post(self, request: Request) -> Response:
        """Report a metric that is not where it was expected."""
        anomaly = Anomaly(**owned(self.access, checked(NewAnomaly, request)))
        with context(actor=f"user:{self.caller.pk}"):
            anomaly.save(force_insert=True)
        return Response(AnomalyRow(anomaly).data, status=201)


def listed(
    view: ScopedView,
    every: QuerySet[Any],
    shape: type[serializers.ModelSerializer[Any]],
    *,
    named: str,
) -> Response:
    """
    Return a page of what is in scope and meant; without a site it is for who sees every site.

    ``named``: the column that says what was seen.
    """
    asked = query(SightingQuery, view.request)
    pages = NewestFirst()
    found = every.filter(view.access.within()).select_related("site")
    for name, column in (("site", "site_id"), ("severity", "severity")):
        if asked.get(name):
            found = found.filter(**{f"{column}__in": sorted(asked[name])})
    if words := asked.get("q", "").split():
        found = found.filter(has_all(Concat(named, Value(" "), "site__name"), words))
    page = pages.paginate_queryset(found, view.request, view=view)
    return pages.get_paginated_response(shape(page, many=True).data)


def owned(access: Access, given: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a new row of the caller's tenant, its site checked."""
    site_id = given.pop("site_id")
    if site_id is None and access.sites is not None:
        raise Problem(400, "site_id: name one of your sites; only who sees all may leave it out.")
    site = None if site_id is None else site_in_scope(access, site_id)
    return given | {"tenant_id": access.tenant_id, "site": site}
