"""The feed's connections in the admin, to be read only, and the receipts of one event."""

from typing import Any, ClassVar
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from apps.noc.feed.wire import event_of, sites_of
from apps.noc.receipts import derive, trail
from apps.noc.receipts.models import FeedSession
from apps.tenancy.history_admin import HistoryAdmin
from apps.tenancy.http.bodies import BIGGEST_ID
from apps.tenancy.models import Tenant
from apps.tenancy.scoped_admin import access_to_admin, is_superuser
from outbox.log import LogRow

PAGE_RECEIPTS = 100
TIME = "%Y-%m-%d %H:%M:%S"  # in UTC


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("open", "Open"), ("closed", "Closed")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("open", "closed"):
            return queryset
        return queryset.filter(closed_at__isnull=self.value() == "open")


class ReceiptsForm(forms.Form):
    """Names an event."""

    tenant = forms.ModelChoiceField(Tenant.objects.none(), empty_label=None)
    seq = forms.IntegerField(min_value=1, max_value=BIGGEST_ID, label="Event number (seq)")


@admin.register(FeedSession)
class FeedSessionAdmin(HistoryAdmin):
    """Each part of each connection; names members, so it needs ``tenant:admin``."""

    list_display = [
        "user",
        "tenant",
        "scope",
        "opened",
        "sent",
        "acked_seq",
        "closed",
        "close_code",
    ]
    list_select_related = ["user", "tenant"]
    list_filter: ClassVar[Any] = [StateFilter]
    search_fields = ["user__username"]
    search_help_text = "A user name or a session, in full."

    @admin.display
    def scope(self, part: FeedSession) -> str:
        return "every site" if part.sites is None else f"sites {', '.join(map(str, part.sites))}"

    @admin.display
    def opened(self, part: FeedSession) -> str:
        return f"{part.opened_at:{TIME}}"

    @admin.display
    def closed(self, part: FeedSession) -> str:
        return f"{part.closed_at:{TIME}}" if part.closed_at else "-"

    @admin.display
    def sent(self, part: FeedSession) -> str:
        """The numbers of the events, as far as they are in scope."""
        first = part.start_seq + 1
        return f"{first} to {part.sent_seq}" if first <= part.sent_seq else "-"

    def get_list_filter(self, request: HttpRequest) -> Any:
        return ["tenant", *self.list_filter] if is_superuser(request) else self.list_filter

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        if not search_term:
            return queryset, False
        try:
            return queryset.filter(session=UUID(search_term)), False
        except ValueError:
            return queryset.filter(user__username=search_term), False

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.receipts_view)
        return [path("receipts/", view, name="noc_feedsession_receipts"), *super().get_urls()]

    def receipts_view(self, request: HttpRequest) -> HttpResponse:
        """Show who received the event that the form names, and when they confirmed it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = ReceiptsForm(request.GET if "seq" in request.GET else None)
        tenants = self.choices_of(Tenant, request).order_by("name")
        form.fields["tenant"].queryset = tenants  # type: ignore[attr-defined]
        shown: dict[str, Any] = {}
        if form.is_valid():
            seq: int = form.cleaned_data["seq"]
            row = self._row(request, form.cleaned_data["tenant"], seq)
            if row is None:
                form.add_error("seq", f"There is no event {seq} in your scope, or not any more.")
            else:
                shown = receipts_of(row, self._sites(request, row), request.GET.get("page"))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Receipts of an event",
            "form": form,
            **shown,
        }
        return TemplateResponse(request, "admin/noc/feedsession/receipts.html", context)

    def _sites(self, request: HttpRequest, row: LogRow) -> list[int]:
        """The sites that the event concerns, as far as the user may know of them."""
        access = access_to_admin(request)
        sites = sites_of(event_of(row).fields)
        if is_superuser(request) or access is None:
            return sites
        return [site_id for site_id in sites if access.sees(site_id)]

    def _row(self, request: HttpRequest, tenant: Tenant, seq: int) -> LogRow | None:
        row = derive.row_of(tenant.pk, seq)
        access = access_to_admin(request)
        if row is None or is_superuser(request):
            return row
        return row if access is not None and event_of(row).visible(access.sites) else None


def receipts_of(row: LogRow, sites: list[int], page: str | None) -> dict[str, Any]:
    """Return what the page shows of an event: itself, its way, counts, and a page of receipts."""
    found = sorted(derive.receipts(row), key=lambda receipt: -receipt.part_id)
    receipts = Paginator(found, PAGE_RECEIPTS).get_page(page)
    rows = FeedSession.objects.select_related("user").in_bulk([r.part_id for r in receipts])
    return {
        "row": row,
        "rounds": trail.rounds(row.stream, row.seq, sites=sites),
        "received": derive.users(found),
        "confirmed": derive.users(receipt for receipt in found if receipt.confirmed),
        "page": receipts,
        "entries": [(rows[r.part_id], r) for r in receipts if r.part_id in rows],
    }
