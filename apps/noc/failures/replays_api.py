"""Replays over HTTP: a dry run, a confirmation that carries its fingerprint, progress, the end."""

from typing import Any

from drf_spectacular.utils import extend_schema, inline_serializer
from rest_framework import serializers
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.response import Response

from apps.helpdesk.api import checked
from apps.noc.failures import asking
from apps.noc.failures.dead_letters_api import FailuresView, Filter, choice_of
from apps.noc.failures.scope import MAY_REPLAY
from apps.tenancy.http.bodies import BIGGEST_ID, Id, Known, Whole
from apps.tenancy.http.paging import NewestFirst, PageQuery, query
from apps.tenancy.http.problems import Problem, not_found
from outbox import replay
from outbox.errors import ReplayError, StaleSelection, TooManyReplays
from outbox.models import Replay
from outbox.replay import Choice, Plan
from outbox.replay.choice import DEAD_LETTERS, LOG
from outbox.replay.plan import DISCARD, REPLAY
from outbox.replay.progress import progress
from outbox.replay.start import MAX_RATE, RATE, REASON_LENGTH

MOST_IDS = 500


class ReplayFilter(Filter):
    """Of delivered events: a range of seq, or since and until; no reason, fingerprint or text."""

    first_seq = Id(required=False)
    last_seq = Id(required=False)
    event_ids = serializers.ListField(
        child=serializers.UUIDField(), required=False, min_length=1, max_length=MOST_IDS
    )


class NewReplay(Known):
    source = serializers.ChoiceField(  # type: ignore[assignment]
        choices=Replay.Source.choices, default=DEAD_LETTERS
    )
    filter = ReplayFilter(required=False)
    action = serializers.ChoiceField(choices=Replay.Action.choices, default=REPLAY)
    force = serializers.BooleanField(
        default=False, help_text="also what its subject has moved past"
    )
    dry_run = serializers.BooleanField(default=False, help_text="change nothing, answer the plan")
    fingerprint = serializers.CharField(
        required=False, max_length=64, help_text="of the plan; needed unless dry_run"
    )
    reason = serializers.CharField(
        required=False, max_length=REASON_LENGTH, help_text="why; kept; needed unless dry_run"
    )
    rate = Whole(min_value=1, max_value=MAX_RATE, default=RATE, help_text="events per second")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if not attrs["dry_run"]:
            for name, remedy in (
                ("reason", "say why: it is kept"),
                ("fingerprint", "give that of the dry run that you looked at"),
            ):
                if not attrs.get(name):
                    raise serializers.ValidationError({name: remedy})
        if attrs["action"] == DISCARD and attrs["source"] == LOG:
            raise serializers.ValidationError({"action": "only dead letters are discarded"})
        return attrs


class PlanShape(serializers.Serializer[dict[str, Any]]):
    """The shape of a dry run, for the OpenAPI document."""

    total = serializers.IntegerField()
    ready = serializers.IntegerField()
    blocked = serializers.DictField(child=serializers.IntegerField(), help_text="by why")
    sample = serializers.ListField(child=serializers.DictField())
    fingerprint = serializers.CharField()


class ReplayShape(serializers.Serializer[dict[str, Any]]):
    """The shape of a replay, for the OpenAPI document."""

    id = serializers.IntegerField()
    action = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    state = serializers.CharField(help_text="running, done or cancelled")
    total = serializers.IntegerField()
    done = serializers.IntegerField()
    replayed = serializers.IntegerField()
    discarded = serializers.IntegerField()
    already = serializers.IntegerField(help_text="another replay was faster")
    superseded = serializers.IntegerField(help_text="the subject has moved on")
    failed = serializers.IntegerField()
    first_error = serializers.CharField(allow_null=True)
    reason = serializers.CharField()
    actor = serializers.CharField()
    forced = serializers.BooleanField()
    rate = serializers.IntegerField()
    filters = serializers.DictField()
    requested_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)
    cancelled_by = serializers.CharField(allow_null=True)


ReplayPage = inline_serializer(
    "ReplayPage",
    {
        "next": serializers.URLField(allow_null=True),
        "previous": serializers.URLField(allow_null=True),
        "results": ReplayShape(many=True),
    },
)


class ReplaysView(FailuresView):
    """Who replayed what, newest first; and asking for one."""

    @extend_schema(parameters=[PageQuery], responses=ReplayPage)
    def get(self, request: Request) -> Response:
        query(PageQuery, request)
        pages = NewestFirst()
        page = pages.paginate_queryset(self.scope.replays(), request, view=self) or []
        return pages.get_paginated_response([progress(row) for row in page])

    @extend_schema(
        request=NewReplay,
        responses={200: PlanShape, 202: ReplayShape},
    )
    def post(self, request: Request) -> Response:
        """
        Answer 200 with the plan of a dry run, or 202 with the replay that goes on by itself. When
        the set is not that of the fingerprint any more: 409 with the new ``plan``. The same
        confirmation sent again while the replay runs is answered with that replay.
        """
        may_replay(self)
        given = checked(NewReplay, request)
        action, forced = given["action"], given["force"]
        try:
            choice = chosen(self, given)
            if given["dry_run"]:
                return Response(told(replay.plan(choice, action=action, forced=forced)))
            replay_id, _ = asking.ask(
                choice,
                action=action,
                forced=forced,
                reason=given["reason"],
                rate=given["rate"],
                fingerprint=given["fingerprint"],
                user=self.caller,
            )
        except StaleSelection as error:
            plan = replay.plan(choice, action=action, forced=forced)
            raise Problem(409, str(error), plan=told(plan)) from error
        except TooManyReplays as error:
            raise Problem(429, str(error)) from error
        except ReplayError as error:
            raise Problem(400, str(error)) from error
        return Response(progress(Replay.objects.get(pk=replay_id)), status=202)


class ReplayView(FailuresView):
    """How far one replay is."""

    @extend_schema(operation_id="noc_replay_retrieve", responses=ReplayShape)
    def get(self, request: Request, replay_id: int) -> Response:
        return Response(progress(found(self, replay_id)))


class CancelView(FailuresView):
    """Ending a replay; what it has sent stays sent. Of one that is over it changes nothing."""

    @extend_schema(request=None, responses=ReplayShape)
    def post(self, request: Request, replay_id: int) -> Response:
        row = found(self, replay_id)
        may_replay(self)
        asking.end(row.pk, self.caller)
        row.refresh_from_db()
        return Response(progress(row))


def may_replay(view: FailuresView) -> None:
    if not view.caller.has_perm(MAY_REPLAY):
        raise PermissionDenied(f"This needs the permission {MAY_REPLAY}: ask an administrator.")


def found(view: FailuresView, replay_id: int) -> Replay:
    rows = view.scope.replays()
    row = rows.filter(pk=replay_id).first() if replay_id <= BIGGEST_ID else None
    if row is None:
        raise not_found(f"replay {replay_id}")
    return row


def chosen(view: FailuresView, given: dict[str, Any]) -> Choice:
    which = given.get("filter") or {}
    return choice_of(
        view.scope,
        which,
        source=given["source"],
        first_seq=which.get("first_seq"),
        last_seq=which.get("last_seq"),
        event_ids=which.get("event_ids"),
    )


def told(plan: Plan) -> dict[str, Any]:
    return {
        "total": plan.total,
        "ready": plan.ready,
        "blocked": dict(plan.blocked),
        "sample": [each._asdict() for each in plan.sample],
        "fingerprint": plan.fingerprint,
    }
