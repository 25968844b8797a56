"""The admin of history: large tables that grow at one end, read only by who runs the tenant."""

from functools import cached_property
from typing import Any, ClassVar

from django.contrib import admin
from django.core.paginator import Paginator
from django.http import HttpRequest

from apps.tenancy.models import Capability
from apps.tenancy.scoped_admin import ScopedAdmin, access_to_admin, is_superuser

MAX_COUNTED = 10_000


class NewestRows(Paginator[Any]):
    """Pages through the newest rows only: counting all of a large table takes too long."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows[:MAX_COUNTED].count())


class HistoryAdmin(ScopedAdmin):
    """Newest first, never edited; it needs ``tenant:admin``."""

    site_column = None
    sortable_by: ClassVar[Any] = []  # only the order of the ids has an index
    show_facets = admin.ShowFacets.NEVER  # they would count the whole table
    ordering = ["-id"]
    paginator = NewestRows

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        access = access_to_admin(request)
        manages = access is not None and access.may(Capability.TENANT_ADMIN)
        return super().has_view_permission(request, obj) and (manages or is_superuser(request))

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
