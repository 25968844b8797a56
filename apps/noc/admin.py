"""Findings and anomalies in the admin."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db import models
from django.http import HttpRequest

from apps.noc.failures import admin as failures_admin  # noqa: F401 - registers itself
from apps.noc.health.models import Canary
from apps.noc.models import Anomaly, Finding, Sighting
from apps.noc.receipts.admin import FeedSessionAdmin  # noqa: F401 - registers itself
from apps.noc.saved_views.admin import SavedViewAdmin  # noqa: F401 - registers itself
from apps.tenancy.history_admin import HistoryAdmin
from apps.tenancy.scoped_admin import ScopedAdmin, SiteFilter, access_to_admin, is_superuser


class SightingAdmin(ScopedAdmin):
    """The tenant comes from the site, or from the user when the whole tenant is meant."""

    list_select_related = ["site", "tenant"]
    list_filter: ClassVar[Any] = ["severity", SiteFilter]
    ordering = ["-id"]

    def formfield_for_foreignkey(
        self, db_field: models.ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> forms.ModelChoiceField[Any]:
        field = super().formfield_for_foreignkey(db_field, request, **kwargs)
        if db_field.name == "site":
            access = access_to_admin(request)
            may_leave_out = access is not None and access.sites is None
            field.required = is_superuser(request) or not may_leave_out
        return field

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        return [*self.readonly_fields, "site"] if obj else []

    def save_model(
        self, request: HttpRequest, obj: Sighting, form: forms.ModelForm[Any], change: bool
    ) -> None:
        if not change:
            access = access_to_admin(request)
            if obj.site is not None:
                obj.tenant_id = obj.site.tenant_id
            elif access is not None:
                obj.tenant_id = access.tenant_id
        super().save_model(request, obj, form, change)


@admin.register(Finding)
class FindingAdmin(SightingAdmin):
    list_display = ["title", "severity", "status", "site", "created_at"]
    list_filter: ClassVar[Any] = ["severity", "status", SiteFilter]
    search_fields = ["title"]
    readonly_fields = ["created_at"]


@admin.register(Anomaly)
class AnomalyAdmin(SightingAdmin):
    list_display = ["metric", "severity", "observed", "expected", "site", "detected_at"]
    search_fields = ["metric"]
    readonly_fields = ["detected_at"]


@admin.register(Canary)
class CanaryAdmin(HistoryAdmin):
    """The last week's runs, one a minute: how far each came, and why no further."""

    list_display = ["sent_at", "stage", "seconds", "error"]
    list_filter: ClassVar[Any] = ["stage"]
