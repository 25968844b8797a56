"""One action on many tickets: each by itself, so that none keeps the others back."""

from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

from django.contrib.auth.models import User
from django.db import connection
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.helpdesk import actions
from apps.helpdesk.api import checked, member, visible
from apps.helpdesk.conflicts import do
from apps.helpdesk.rows import FullTicketRow, row, values
from apps.helpdesk.status import Priority, Status
from apps.tenancy.http.bodies import Id, Known, Whole
from apps.tenancy.http.problems import Problem, members, not_found
from apps.tenancy.http.scoped import ScopedView

MOST = 200
BIGGEST_VERSION = 2**31 - 1
WITHIN_SECONDS = 20.0  # tickets that others hold may take lock_timeout each
# In one transaction each ticket that was changed is held until the end, and colleagues wait for it.
HOLDING_SECONDS = 5.0
WAIT_SHORTLY = "SET LOCAL lock_timeout = '500ms'"

Act = Callable[..., object]
# What each action needs besides the tickets; None: it needs nothing.
NEEDS: Mapping[str, str | None] = {
    "acknowledge": None,
    "unacknowledge": None,
    "status": "status",
    "assign": "assigned_to_id",
    "priority": "priority",
    "comment": "text",
}


class BulkItem(Known):
    id = Id()
    version = Whole(min_value=1, max_value=BIGGEST_VERSION, required=False)


class Bulk(Known):
    action = serializers.ChoiceField(choices=list(NEEDS))
    tickets = serializers.ListField(child=BulkItem(), min_length=1, max_length=MOST)
    status = serializers.ChoiceField(Status.choices, required=False)
    note = serializers.CharField(max_length=2_000, required=False, allow_blank=True)
    assigned_to_id = Id(required=False, allow_null=True)
    priority = serializers.ChoiceField(Priority.choices, required=False)
    text = serializers.CharField(max_length=2_000, required=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        needed = NEEDS[attrs["action"]]
        if needed is not None and needed not in attrs:
            raise serializers.ValidationError({needed: f"{attrs['action']} needs it"})
        return attrs

    def validate_tickets(self, items: list[dict[str, Any]]) -> list[dict[str, Any]]:
        ids = [item["id"] for item in items]
        if twice := sorted({id_ for id_ in ids if ids.count(id_) > 1}):
            raise serializers.ValidationError(f"{twice[0]} is there twice: name each ticket once.")
        return items


class BulkResult(serializers.Serializer[dict[str, Any]]):
    id = serializers.IntegerField()
    status = serializers.IntegerField(help_text="200, or the status of the problem")
    ticket = FullTicketRow(required=False)
    problem = serializers.DictField(required=False)


class BulkAnswer(serializers.Serializer[dict[str, Any]]):
    """The shape, for the OpenAPI document."""

    changed = serializers.IntegerField(help_text="that were answered with 200")
    failed = serializers.IntegerField()
    results = BulkResult(many=True)


class BulkView(ScopedView):
    """
    Do one thing to up to 200 tickets, each judged by itself: what is refused undoes no other.

    The answer is 200 also when some or all are refused; the results are in the order asked. A
    ticket that somebody holds is waited for, and none is begun after 20 s: 409. With an
    Idempotency-Key, all that is done is committed together at the end, so that it waits half a
    second for each, and begins none after 5 s.
    """

    @extend_schema(request=Bulk, responses=BulkAnswer)
    def post(self, request: Request) -> Response:
        given = checked(Bulk, request)
        act = self._action(given)
        ids = [item["id"] for item in given["tickets"]]
        in_scope = set(visible(self.access).filter(pk__in=ids).values_list("pk", flat=True))
        refused: dict[int, Problem] = {}
        deadline = monotonic() + _seconds()
        for item in sorted(given["tickets"], key=lambda item: item["id"]):  # as all lock them
            try:
                if item["id"] not in in_scope:
                    raise not_found(f"ticket {item['id']}")
                if monotonic() > deadline:
                    raise Problem(409, "Others took too long, and this was not begun: try again.")
                do(
                    act,
                    item["id"],
                    access=self.access,
                    caller=self.caller,
                    expected_version=item.get("version"),
                )
            except Problem as problem:
                refused[item["id"]] = problem
        changed = values(visible(self.access).filter(pk__in=ids), acknowledgement=True)
        rows = {found["id"]: row(found) for found in changed if found["id"] not in refused}
        results = [_result(id_, refused.get(id_), rows) for id_ in ids]
        failed = sum(result["status"] != 200 for result in results)
        return Response({"changed": len(results) - failed, "failed": failed, "results": results})

    def _action(self, given: Mapping[str, Any]) -> Act:
        """Return the action with what it needs, checked once for all tickets."""
        match given["action"]:
            case "acknowledge":
                return actions.acknowledge
            case "unacknowledge":
                return actions.unacknowledge
            case "status":
                to, note = given["status"], given.get("note", "")
                return lambda **of: actions.change_status(to=to, note=note, **of)
            case "assign":
                user: User | None = member(self.access, given["assigned_to_id"])
                return lambda **of: actions.edit_ticket(assigned_to=user, **of)
            case "priority":
                return lambda **of: actions.edit_ticket(priority=given["priority"], **of)
        return lambda **of: actions.comment(text=given["text"], **of)


def _seconds() -> float:
    """Return how long the tickets may take; in a transaction around them, wait for each shortly."""
    if not connection.in_atomic_block:
        return WITHIN_SECONDS
    with connection.cursor() as cursor:
        cursor.execute(WAIT_SHORTLY)
    return HOLDING_SECONDS


def _result(
    id_: int, problem: Problem | None, rows: Mapping[int, dict[str, Any]]
) -> dict[str, Any]:
    if problem is None and id_ not in rows:  # it has just left the scope, or was deleted
        problem = not_found(f"ticket {id_}")
    if problem is None:
        return {"id": id_, "status": 200, "ticket": rows[id_]}
    told = members(problem.status_code, str(problem.detail), **problem.members)
    return {"id": id_, "status": problem.status_code, "problem": told}
