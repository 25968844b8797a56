"""Who tickets can be given to, and the sites in scope: what a page offers to choose from."""

from typing import Any

from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.tenancy.http.scoped import ScopedView
from apps.tenancy.models import Capability, Site
from apps.tenancy.names import display_name


class MemberRow(serializers.Serializer[dict[str, Any]]):
    id = serializers.IntegerField()
    name = serializers.CharField(help_text="display name")
    username = serializers.CharField()


class SiteRow(serializers.Serializer[dict[str, Any]]):
    id = serializers.IntegerField()
    code = serializers.CharField()
    name = serializers.CharField()


class MembersView(ScopedView):
    """The active members of the tenant who may write tickets, by name."""

    @extend_schema(
        operation_id="members_list",
        responses=inline_serializer("Members", {"results": MemberRow(many=True)}),
    )
    def get(self, request: Request) -> Response:
        members = User.objects.filter(
            membership__tenant_id=self.access.tenant_id,
            membership__capabilities__contains=[Capability.TICKET_WRITE],
            is_active=True,
        )
        rows = [
            {
                "id": user.pk,
                "name": display_name(user),
                "username": user.username,
            }
            for user in members
        ]
        return Response({"results": sorted(rows, key=lambda row: (row["name"], row["username"]))})


class SitesView(ScopedView):
    """The sites in scope, by code."""

    @extend_schema(
        operation_id="sites_list",
        responses=inline_serializer("Sites", {"results": SiteRow(many=True)}),
    )
    def get(self, request: Request) -> Response:
        sites = Site.objects.filter(self.access.within(site="id")).order_by("code")
        return Response({"results": list(sites.values("id", "code", "name"))})
