"""Shared views in the admin: to mend and to remove; they are made on the page."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from apps.noc.saved_views.models import SavedView
from apps.tenancy.models import Capability
from apps.tenancy.scoped_admin import ScopedAdmin, is_superuser


class ViewForm(forms.ModelForm[SavedView]):
    """The owner is no field of it, so the form itself looks whether the owner has the name."""

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        view = self.instance
        same = SavedView.objects.filter(owner=view.owner_id, tenant=view.tenant_id, name=name)
        if same.exclude(pk=view.pk).exists():
            raise forms.ValidationError("The owner has a view of this name: choose another name.")
        return name


@admin.register(SavedView)
class SavedViewAdmin(ScopedAdmin):
    form = ViewForm
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
