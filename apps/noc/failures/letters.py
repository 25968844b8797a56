"""Dead letters by the filter of a replay, so that a list shows just what a replay would take."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Min, QuerySet, Value
from django.db.models.functions import Lower, StrIndex

from outbox.models import DeadLetter
from outbox.replay import Choice

MOST = 10_000  # of the newest that are grouped and counted


def dead_letters(choice: Choice, *, state: str | None) -> QuerySet[DeadLetter]:
    """
    Return those that ``choice`` means, in ``state`` or in any: ``CHOOSE_DEAD`` of outbox/sql.py as
    a queryset. Payloads and contexts are deferred, for they may be large.
    """
    found = DeadLetter.objects.defer("payload", "context")
    equal = {
        "state": state,
        "stream": choice.stream,
        "subject": choice.subject,
        "fingerprint": choice.fingerprint,
        "type__in": choice.types,
        "reason__in": choice.reasons,
        "event_id__in": choice.event_ids,
        "payload__site_id__in": choice.site_ids,
        "died_at__gte": choice.since,
        "died_at__lt": choice.until,
        "seq__gte": choice.first_seq,
        "seq__lte": choice.last_seq,
    }
    found = found.filter(**{name: value for name, value in equal.items() if value is not None})
    if choice.text is not None:
        place = StrIndex(Lower("error"), Lower(Value(choice.text)))
        found = found.alias(place=place).filter(place__gt=0)
    return found


@dataclass(frozen=True)
class Cause:
    """Dead letters with one fingerprint; ``example`` is the newest of them."""

    fingerprint: str
    count: int
    first: datetime
    last: datetime
    example: DeadLetter


def causes(dead: QuerySet[DeadLetter]) -> tuple[list[Cause], bool]:
    """Group the newest of ``dead`` by fingerprint, most first; tell also whether there are more."""
    newest = list(dead.order_by("-id").values_list("id", flat=True)[: MOST + 1])
    groups = (
        DeadLetter.objects.filter(id__in=newest[:MOST])
        .values("fingerprint")
        .annotate(count=Count("id"), first=Min("died_at"), last=Max("died_at"), newest=Max("id"))
        .order_by("-count", "-newest")
    )
    found = list(groups)
    examples = DeadLetter.objects.defer("payload", "context").in_bulk([g["newest"] for g in found])
    listed = [
        Cause(g["fingerprint"], g["count"], g["first"], g["last"], examples[g["newest"]])
        for g in found
    ]
    return listed, len(newest) > MOST
