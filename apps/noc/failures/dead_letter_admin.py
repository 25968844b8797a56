"""Dead letters in the admin: the list with its figures, the causes, one of them, and replaying."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.noc.failures import detail, figures, letters, review
from apps.noc.failures.forms import DeadLetterFilter
from apps.noc.failures.scope import MAY_REPLAY, admin_scope
from apps.noc.failures.words import plain, short, utc
from apps.tenancy.history_admin import MAX_COUNTED, HistoryAdmin
from apps.tenancy.models import Site, Tenant
from apps.tenancy.scoped_admin import ID, is_superuser
from outbox.models import DeadLetter


class FormFilter(admin.ListFilter):
    """The whole filter as one form, whose meaning a replay shares with the list."""

    title = "which"
    template = "admin/outbox/deadletter/filter.html"

    def __init__(self, request: HttpRequest, params: Any, model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.form = filter_form(request, model_admin)
        for name in self.form.fields:
            if name in params:
                self.used_parameters[name] = params.pop(name)[-1]

    def has_output(self) -> bool:
        return True

    def choices(self, changelist: Any) -> Iterator[Any]:
        return iter(())

    def expected_parameters(self) -> list[str | None]:
        return list(self.form.fields)

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return self.form.rows() if self.form.is_valid() else queryset.none()


@admin.register(DeadLetter)
class DeadLetterAdmin(HistoryAdmin):
    """Shown to who runs the tenant; replayed by who may besides."""

    list_display = ["died", "event", "what_happened", "cause", "seq"]
    list_display_links = ["died"]
    list_filter: ClassVar[Any] = [FormFilter]
    actions = ["replay_selected"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeadLetter]:
        return admin_scope(request).dead_letters()

    def get_list_display(self, request: HttpRequest) -> Any:
        names = [*self.list_display]
        if is_superuser(request):
            names.append("stream")
        if request.GET.get("state"):
            names.append("outcome")
        return names

    @admin.display(description="died at (UTC)")
    def died(self, letter: DeadLetter) -> str:
        return utc(letter.died_at)

    @admin.display(description="event")
    def event(self, letter: DeadLetter) -> SafeString:
        return format_html("{}<br>{}", short(letter.type, 60), short(letter.subject, 60))

    @admin.display(description="error")
    def what_happened(self, letter: DeadLetter) -> str:
        return f"{letter.reason}: {short(letter.error)}"

    @admin.display(description="cause")
    def cause(self, letter: DeadLetter) -> SafeString:
        query = QueryDict(mutable=True)
        query["fingerprint"] = letter.fingerprint
        return format_html(
            '<a href="?{}" title="All of this cause">{}</a>', query.urlencode(), letter.fingerprint
        )

    @admin.display(description="state")
    def outcome(self, letter: DeadLetter) -> str:
        return letter.state

    # --- replaying ---

    def has_replay_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request) and request.user.has_perm(MAY_REPLAY)

    @admin.action(description="Replay or discard the selected", permissions=["replay"])
    def replay_selected(self, request: HttpRequest, queryset: QuerySet[DeadLetter]) -> HttpResponse:
        """Go to the dry run; nothing is done before it is confirmed there."""
        review.may_replay(request)
        if request.POST.get("select_across") == "1":
            query = request.GET.copy()
        else:
            query = QueryDict(mutable=True)
            ids = sorted(queryset.values_list("pk", flat=True))
            query["ids"] = ",".join(map(str, ids))
        return redirect(f"{reverse('admin:outbox_deadletter_replay')}?{query.urlencode()}")

    def replay_view(self, request: HttpRequest) -> HttpResponse:
        """Show what a replay of the filter would do, and start it when that is confirmed."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        review.may_replay(request)
        form = filter_form(request, self)
        if not form.is_valid():
            raise Http404("The filter is not one of the list's.")
        return review.page(request, self, form.choice(), title="Replay dead letters")

    # --- pages ---

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("replay/", wrap(self.replay_view), name="outbox_deadletter_replay"),
            path("causes/", wrap(self.causes_view), name="outbox_deadletter_causes"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: Mapping[str, Any] | None = None
    ) -> Any:
        shown: dict[str, Any] = {"may_replay": self.has_replay_permission(request)}
        if request.method == "GET" and self.has_view_permission(request):
            query = request.GET.copy()
            query.pop("p", None)
            shown |= {
                "tiles": figures.tiles(admin_scope(request)),
                "title": "Dead letters",
                "filter_query": query.urlencode(),
                "replays_these": request.GET.get("state", "") in ("", DeadLetter.State.DEAD),
                "max_counted": MAX_COUNTED,
            }
        return super().changelist_view(request, shown | dict(extra_context or {}))

    def causes_view(self, request: HttpRequest) -> HttpResponse:
        """Group what is dead by cause."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        scope = admin_scope(request)
        dead = scope.dead_letters().filter(state=DeadLetter.State.DEAD)
        found, more = letters.causes(dead)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": "Causes",
            "causes": [(cause, plain(cause.example.type), short(cause.example.error, 300))
                       for cause in found],
            "total": sum(cause.count for cause in found),
            "more": more,
            "may_replay": self.has_replay_permission(request),
        }  # fmt: skip
        return TemplateResponse(request, "admin/outbox/deadletter/causes.html", context)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: Mapping[str, Any] | None = None,
    ) -> HttpResponse:
        """Show one with all that is known of it."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            raise PermissionDenied("Dead letters are history: they are not edited.")
        scope = admin_scope(request)
        letter = detail.find(scope, int(object_id)) if ID.fullmatch(object_id) else None
        if letter is None:
            raise Http404("There is no such dead letter in your scope.")
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": f"{short(letter.type, 60)}, event {letter.seq}",
            "may_replay": self.has_replay_permission(request),
            **detail.shown(request, self.admin_site, scope, letter),
        }
        return TemplateResponse(request, "admin/outbox/deadletter/detail.html", context)


def filter_form(request: HttpRequest, model_admin: Any) -> DeadLetterFilter:
    """Return the filter that the query string holds, with the choices of the user."""
    names = {*DeadLetterFilter.base_fields}
    return DeadLetterFilter(
        {name: value for name, value in request.GET.items() if name in names},
        scope=admin_scope(request),
        tenants=model_admin.choices_of(Tenant, request).order_by("name"),
        sites=model_admin.choices_of(Site, request).select_related("tenant").order_by("code"),
    )
