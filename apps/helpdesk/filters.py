"""Which tickets: one filter for the list, the counts and the page's address."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.db.models import BooleanField, CharField, F, Func, Q, QuerySet, TextField, Value
from django.db.models.functions import Coalesce, Concat, Left, Lower, NullIf, Trim
from rest_framework import serializers

from apps.helpdesk.events import DESCRIPTION_CHARACTERS
from apps.helpdesk.models import Ticket
from apps.helpdesk.status import Priority, Status
from apps.tenancy.http.bodies import Id, Known

NOBODY = "-"
COLUMNS = {"status": "status", "priority": "priority", "site": "site_id"}

# As the events and the rows show it.
ASSIGNEE = Coalesce(
    NullIf(
        Trim(Concat("assigned_to__first_name", Value(" "), "assigned_to__last_name")), Value("")
    ),
    "assigned_to__username",
    output_field=CharField(),
)
_WILD = re.compile(r"[\\%_]")  # what LIKE does not take for itself
UNACKNOWLEDGED = Q(status=Status.NEW, acknowledgement__ticket=None)


class LikeAll(Func):
    """Tell whether a text has all patterns; it is made once per row, however many they are."""

    template = "%(expressions)s)"
    arg_joiner = " LIKE ALL ("
    output_field = BooleanField()


class TicketFilter(Known):
    """What is left out does not narrow; what is given several times takes any of them."""

    status = serializers.MultipleChoiceField(choices=Status.choices, required=False)
    priority = serializers.MultipleChoiceField(choices=Priority.choices, required=False)
    site = serializers.ListField(child=Id(), required=False, help_text="site ids")
    assignee = serializers.ListField(
        child=serializers.CharField(max_length=310),
        required=False,
        help_text=f"display names; {NOBODY} is nobody",
    )
    acknowledged = serializers.ChoiceField(
        choices=["true", "false"], required=False, help_text="false: new, and seen by nobody"
    )
    q = serializers.CharField(
        max_length=200,
        required=False,
        allow_blank=True,
        help_text="Words that all occur in the number, the site's name, the first 200 characters"
        " of the description or the assignee.",
    )


def filtered(tickets: QuerySet[Ticket], given: Mapping[str, Any]) -> QuerySet[Ticket]:
    """Return those of ``tickets`` that a checked ``TicketFilter`` means."""
    for name, column in COLUMNS.items():
        if given.get(name):
            tickets = tickets.filter(**{f"{column}__in": sorted(given[name])})
    if "acknowledged" in given:
        wanted = UNACKNOWLEDGED if given["acknowledged"] == "false" else ~UNACKNOWLEDGED
        tickets = tickets.filter(wanted)
    return described(tickets, given)


def described(tickets: QuerySet[Ticket], given: Mapping[str, Any]) -> QuerySet[Ticket]:
    """Apply ``assignee`` and ``q``, which need more than the columns that are counted by."""
    if names := given.get("assignee"):
        wanted = Q(shown_assignee__in=[name for name in names if name != NOBODY])
        if NOBODY in names:
            wanted |= Q(assigned_to=None)
        tickets = tickets.alias(shown_assignee=ASSIGNEE).filter(wanted)
    if words := given.get("q", "").split():
        text = Concat(
            "ticket_no", Value(" "), F("site__name"), Value(" "),
            Left("description", DESCRIPTION_CHARACTERS), Value(" "), ASSIGNEE,
        )  # fmt: skip
        tickets = tickets.filter(has_all(text, words))
    return tickets


def has_all(text: Any, words: Sequence[str]) -> LikeAll:
    """Return the condition that an expression has all words, in whatever case."""
    patterns = ["%" + _WILD.sub(r"\\\g<0>", word.lower()) + "%" for word in words]
    return LikeAll(Lower(text), Value(patterns, ArrayField(TextField())))
