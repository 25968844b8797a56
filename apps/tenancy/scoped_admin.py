"""
The admin of one tenant: staff see and choose only what their membership shows them.

It is the queryset of each page that is narrowed, and with it every choice of a foreign key, so a
forged id is not found rather than refused. Superusers run the whole installation and see all.
"""

import re
from typing import Any

from django.contrib import admin
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.auth.models import User
from django.core.exceptions import BadRequest
from django.db import models
from django.db.models import QuerySet
from django.forms import ModelChoiceField, ModelMultipleChoiceField
from django.http import HttpRequest

from apps.tenancy.access import Access, access_of
from apps.tenancy.models import Capability, Site
from outbox import context

ID = re.compile(r"[0-9]{1,18}")


def access_to_admin(request: HttpRequest) -> Access | None:
    """Return the access of the request's user, read once per request."""
    if not hasattr(request, "_noc_access"):
        request._noc_access = access_of(request.user)  # type: ignore[attr-defined]
    found: Access | None = request._noc_access  # type: ignore[attr-defined]
    return found


def staff_of(request: HttpRequest) -> User:
    """Return the user of an admin page; the admin site lets nobody else in."""
    assert isinstance(request.user, User)  # noqa: S101
    return request.user


def narrowed(
    rows: QuerySet[Any], request: HttpRequest, *, tenant: str, site: str | None
) -> QuerySet[Any]:
    """Return what the user may see of the rows, given the columns that say whose they are."""
    if is_superuser(request):
        return rows
    access = access_to_admin(request)
    if access is None:
        return rows.none()
    if site is None:
        return rows.filter(**{tenant: access.tenant_id})
    return rows.filter(access.within(tenant=tenant, site=site))


class ScopedAdmin(admin.ModelAdmin[Any]):
    """Narrowed to the tenant and sites of the user; what is written carries them as the actor."""

    tenant_column = "tenant_id"
    site_column: str | None = "site_id"
    writing = Capability.TICKET_WRITE
    show_full_result_count = False  # counting a large table again for every page
    list_per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows = super().get_queryset(request)
        return narrowed(rows, request, tenant=self.tenant_column, site=self.site_column)

    def formfield_for_foreignkey(
        self, db_field: models.ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelChoiceField[Any]:
        kwargs.setdefault("queryset", self.choices_of(db_field.remote_field.model, request))
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        assert field is not None  # noqa: S101 - only parent links of inheritance have none
        return field

    def formfield_for_manytomany(
        self, db_field: models.ManyToManyField[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> ModelMultipleChoiceField[Any]:
        kwargs.setdefault("queryset", self.choices_of(db_field.remote_field.model, request))
        field = super().formfield_for_manytomany(db_field, request, **kwargs)
        assert field is not None  # noqa: S101 - only a hand-made through table has none
        return field

    def choices_of(self, model: type[models.Model], request: HttpRequest) -> QuerySet[Any]:
        """Return the rows of another model that the user may choose; none of an unknown model."""
        if model is User:
            users = User.objects.filter(is_active=True).order_by("username")
            if is_superuser(request):
                return users
            access = access_to_admin(request)
            return users.filter(membership__tenant_id=access.tenant_id) if access else users.none()
        other = self.admin_site._registry.get(model)
        if isinstance(other, ScopedAdmin):
            return other.get_queryset(request)
        everything = model._default_manager.all()
        return everything if is_superuser(request) else everything.none()

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_view_permission(request, obj) and _may(request, Capability.NOC_VIEW)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return super().has_add_permission(request) and _may(request, self.writing)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_change_permission(request, obj) and _may(request, self.writing)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and _may(request, self.writing)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        with context(actor=f"user:{request.user.pk}"):
            return super().changeform_view(request, *args, **kwargs)

    def changelist_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        # Django hands both to the database as they come, and answers with a 500.
        if any("\0" in value for _, values in request.GET.lists() for value in values):
            raise BadRequest("A filter holds a NUL character.")
        if not all(ID.fullmatch(value) for value in request.POST.getlist(ACTION_CHECKBOX_NAME)):
            raise BadRequest("A selected row has no id.")
        with context(actor=f"user:{request.user.pk}"):  # its actions write
            return super().changelist_view(request, *args, **kwargs)

    def delete_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        with context(actor=f"user:{request.user.pk}"):
            return super().delete_view(request, *args, **kwargs)


class SiteFilter(admin.SimpleListFilter):
    """Filters by a site of those that the user sees; Django's own would list everybody's."""

    title = "site"
    parameter_name = "site"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        sites = model_admin.choices_of(Site, request).order_by("code")
        if not is_superuser(request):
            return [(str(site.pk), str(site)) for site in sites]
        return [
            (str(site.pk), f"{site} ({site.tenant})") for site in sites.select_related("tenant")
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        site_id = self.value()
        if site_id is None:
            return queryset
        return queryset.filter(site_id=site_id) if ID.fullmatch(site_id) else queryset.none()


def is_superuser(request: HttpRequest) -> bool:
    return bool(request.user.is_active and request.user.is_superuser)


def _may(request: HttpRequest, capability: str) -> bool:
    if is_superuser(request):
        return True
    access = access_to_admin(request)
    return access is not None and access.may(capability)
