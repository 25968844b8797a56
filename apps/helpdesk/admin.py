"""Tickets in the admin: the same rules as everywhere, and a stale form overwrites nothing."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import ngettext

from apps.helpdesk import transitions
from apps.helpdesk.actions import add_ticket, change_status, delete_ticket, save_ticket
from apps.helpdesk.errors import HelpdeskError, IllegalTransition
from apps.helpdesk.models import Acknowledgement, Ticket, TicketNote
from apps.helpdesk.status import Status
from apps.tenancy.names import display_name
from apps.tenancy.scoped_admin import (
    ScopedAdmin,
    SiteFilter,
    is_superuser,
    narrowed,
    staff_of,
)


class TicketForm(forms.ModelForm[Ticket]):
    """Carries the version that the page showed, and compares it while it holds the row."""

    loaded_version = forms.IntegerField(widget=forms.HiddenInput, required=False)

    class Meta:
        model = Ticket
        fields = ["site", "status", "hold_reason", "priority", "assigned_to", "description"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["loaded_version"] = self.instance.version

    def clean(self) -> dict[str, Any]:
        given = super().clean() or self.cleaned_data
        status = given.get("status")
        if self.instance.pk:
            self._check_version(given.get("loaded_version"))
            self._check_tenant(given)
            if status and status != self.instance.status:
                try:
                    transitions.check(self.instance.status, status)
                except IllegalTransition as error:
                    self.add_error("status", str(error))
        if status == Status.ON_HOLD and not (given.get("hold_reason") or "").strip():
            self.add_error("hold_reason", "Say what the ticket waits for.")
        return given

    def _check_version(self, loaded: int | None) -> None:
        # The row stays locked until the save: the admin runs the whole view in one transaction.
        present = (
            Ticket.objects.select_for_update()
            .filter(pk=self.instance.pk)
            .values_list("version", flat=True)
            .first()
        )
        if present != loaded:
            raise forms.ValidationError(
                "Somebody changed this ticket while you had it open, so nothing was saved. "
                "Open it again, look at what changed, and repeat your change."
            )

    def _check_tenant(self, given: dict[str, Any]) -> None:
        site = given.get("site")
        if site is not None and site.tenant_id != self.instance.tenant_id:
            self.add_error("site", "This site is another tenant's: choose one of the ticket's own.")


class NoteInline(admin.TabularInline[TicketNote, Ticket]):
    model = TicketNote
    fields = ["written_at", "author", "status", "text"]
    readonly_fields = ["written_at", "author", "status", "text"]
    ordering = ["-id"]
    extra = 0
    can_delete = False

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[TicketNote]:
        notes = super().get_queryset(request).select_related("author")
        return narrowed(notes, request, tenant="ticket__tenant_id", site="site_id")


@admin.register(Ticket)
class TicketAdmin(ScopedAdmin):
    form = TicketForm
    list_display = ["ticket_no", "status", "priority", "site", "assigned_to", "updated_at"]
    list_select_related = ["site", "assigned_to", "tenant"]
    list_filter = ["status", "priority", SiteFilter]
    search_fields = ["ticket_no__exact"]
    search_help_text = "The whole ticket number, like SITE001#42."
    ordering = ["-id"]
    sortable_by = ()  # newest first has an index; other orders would sort every ticket
    readonly_fields = [
        *("ticket_no", "tenant", "version", "created_at", "updated_at", "acknowledged"),
    ]
    inlines = [NoteInline]
    actions = ["mark_in_progress", "mark_resolved"]
    fieldsets = [
        (None, {"fields": ["ticket_no", "site", "description", "loaded_version"]}),
        (
            "Work",
            {"fields": ["status", "hold_reason", "priority", "assigned_to", "acknowledged"]},
        ),
        ("Record", {"fields": ["tenant", "version", "created_at", "updated_at"]}),
    ]
    add_fieldsets = [
        (None, {"fields": ["site", "description"]}),
        ("Work", {"fields": ["status", "hold_reason", "priority", "assigned_to"]}),
    ]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None:
            return self.add_fieldsets
        return super().get_fieldsets(request, obj)

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        return self.inlines if obj else []

    def get_list_display(self, request: HttpRequest) -> Any:
        return [*self.list_display, "tenant"] if is_superuser(request) else self.list_display

    @admin.display(description="acknowledged")
    def acknowledged(self, ticket: Ticket) -> str | None:
        found = Acknowledgement.objects.filter(pk=ticket.pk).select_related("acknowledged_by")
        if (one := found.first()) is None:
            return None
        by = one.acknowledged_by
        return f"{one.acknowledged_at:%Y-%m-%d %H:%M} UTC, {by and display_name(by)}"

    def save_model(self, request: HttpRequest, obj: Ticket, form: Any, change: bool) -> None:
        if not change:
            add_ticket(ticket=obj, actor=staff_of(request))
        elif form.changed_data:
            save_ticket(ticket=obj, actor=staff_of(request))

    def delete_model(self, request: HttpRequest, obj: Ticket) -> None:
        delete_ticket(ticket_id=obj.pk, actor=staff_of(request))

    @admin.action(description="Mark selected tickets in progress", permissions=["change"])
    def mark_in_progress(self, request: HttpRequest, queryset: QuerySet[Ticket]) -> None:
        self._change_each(request, queryset, Status.IN_PROGRESS)

    @admin.action(description="Resolve selected tickets", permissions=["change"])
    def mark_resolved(self, request: HttpRequest, queryset: QuerySet[Ticket]) -> None:
        self._change_each(request, queryset, Status.RESOLVED)

    def _change_each(self, request: HttpRequest, queryset: QuerySet[Ticket], to: Status) -> None:
        """Change each ticket by itself, so that one that may not does not keep the others back."""
        changed = 0
        for ticket_id, ticket_no in queryset.values_list("pk", "ticket_no"):
            try:
                change_status(ticket_id=ticket_id, to=to, actor=staff_of(request))
                changed += 1
            except HelpdeskError as error:
                self.message_user(request, f"{ticket_no}: {error}", messages.WARNING)
        if changed:
            text = ngettext("%d ticket is now %s.", "%d tickets are now %s.", changed)
            self.message_user(request, text % (changed, to.label.lower()), messages.SUCCESS)
