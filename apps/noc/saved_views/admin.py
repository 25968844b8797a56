"""Shared views in the admin: to mend and to remove; they are made on the page."""

from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.noc.saved_views.models import SavedView
from apps.tenancy.models import Capability
from apps.tenancy.scoped_admin import ScopedAdmin, is_superuser


@admin.register(SavedView)
class SavedViewAdmin(ScopedAdmin):
    site_column = None
    writing = Capability.TENANT_ADMIN
    list_display = ["name", "owner", "shared", "query", "created_at"]
    list_select_related = ["owner"]
    list_filter: ClassVar[Any] = ["shared"]
    search_fields = ["name", "owner__username"]
    readonly_fields = ["tenant", "owner", "created_at"]
    ordering = ["name"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        views = super().get_queryset(request)
        return views if is_superuser(request) else views.filter(shared=True)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False
