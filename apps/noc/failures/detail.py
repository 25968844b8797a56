"""All that is known of one dead letter: its row, attempts, groups, and what a replay would do."""

import re
from typing import Any

from django.conf import settings
from django.contrib.admin import AdminSite
from django.db.models import F, Func, TextField
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import JSONObject, Left, Length
from django.http import HttpRequest
from django.urls import reverse

from apps.helpdesk.models import Ticket
from apps.noc.failures.scope import Scope
from apps.noc.failures.words import names, plain, utc
from apps.noc.feed import wire
from apps.noc.receipts import trail
from apps.noc.receipts.models import FeedSession
from apps.tenancy.scoped_admin import is_superuser
from apps.tenancy.streams import tenant_of
from outbox import replay
from outbox.errors import ReplayError
from outbox.models import Attempt, DeadLetter, Reason
from outbox.replay.candidates import READY

SHOWN_CHARACTERS = 20_000  # of a payload
MOST_ATTEMPTS = 50
VIEW_ATTEMPTS = "outbox.view_attempt"
_TICKET = re.compile(r"ticket:([0-9]{1,18})")
_PLACES = ("site_id", "old_site_id")
_TENANT = re.compile(r"tenant:[0-9]{1,18}")


def find(scope: Scope, letter_id: int) -> Any:
    """Return the dead letter with its payload as text, which is cut by the database; or None."""

    def pretty(name: str) -> Func:
        return Func(F(name), function="jsonb_pretty", output_field=TextField())

    return (
        scope.dead_letters()
        .filter(pk=letter_id)
        .annotate(
            payload_text=Left(pretty("payload"), SHOWN_CHARACTERS),
            payload_length=Length(pretty("payload")),
            context_text=Left(pretty("context"), SHOWN_CHARACTERS),
            request_id=KeyTextTransform("request_id", "context"),
            places=JSONObject(**{key: KeyTransform(key, "payload") for key in _PLACES}),
        )
        .first()
    )


def shown(request: HttpRequest, site: AdminSite, scope: Scope, letter: Any) -> dict[str, Any]:
    """Return what the page shows. Links lead only to where the user may go."""
    dead = letter.state == DeadLetter.State.DEAD
    return {
        "letter": letter,
        "error": plain(letter.error),
        "payload": plain(letter.payload_text),
        "cut_at": SHOWN_CHARACTERS if letter.payload_length > SHOWN_CHARACTERS else None,
        "context_text": plain(letter.context_text),
        "facts": _facts(letter),
        "ticket_url": _ticket_url(request, site, letter.subject),
        "receipts_url": _receipts_url(request, site, letter),
        "attempts": _attempts(request, letter),
        "attempts_hidden": not request.user.has_perm(VIEW_ATTEMPTS),
        "broadcasts": _broadcasts(scope, letter),
        "verdict": _verdict(scope, letter) if dead else None,
        "dead": dead,
        **_resolved(request, site, scope, letter),
    }


def _facts(letter: Any) -> list[tuple[str, Any]]:
    return [
        ("Type", plain(letter.type)),
        ("Subject", plain(letter.subject)),
        ("Stream and number", f"{letter.stream}, event {letter.seq}"),
        ("Event id", letter.event_id),
        ("Occurred", f"{utc(letter.occurred_at)} UTC"),
        ("Recorded", f"{utc(letter.recorded_at)} UTC"),
        ("Died", f"{utc(letter.died_at)} UTC"),
        ("Sink", letter.sink),
        ("Request id", plain(letter.request_id or "-")),
        ("Again of", f"event {letter.replay_of}" if letter.replay_of else "-"),
    ]


def _ticket_url(request: HttpRequest, site: AdminSite, subject: str) -> str | None:
    found = _TICKET.fullmatch(subject)
    tickets = site._registry.get(Ticket)
    if found is None or tickets is None or not tickets.has_view_permission(request):
        return None
    if not tickets.get_queryset(request).filter(pk=int(found[1])).exists():
        return None
    return reverse("admin:helpdesk_ticket_change", args=[found[1]])


def _receipts_url(request: HttpRequest, site: AdminSite, letter: DeadLetter) -> str | None:
    sessions = site._registry.get(FeedSession)
    if not _TENANT.fullmatch(letter.stream) or sessions is None:
        return None
    if not sessions.has_view_permission(request):
        return None
    query = f"?tenant={tenant_of(letter.stream)}&seq={letter.seq}"
    return reverse("admin:noc_feedsession_receipts") + query


def _attempts(request: HttpRequest, letter: DeadLetter) -> list[dict[str, Any]]:
    if not request.user.has_perm(VIEW_ATTEMPTS):
        return []
    rows = Attempt.objects.filter(event_id=letter.event_id).order_by("-id")[:MOST_ATTEMPTS]
    return [
        {
            "number": row.number,
            "started": utc(row.started_at),
            "worker": row.worker.partition(trail.TASK)[0],
            **_task_of(request, row.worker),
            "duration": "died" if row.duration_ms is None else f"{row.duration_ms:,.1f} ms",
            "reason": row.reason,
            "error": plain(row.error),
            "traceback": plain(row.traceback),
        }
        for row in reversed(rows)
    ]


def _task_of(request: HttpRequest, worker: str) -> dict[str, str]:
    """The Celery task of an attempt. Flower shows every tenant's, so it is for superusers alone."""
    task = worker.partition(trail.TASK)[2]
    leads = task and settings.FLOWER_URL and is_superuser(request)
    return {"task": task, "task_url": f"{settings.FLOWER_URL}/task/{task}" if leads else ""}


def _broadcasts(scope: Scope, letter: Any) -> list[dict[str, Any]]:
    if not _TENANT.fullmatch(letter.stream):
        return []
    sites = [] if letter.reason == Reason.POISON else wire.sites_of(letter.places)
    if scope.site_ids is not None:
        sites = [site_id for site_id in sites if site_id in scope.site_ids]
    return [
        {
            "published": utc(each["published_at"]),
            "worker": each["worker"],
            "slice": f"{each['first']} to {each['last']}",
            "groups": each["groups"],
        }
        for each in trail.rounds(letter.stream, letter.seq, sites=sites)
    ]


def _verdict(scope: Scope, letter: DeadLetter) -> dict[str, Any] | None:
    """Tell what a replay of it alone would do now."""
    try:
        plan = replay.plan(scope.choice(event_ids=[letter.event_id]))
    except ReplayError:
        return None
    for each in plan.sample:
        return {"ready": each.verdict == READY, "kind": each.verdict, "why": plain(each.why)}
    return None


def _resolved(
    request: HttpRequest, site: AdminSite, scope: Scope, letter: DeadLetter
) -> dict[str, Any]:
    """Tell who ended it, as far as that is of the user's scope."""
    if letter.replay_id is None:
        return {}
    found = scope.replays().filter(pk=letter.replay_id).first()
    if found is None:
        return {"resolved_by": "the provider"}
    return {
        "resolved_by": names([found.actor], scope)[found.actor],
        "resolved_in": found,
        "resolved_url": reverse("admin:outbox_replay_change", args=[found.pk]),
    }
