"""A ticket as it is read: one shape for the list, the single ticket and the snapshot."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.db.models import F, QuerySet
from rest_framework import serializers

from apps.helpdesk.models import Ticket
from apps.helpdesk.status import Priority, Status

NAMES = ("first_name", "last_name", "username")
PLAIN = ("id", "ticket_no", "status", "priority", "site_id", "description", "version")


class TicketRow(serializers.Serializer[dict[str, Any]]):
    """The shape, for the OpenAPI document."""

    id = serializers.IntegerField()
    ticket_no = serializers.CharField()
    status = serializers.ChoiceField(Status.choices)
    priority = serializers.ChoiceField(Priority.choices)
    site_id = serializers.IntegerField()
    site_name = serializers.CharField()
    assigned_to = serializers.CharField(allow_null=True, help_text="display name")
    description = serializers.CharField()
    version = serializers.IntegerField()
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


class FullTicketRow(TicketRow):
    """The shape with ``?include=acknowledgement``; reads without it lack these."""

    acknowledged_by = serializers.CharField(
        allow_null=True, required=False, help_text="display name"
    )
    acknowledged_at = serializers.DateTimeField(
        allow_null=True, required=False, help_text="null: it is not"
    )
    assigned_to_id = serializers.IntegerField(allow_null=True, required=False)


def values(
    tickets: QuerySet[Ticket], *, acknowledgement: bool = False
) -> QuerySet[Ticket, dict[str, Any]]:
    """Return the columns of a row, with the joined names, in one query."""
    found: QuerySet[Ticket, dict[str, Any]] = tickets.values(
        *PLAIN,
        "created_at",
        "updated_at",
        *(["assigned_to_id"] if acknowledgement else []),
        site_name=F("site__name"),
        **_name_of("assigned_to", "assigned"),
        **(ACKNOWLEDGED if acknowledgement else {}),
    )
    return found


def row(found: dict[str, Any]) -> dict[str, Any]:
    """Return the row of one of ``values()``. Names and times read as in the events."""
    made = {name: found[name] for name in PLAIN} | {
        "site_name": found["site_name"],
        "assigned_to": _name(found, "assigned"),
        "created_at": utc(found["created_at"]),
        "updated_at": utc(found["updated_at"]),
    }
    if "acknowledged_at" not in found:
        return made
    at = found["acknowledged_at"]
    return made | {
        "acknowledged_by": _name(found, "acknowledged"),
        "acknowledged_at": None if at is None else utc(at),
        "assigned_to_id": found["assigned_to_id"],
    }


def rows(tickets: QuerySet[Ticket], *, acknowledgement: bool = False) -> Iterator[dict[str, Any]]:
    return map(row, values(tickets, acknowledgement=acknowledgement).iterator())


def utc(moment: datetime) -> str:
    """Return the time with microseconds and a Z, as the triggers write it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _name_of(user: str, prefix: str) -> dict[str, F]:
    return {f"{prefix}_{name}": F(f"{user}__{name}") for name in NAMES}


def _name(found: dict[str, Any], prefix: str) -> str | None:
    first, last, username = (found[f"{prefix}_{name}"] for name in NAMES)
    return f"{first or ''} {last or ''}".strip() or username


ACKNOWLEDGED = {
    "acknowledged_at": F("acknowledgement__acknowledged_at"),
    **_name_of("acknowledgement__acknowledged_by", "acknowledged"),
}
