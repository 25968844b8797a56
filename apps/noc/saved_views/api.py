"""Saved views under /api/v1/noc/views/: one's own, and those that others share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.db.models import Case, Q, QuerySet, When
from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from apps.helpdesk.api import checked
from apps.noc.saved_views.models import MOST_PER_USER, QUERY_LENGTH, SavedView
from apps.tenancy.http.bodies import BIGGEST_ID, Known
from apps.tenancy.http.problems import Problem, not_found
from apps.tenancy.http.scoped import ScopedView
from apps.tenancy.models import Capability
from apps.tenancy.names import display_name

MOST_LISTED = 1_000


class ViewEdit(Known):
    name = serializers.CharField(max_length=100, required=False)
    query = serializers.CharField(
        max_length=QUERY_LENGTH,
        allow_blank=True,
        required=False,
        help_text="the query string of the page's address, without the question mark",
    )
    shared = serializers.BooleanField(required=False, help_text="seen by the whole tenant")


class NewView(ViewEdit):
    name = serializers.CharField(max_length=100)
    query = serializers.CharField(max_length=QUERY_LENGTH, allow_blank=True)
    shared = serializers.BooleanField(default=False)


class ViewRow(serializers.Serializer[dict[str, Any]]):
    """The shape, for the OpenAPI document."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    query = serializers.CharField()
    shared = serializers.BooleanField()
    mine = serializers.BooleanField()
    owner = serializers.CharField(help_text="display name")


ViewList = inline_serializer("ViewList", {"results": ViewRow(many=True)})


class SavedViewsBase(ScopedView):
    """Who may see the feed may keep filters of it."""

    needs = dict.fromkeys(("POST", "PATCH", "DELETE"), Capability.NOC_VIEW)

    def visible(self) -> QuerySet[SavedView]:
        own_or_shared = Q(owner_id=self.access.user_id) | Q(shared=True)
        views = SavedView.objects.filter(own_or_shared, tenant_id=self.access.tenant_id)
        return views.select_related("owner")

    def row(self, view: SavedView) -> dict[str, Any]:
        owner = view.owner
        return {
            "id": view.pk,
            "name": view.name,
            "query": view.query,
            "shared": view.shared,
            "mine": view.owner_id == self.access.user_id,
            "owner": display_name(owner),
        }


class SavedViewsView(SavedViewsBase):
    """The caller's saved views and those that others share, by name; 1,000 of them at most."""

    @extend_schema(operation_id="noc_views_list", responses=ViewList)
    def get(self, request: Request) -> Response:
        own_first = self.visible().order_by(
            Case(When(owner_id=self.access.user_id, then=0), default=1), "name", "id"
        )
        listed = own_first.values("pk")[:MOST_LISTED]
        views = self.visible().filter(pk__in=listed).order_by("name", "id")
        return Response({"results": [self.row(view) for view in views]})

    @extend_schema(request=NewView, responses={201: ViewRow})
    def post(self, request: Request) -> Response:
        """Keep a filter under a name; each name once per user and tenant, at most 100 views."""
        given = checked(NewView, request)
        owner = {"tenant_id": self.access.tenant_id, "owner": self.caller}
        with name_once(given["name"]):
            User.objects.select_for_update(no_key=True).get(pk=self.caller.pk)  # one by one
            if SavedView.objects.filter(**owner).count() >= MOST_PER_USER:
                raise Problem(409, f"You have {MOST_PER_USER} saved views: remove one first.")
            view = SavedView.objects.create(**owner, **given)
        return Response(self.row(view), status=201)


class SavedViewView(SavedViewsBase):
    """One saved view: changed by its owner; a shared one also by who runs the tenant."""

    @extend_schema(operation_id="noc_view_update", request=ViewEdit, responses=ViewRow)
    def patch(self, request: Request, view_id: int) -> Response:
        """Change what is given, and nothing else."""
        view = self.mine_to_change(view_id)
        given = checked(ViewEdit, request)
        for name, value in given.items():
            setattr(view, name, value)
        with name_once(view.name):
            # Not save(): that fails when the view was removed meanwhile.
            if given and not SavedView.objects.filter(pk=view.pk).update(**given):
                raise not_found(f"saved view {view_id}")
        return Response(self.row(view))

    @extend_schema(operation_id="noc_view_destroy", responses={204: None})
    def delete(self, request: Request, view_id: int) -> Response:
        """Remove it, for everybody it is shared with too."""
        self.mine_to_change(view_id).delete()
        return Response(status=204)

    def mine_to_change(self, view_id: int) -> SavedView:
        views = self.visible()
        view = views.filter(pk=view_id).first() if view_id <= BIGGEST_ID else None
        if view is None:
            raise not_found(f"saved view {view_id}")
        if view.owner_id != self.access.user_id and not self.access.may(Capability.TENANT_ADMIN):
            raise PermissionDenied("Only its owner or an administrator may change a shared view.")
        return view


@contextmanager
def name_once(name: str) -> Iterator[None]:
    try:
        with transaction.atomic():
            yield
    except IntegrityError as error:
        if "saved_view_name_once_per_owner" not in str(error):
            raise
        detail = f"There is a saved view named {name!r} of this owner: choose another name."
        raise Problem(409, detail) from error
