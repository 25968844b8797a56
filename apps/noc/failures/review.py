"""The page between asking and doing: a dry run to look at, and a confirmation that carries it."""

from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from apps.noc.failures import asking
from apps.noc.failures.forms import Confirmation
from apps.noc.failures.scope import MAY_REPLAY
from apps.noc.failures.words import plain
from apps.tenancy.scoped_admin import staff_of
from outbox import replay
from outbox.errors import ReplayError, StaleSelection, TooManyReplays
from outbox.replay import Choice
from outbox.replay.choice import DEAD_LETTERS
from outbox.replay.plan import DISCARD, REPLAY

HOW = ("action", "force")  # what may be done with the chosen ones; the rest of the query chooses


def may_replay(request: HttpRequest) -> None:
    """Refuse who has no right to replay, whatever page or form they came by."""
    if not request.user.has_perm(MAY_REPLAY):
        raise PermissionDenied("This needs the permission to replay and discard events.")


def page(
    request: HttpRequest, model_admin: admin.ModelAdmin[Any], choice: Choice, *, title: str
) -> HttpResponse:
    """
    Show the dry run of ``choice``; a POST that carries its fingerprint starts it.

    The query string says which events, in both. A fingerprint that does not fit any more starts
    nothing: the new dry run is shown instead, with the answer 409.
    """
    may_replay(request)
    given = request.POST if request.method == "POST" else request.GET
    discards = given.get("action") == DISCARD and choice.source == DEAD_LETTERS
    action, forced = DISCARD if discards else REPLAY, given.get("force") == "1"
    form = Confirmation(request.POST if request.method == "POST" else None)
    trouble, status = "", 200
    if form.is_valid():
        try:
            replay_id, new = asking.ask(
                choice, action=action, forced=forced, user=staff_of(request), **form.cleaned_data
            )
        except StaleSelection as error:
            trouble, status = f"Nothing was started: {error}", 409
        except TooManyReplays as error:
            trouble, status = f"Nothing was started: {error}", 429
        except ReplayError as error:
            trouble, status = f"Nothing was started: {error}", 400
        else:
            if not new:
                told = "The same set was confirmed a moment ago: this is that replay."
                messages.info(request, told)
            return redirect("admin:outbox_replay_change", replay_id)
    try:
        plan = replay.plan(choice, action=action, forced=forced)
    except ReplayError as error:
        plan, trouble = None, trouble or str(error)
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": title,
        "choice": choice,
        "plan": plan,
        "samples": [
            (each, plain(each.type), plain(each.subject), plain(each.why)) for each in plan.sample
        ]
        if plan
        else [],
        "blocked": [(count, plain(why)) for why, count in plan.blocked.items()] if plan else [],
        "more": plan.total - len(plan.sample) if plan else 0,
        "held_back": plan.total - plan.ready if plan else 0,
        "discards": discards,
        "may_discard": choice.source == DEAD_LETTERS,
        "forced": forced,
        "form": form,
        "trouble": plain(trouble),
        "kept_query": [
            (name, value)
            for name, values in request.GET.lists()
            for value in values
            if name not in HOW
        ],
    }
    return TemplateResponse(request, "admin/outbox/review.html", context, status=status)
