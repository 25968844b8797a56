"""Tenants, sites and memberships in the admin."""

from typing import Any

from axes.models import AccessAttempt
from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.tenancy.history_admin import HistoryAdmin
from apps.tenancy.models import Capability, Membership, Site, Tenant
from apps.tenancy.scoped_admin import ScopedAdmin, access_to_admin, is_superuser


@admin.register(Tenant)
class TenantAdmin(ScopedAdmin):
    tenant_column = "id"
    site_column = None
    writing = Capability.TENANT_ADMIN
    list_display = ["name", "slug", "suspended_at", "created_at"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    ordering = ["name"]

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        # Django refuses them on a page that only shows the tenant.
        editable = self.has_change_permission(request, obj) if obj else True
        return self.prepopulated_fields if editable else {}


@admin.register(Site)
class SiteAdmin(ScopedAdmin):
    site_column = "id"
    writing = Capability.TENANT_ADMIN
    list_display = ["code", "name", "tenant", "last_ticket_no"]
    list_select_related = ["tenant"]
    search_fields = ["code", "name"]
    readonly_fields = ["last_ticket_no"]
    ordering = ["tenant", "code"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [*self.readonly_fields, "tenant"] if obj else []


class MembershipForm(forms.ModelForm[Membership]):
    capabilities = forms.MultipleChoiceField(
        choices=Capability.choices, required=False, widget=forms.CheckboxSelectMultiple
    )

    class Meta:
        model = Membership
        fields = ["user", "tenant", "capabilities", "all_sites", "sites"]

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        tenant = given.get("tenant") or (self.instance.tenant if self.instance.pk else None)
        foreign = [site for site in given.get("sites") or [] if tenant and site.tenant != tenant]
        if foreign:
            names = ", ".join(map(str, foreign))
            self.add_error("sites", f"Not of {tenant}: {names}. Choose its own sites only.")
        return given


@admin.register(Membership)
class MembershipAdmin(ScopedAdmin):
    form = MembershipForm
    site_column = None
    writing = Capability.TENANT_ADMIN
    list_display = ["user", "tenant", "capabilities", "all_sites"]
    list_select_related = ["user", "tenant"]
    list_filter = ["all_sites"]
    search_fields = ["user__username"]
    filter_horizontal = ["sites"]
    ordering = ["user__username"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return ["user", "tenant"] if obj else []

    def has_add_permission(self, request: HttpRequest) -> bool:
        # Adding needs the list of users without a tenant, which is nobody's but the superuser's.
        return super().has_add_permission(request) and is_superuser(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        access = access_to_admin(request)
        manages = access is not None and access.may(Capability.TENANT_ADMIN)
        return super().has_view_permission(request, obj) and (manages or is_superuser(request))


@admin.register(AccessAttempt)
class WrongPasswordsAdmin(HistoryAdmin):
    """Wrong passwords that still count; they belong to no tenant, so superusers alone see them."""

    list_display = ["username", "ip_address", "failures_since_start", "attempt_time", "path_info"]
    fields = [
        "username", "ip_address", "failures_since_start", "attempt_time", "path_info", "user_agent",
    ]  # fmt: skip
    search_fields = ["username", "ip_address"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        everything = admin.ModelAdmin.get_queryset(self, request)
        return everything if is_superuser(request) else everything.none()

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request)
