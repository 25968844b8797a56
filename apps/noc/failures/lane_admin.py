"""
Lanes in the admin: how far each is, why one rests, and pausing, resuming and skipping it.

A lane carries streams of several tenants, so it is for who runs the installation: superusers, and
who was given ``outbox.control_lane``. Only superusers see which streams an action concerned.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from apps.noc.failures import figures
from apps.noc.failures.forms import LaneReason
from apps.noc.failures.scope import EVERYTHING
from apps.noc.failures.words import names, plain
from apps.tenancy.scoped_admin import ID, is_superuser, staff_of
from outbox import context as outbox_context
from outbox import controls, status
from outbox.admin import ReadOnlyAdmin
from outbox.models import Lane, LaneAction
from outbox.status import COUNT_LIMIT, LaneStatus

CONTROL = "outbox.control_lane"
LISTED_ACTIONS = 50
VERBS = {
    "pause": "Nothing of the lane is handed over until it is resumed. Recording goes on, and pages"
    " get their changes from the log, some seconds later.",
    "resume": "The lane is tried at once, also when failures have paused it.",
    "skip": "All that is recorded and not handed over counts as handed over. It stays in the log,"
    " where pages read it.",
}


@dataclass(frozen=True)
class Shown:
    """A lane as the pages show it."""

    lane: Lane
    status: LaneStatus
    paused_by: str

    @property
    def state(self) -> str:
        if self.lane.paused_at:
            return "paused"
        return "failing" if self.lane.publish_failures else "running"

    @property
    def pending(self) -> str:
        more = "+" if self.status.pending >= COUNT_LIMIT else ""
        return f"{self.status.pending:,}{more}"

    @property
    def oldest(self) -> str:
        seconds = self.status.oldest_seconds
        return "-" if seconds is None else figures.age(seconds)

    @property
    def why(self) -> str:
        return plain(self.lane.pause_reason or self.lane.publish_error or "")

    @property
    def verbs(self) -> list[str]:
        can = {
            "pause": not self.lane.paused_at,
            "resume": self.state != "running",
            "skip": self.status.unpublished > 0,
        }
        return [verb for verb in VERBS if can[verb]]


@admin.register(Lane)
class LaneAdmin(ReadOnlyAdmin):
    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return is_superuser(request) or request.user.has_perm(CONTROL)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def get_urls(self) -> list[URLPattern]:
        wrap = self.admin_site.admin_view
        return [
            path("<int:lane>/<str:verb>/act/", wrap(self.act_view), name="outbox_lane_act"),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: Mapping[str, Any] | None = None
    ) -> HttpResponse:
        """Show all lanes, and what was done to them by hand."""
        self._check(request)
        return TemplateResponse(
            request,
            "admin/outbox/lane/list.html",
            {
                **self._context(request, "Lanes"),
                "lanes": _lanes(),
                "tiles": figures.tiles(EVERYTHING) if is_superuser(request) else [],
                "actions": _actions(request, None),
            },
        )

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: Mapping[str, Any] | None = None,
    ) -> HttpResponse:
        """Show one lane with its own history."""
        self._check(request)
        if request.method == "POST":
            raise PermissionDenied("A lane is changed by pause, resume and skip alone.")
        found = _find(int(object_id)) if ID.fullmatch(object_id) else None
        if found is None:
            raise Http404("There is no such lane.")
        return TemplateResponse(
            request,
            "admin/outbox/lane/detail.html",
            {
                **self._context(request, f"Lane {found.lane.lane}"),
                "shown": found,
                "actions": _actions(request, found.lane.lane),
            },
        )

    def act_view(self, request: HttpRequest, lane: int, verb: str) -> HttpResponse:
        """Ask for the reason; a POST with one does it."""
        self._check(request)
        found = _find(lane) if lane < 2**31 else None
        if found is None or verb not in VERBS:
            raise Http404("There is no such lane or action.")
        form = LaneReason(request.POST if request.method == "POST" else None)
        if form.is_valid():
            _act(request, lane, verb, form.cleaned_data["reason"])
            return redirect("admin:outbox_lane_change", lane)
        return TemplateResponse(
            request,
            "admin/outbox/lane/act.html",
            {
                **self._context(request, f"{verb.capitalize()} lane {lane}"),
                "shown": found,
                "verb": verb,
                "meaning": VERBS[verb],
                "form": form,
            },
        )

    def _check(self, request: HttpRequest) -> None:
        if not self.has_view_permission(request):
            raise PermissionDenied("Lanes span tenants: this needs the permission to control them.")

    def _context(self, request: HttpRequest, title: str) -> dict[str, Any]:
        return {**self.admin_site.each_context(request), "opts": self.opts, "title": title}


def _act(request: HttpRequest, lane: int, verb: str, reason: str) -> None:
    user = staff_of(request)
    actor = f"user:{user.pk}"
    with transaction.atomic(), outbox_context(actor=actor):
        if verb == "skip":
            count = controls.skip(lane, actor=actor, reason=reason)
            told = f"{count:,} events of lane {lane} were skipped." if count else ""
        else:
            do = controls.pause if verb == "pause" else controls.resume
            changed = do(lane, actor=actor, reason=reason)
            told = f"Lane {lane} is {verb}d." if changed else ""
    if told:
        messages.success(request, told)
    else:
        messages.info(request, f"There was nothing to {verb}: lane {lane} is as it was.")


def _lanes() -> list[Shown]:
    rows = {row.lane: row for row in Lane.objects.all()}
    called = names((row.paused_by for row in rows.values()), EVERYTHING)
    return [
        Shown(rows[found.lane], found, called.get(rows[found.lane].paused_by or "", ""))
        for found in status.lanes()
        if found.lane in rows
    ]


def _find(lane: int) -> Shown | None:
    return next((shown for shown in _lanes() if shown.lane.lane == lane), None)


def _actions(request: HttpRequest, lane: int | None) -> list[dict[str, Any]]:
    rows = LaneAction.objects.order_by("-id")
    found = list((rows if lane is None else rows.filter(lane=lane))[:LISTED_ACTIONS])
    called = names((row.actor for row in found), EVERYTHING)
    return [
        {
            "row": row,
            "who": called[row.actor],
            "reason": plain(row.reason),
            "events": row.detail.get("events"),
            "slices": row.detail.get("slices") if is_superuser(request) else None,
        }
        for row in found
    ]
