"""A ticket as it is read: one shape for the list, the single ticket and the snapshot."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from django.db.models import F, QuerySet
from rest_framework import serializers

from apps.helpdesk.models import Ticket
from apps.helpdesk.status import Priority, Status

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


def values(tickets: QuerySet[Ticket]) -> QuerySet[Ticket, dict[str, Any]]:
    """Return the columns of a row, with the joined names, in one query."""
    found: QuerySet[Ticket, dict[str, Any]] = tickets.values(
        *PLAIN,
        "created_at",
        "updated_at",
        site_name=F("site__name"),
        first_name=F("assigned_to__first_name"),
        last_name=F("assigned_to__last_name"),
        username=F("assigned_to__username"),
    )
    return found


def row(found: dict[str, Any]) -> dict[str, Any]:
    """Return the row of one of ``values()``. Names and times read as in the events."""
    plain = {name: found[name] for name in PLAIN}
    full_name = f"{found['first_name'] or ''} {found['last_name'] or ''}".strip()
    return plain | {
        "site_name": found["site_name"],
        "assigned_to": full_name or found["username"],
        "created_at": utc(found["created_at"]),
        "updated_at": utc(found["updated_at"]),
    }


def rows(tickets: QuerySet[Ticket]) -> Iterator[dict[str, Any]]:
    return map(row, values(tickets).iterator())


def utc(moment: datetime) -> str:
    """Return the time with microseconds and a Z, as the triggers write it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
