"""Replays in the admin: who asked for what, how far it is, what became of each event."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, JsonResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from apps.noc.failures import asking, review
from apps.noc.failures.forms import DeliveredFilter
from apps.noc.failures.scope import MAY_REPLAY, admin_scope
from apps.noc.failures.words import names, plain, short, utc
from apps.tenancy.history_admin import HistoryAdmin
from apps.tenancy.models import Site, Tenant
from apps.tenancy.scoped_admin import ID, is_superuser, staff_of
from outbox.models import Replay, ReplayItem
from outbox.replay.progress import OUTCOMES, progress

PAGE_ITEMS = 100
MEANING = {
    "replayed": "sent again",
    "discarded": "put away",
    "already": "another replay was faster",
    "superseded": "its subject has moved on",
    "failed": "could not be sent",
}


class StateFilter(admin.SimpleListFilter):
    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(value), str(label)) for value, label in Replay.State.choices]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(state=self.value()) if self.value() else queryset


@admin.register(Replay)
class ReplayAdmin(HistoryAdmin):
    list_display = ["requested", "what", "result", "who", "why"]
    list_filter: ClassVar[Any] = [StateFilter]
    actions = None

    def get_queryset(self, request: HttpRequest) -> QuerySet[Replay]:
        return admin_scope(request).replays()

    def get_list_display(self, request: HttpRequest) -> Any:
        if not is_superuser(request):
            return self.list_display
        return [*self.list_display[:2], "stream", *self.list_display[2:]]

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        changes = super().get_changelist_instance(request)
        called = names((row.actor for row in changes.result_list), admin_scope(request))
        for row in changes.result_list:
            row.called = called[row.actor]
        return changes

    @admin.display(description="asked for at (UTC)")
    def requested(self, row: Replay) -> str:
        return utc(row.requested_at)

    @admin.display(description="what")
    def what(self, row: Replay) -> str:
        return f"{row.action} {row.get_source_display()}"

    @admin.display(description="who")
    def who(self, row: Any) -> str:
        return str(row.called)

    @admin.display(description="reason")
    def why(self, row: Replay) -> str:
        return short(row.reason, 80)

    @admin.display(description="result")
    def result(self, row: Replay) -> str:
        told = progress(row)
        counts = ", ".join(f"{told[name]:,} {name}" for name in OUTCOMES if told[name])
        far = f"{row.get_state_display()}, {told['done']:,} of {row.total:,}"
        return f"{far}: {counts}" if counts else far

    # --- pages ---

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        """It names everybody who acted; the replay's own page names those of the tenant."""
        if not is_superuser(request):
            raise Http404
        return super().history_view(request, object_id, extra_context)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("delivered/", wrap(self.delivered_view), name="outbox_replay_delivered"),
            path("<int:pk>/progress/", wrap(self.progress_view), name="outbox_replay_progress"),
            path("<int:pk>/items/", wrap(self.items_view), name="outbox_replay_items"),
            path("<int:pk>/cancel/", wrap(self.cancel_view), name="outbox_replay_cancel"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: Mapping[str, Any] | None = None
    ) -> Any:
        shown = {"title": "Replays", "may_replay": request.user.has_perm(MAY_REPLAY)}
        return super().changelist_view(request, shown | dict(extra_context or {}))

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: Mapping[str, Any] | None = None,
    ) -> HttpResponse:
        """Show how far it is; the page asks again by itself while it runs."""
        if request.method == "POST":
            raise PermissionDenied("Replays are history: they are not edited.")
        row = self._find(request, object_id)
        scope = admin_scope(request)
        called = names([row.actor, row.cancelled_by], scope)
        told = progress(row)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Replay {row.pk}",
            "row": row,
            "running": row.state == Replay.State.RUNNING,
            "progress": told,
            "who": called[row.actor],
            "cancelled_by": called.get(row.cancelled_by or "", ""),
            "outcomes": [(name, told[name], MEANING[name]) for name in OUTCOMES],
            "reason": plain(row.reason),
            "first_error": plain(row.first_error or ""),
            "filters": [(name, _listed(value)) for name, value in row.filters.items()
                        if name != "source"],
            "may_replay": request.user.has_perm(MAY_REPLAY),
        }  # fmt: skip
        return TemplateResponse(request, "admin/outbox/replay/detail.html", context)

    def progress_view(self, request: HttpRequest, pk: int) -> JsonResponse:
        """Answer with the counts alone, for the page that waits."""
        told = progress(self._find(request, str(pk)))
        kept = {name: told[name] for name in ("state", "total", "done", *OUTCOMES)}
        answer = JsonResponse(kept)
        answer["Cache-Control"] = "no-store"
        return answer

    def items_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """List what became of each event, in pages."""
        row = self._find(request, str(pk))
        outcome = request.GET.get("outcome", "")
        items = ReplayItem.objects.filter(replay_id=row.pk).order_by("number")
        if outcome in (*OUTCOMES, "cancelled"):
            items = items.filter(outcome=outcome)
        page = Paginator(items, PAGE_ITEMS).get_page(request.GET.get("page"))
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"Events of replay {row.pk}",
            "row": row,
            "page": page,
            "items": [(item, plain(item.detail)) for item in page],
            "outcome": outcome,
            "outcomes": [*OUTCOMES, "cancelled"],
        }
        return TemplateResponse(request, "admin/outbox/replay/items.html", context)

    def cancel_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """End a replay; what it has sent stays sent."""
        row = self._find(request, str(pk))
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        review.may_replay(request)
        if asking.end(row.pk, staff_of(request)):
            messages.success(request, "The replay was cancelled. What it had sent stays sent.")
        else:
            messages.info(request, "The replay was over already: nothing was cancelled.")
        return redirect("admin:outbox_replay_change", row.pk)

    def delivered_view(self, request: HttpRequest) -> HttpResponse:
        """Choose delivered events; then the dry run, and its confirmation."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        review.may_replay(request)
        form = DeliveredFilter(
            request.GET or None,
            scope=admin_scope(request),
            tenants=self.choices_of(Tenant, request).order_by("name"),
            sites=self.choices_of(Site, request),
        )
        if form.is_valid() and "change" not in request.GET:
            title = "Replay delivered events"
            return review.page(request, self, form.choice(), title=title)
        if request.method == "POST":
            raise Http404("The query chooses no events.")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Replay delivered events",
            "form": form,
        }
        return TemplateResponse(request, "admin/outbox/replay/delivered.html", context)

    def _find(self, request: HttpRequest, pk: str) -> Replay:
        if not self.has_view_permission(request):
            raise PermissionDenied
        found = self.get_queryset(request).filter(pk=int(pk)).first() if ID.fullmatch(pk) else None
        if found is None:
            raise Http404("There is no such replay in your scope.")
        return found


def _listed(value: Any) -> str:
    return plain(", ".join(map(str, value)) if isinstance(value, list) else str(value))
