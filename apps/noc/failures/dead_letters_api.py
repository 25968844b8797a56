"""Dead letters over HTTP: a filtered list, and one with its attempts."""

import json
from typing import Any

from django.db.models import Func, IntegerField, TextField
from django.db.models.functions import Cast, Left
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.noc.failures.letters import dead_letters
from apps.noc.failures.scope import Scope, scope_of
from apps.tenancy.http.bodies import BIGGEST_ID, Id, Known
from apps.tenancy.http.openapi import page_of
from apps.tenancy.http.paging import NewestFirst, PageQuery, query
from apps.tenancy.http.problems import not_found
from apps.tenancy.http.scoped import ScopedView
from apps.tenancy.models import Capability
from outbox.models import Attempt, DeadLetter, Reason
from outbox.replay import Choice

ANY_STATE = "all"
STATES = [*DeadLetter.State.values, ANY_STATE]
MOST_ATTEMPTS = 100
MOST_BYTES = 256 * 1024  # of a payload that is shown


class OctetLength(Func):
    function = "octet_length"
    output_field = IntegerField()


class Filter(Known):
    """Which dead letters; what is left out does not narrow."""

    reason = serializers.ChoiceField(
        choices=Reason.choices, required=False, help_text="what they died of"
    )
    type = serializers.CharField(required=False, max_length=200)
    fingerprint = serializers.CharField(required=False, max_length=64, help_text="of one cause")
    subject = serializers.CharField(required=False, max_length=200, help_text="like ticket:42")
    site = Id(required=False)
    since = serializers.DateTimeField(required=False, help_text="died at this time or later")
    until = serializers.DateTimeField(required=False, help_text="died before this time")
    text = serializers.CharField(required=False, max_length=200, help_text="in the error")


class DeadLettersQuery(Filter, PageQuery):
    state = serializers.ChoiceField(choices=STATES, default=DeadLetter.State.DEAD.value)


class DeadLetterRow(serializers.ModelSerializer[DeadLetter]):
    class Meta:
        model = DeadLetter
        fields = ("id", "event_id", "seq", "epoch", "type", "subject", "reason", "error",
                  "fingerprint", "attempts", "state", "occurred_at", "recorded_at", "died_at",
                  "resolved_at", "replay_id")  # fmt: skip


class AttemptRow(serializers.ModelSerializer[Attempt]):
    class Meta:
        model = Attempt
        fields = ("number", "reason", "started_at", "duration_ms", "worker", "error", "traceback")


class DeadLetterDetail(DeadLetterRow):
    """
    One with the row as it was logged.

    A payload or context is null when it is above 256 KiB, or holds what JSON here cannot carry: a
    number beyond any float, nests that are too deep.
    """

    payload = serializers.SerializerMethodField()
    payload_bytes = serializers.IntegerField()
    context = serializers.SerializerMethodField()  # type: ignore[assignment]
    tries = serializers.SerializerMethodField()

    class Meta:
        model = DeadLetter
        fields = (*DeadLetterRow.Meta.fields, "schema_version", "replay_of", "sink", "payload",
                  "payload_bytes", "context", "tries")  # fmt: skip

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_payload(self, letter: Any) -> Any:
        return carried(letter.payload_text)

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_context(self, letter: Any) -> Any:
        return carried(letter.context_text)

    @extend_schema_field(AttemptRow(many=True))
    def get_tries(self, letter: DeadLetter) -> Any:
        rows = Attempt.objects.filter(event_id=letter.event_id).order_by("-id")[:MOST_ATTEMPTS]
        return AttemptRow(list(reversed(rows)), many=True).data


class FailuresView(ScopedView):
    """What failed is for who runs the tenant, within their sites."""

    needs = {"GET": Capability.TENANT_ADMIN, "POST": Capability.TENANT_ADMIN}

    @property
    def scope(self) -> Scope:
        return scope_of(self.access)


class DeadLettersView(FailuresView):
    """Events that could not be handed over, newest first."""

    @extend_schema(parameters=[DeadLettersQuery], responses=page_of(DeadLetterRow))
    def get(self, request: Request) -> Response:
        given = query(DeadLettersQuery, request)
        state = None if given["state"] == ANY_STATE else given["state"]
        found = dead_letters(choice_of(self.scope, given), state=state)
        pages = NewestFirst()
        page = pages.paginate_queryset(found, request, view=self)
        return pages.get_paginated_response(DeadLetterRow(page, many=True).data)


class DeadLetterView(FailuresView):
    """One dead letter with its row and its attempts, oldest first (``tries``)."""

    @extend_schema(operation_id="noc_dead_letter_retrieve", responses=DeadLetterDetail)
    def get(self, request: Request, letter_id: int) -> Response:
        letter = find(self.scope, letter_id)
        if letter is None:
            raise not_found(f"dead letter {letter_id}")
        return Response(DeadLetterDetail(letter).data)


def find(scope: Scope, letter_id: int) -> DeadLetter | None:
    if letter_id > BIGGEST_ID:
        return None
    text = {name: Cast(name, TextField()) for name in ("payload", "context")}
    return (
        scope.dead_letters()
        .filter(pk=letter_id)
        .annotate(
            payload_bytes=OctetLength(text["payload"]),
            # One more than is shown tells that there is more.
            payload_text=Left(text["payload"], MOST_BYTES + 1),
            context_text=Left(text["context"], MOST_BYTES + 1),
        )
        .first()
    )


def carried(text: str) -> Any:
    """Return the value of a jsonb column's text, None when an answer cannot carry it."""
    if len(text.encode()) > MOST_BYTES:
        return None
    try:
        value = json.loads(text)
        json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        return None
    return value


def choice_of(scope: Scope, given: Any, **more: Any) -> Choice:
    """Return what a filter means within the scope."""
    kind, reason = given.get("type"), given.get("reason")
    return scope.choice(
        site_id=given.get("site"),
        types=[kind] if kind else None,
        reasons=[reason] if reason else None,
        subject=given.get("subject"),
        fingerprint=given.get("fingerprint"),
        text=given.get("text"),
        since=given.get("since"),
        until=given.get("until"),
        **more,
    )
