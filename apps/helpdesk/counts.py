"""How many tickets are open, by what a board is narrowed by: one statement for all of it."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import BooleanField, Count, ExpressionWrapper, F, QuerySet

from apps.helpdesk.filters import UNACKNOWLEDGED, described
from apps.helpdesk.models import Ticket
from apps.helpdesk.status import OPEN, Priority


@contextmanager
def one_moment() -> Iterator[None]:
    """Let all reads inside see the database as it is at the first of them."""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        yield


class Group(NamedTuple):
    """So many tickets that are alike in everything that is counted by."""

    site: int
    site_name: str
    status: str
    priority: str
    unacknowledged: bool
    number: int


def counts(tickets: QuerySet[Ticket], given: Mapping[str, Any]) -> dict[str, Any]:
    """
    Count the open ones of ``tickets`` that a checked ``TicketFilter`` means.

    A facet leaves out its own part of the filter, so that it tells what another choice would give.
    Statuses and priorities are all there; of the sites those that have a ticket to count.
    """
    groups = _groups(described(tickets, given))

    def matching(*without: str) -> list[Group]:
        tests = [test for name, test in _tests(given).items() if name not in without]
        return [group for group in groups if all(test(group) for test in tests)]

    return {
        "total": _sum(matching()),
        "unacknowledged": _sum(g for g in matching("acknowledged") if g.unacknowledged),
        "by_status": _by("status", OPEN, matching("status")),
        "by_priority": _by("priority", Priority.values, matching("priority")),
        "by_site": _by_site(matching("site"), matching("site", "acknowledged")),
    }


def _groups(tickets: QuerySet[Ticket]) -> list[Group]:
    """Return at most 32 groups per site, whatever the number of tickets."""
    unseen = ExpressionWrapper(UNACKNOWLEDGED, output_field=BooleanField())
    found = (
        tickets.filter(status__in=OPEN)
        .values("site", "status", "priority", site_name=F("site__name"), unacknowledged=unseen)
        .annotate(number=Count("id"))
        .order_by()
    )
    return [Group(**group) for group in found]


def _tests(given: Mapping[str, Any]) -> dict[str, Callable[[Group], bool]]:
    tests: dict[str, Callable[[Group], bool]] = {}
    for name in ("status", "priority", "site"):
        if wanted := given.get(name):
            tests[name] = lambda group, name=name, wanted=wanted: getattr(group, name) in wanted  # type: ignore[misc]
    if "acknowledged" in given:
        unseen = given["acknowledged"] == "false"
        tests["acknowledged"] = lambda group: group.unacknowledged is unseen
    return tests


def _sum(groups: Any) -> int:
    return sum(group.number for group in groups)


def _by(name: str, values: Any, groups: list[Group]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for group in groups:
        found[getattr(group, name)] += group.number
    return {str(value): found[value] for value in values}


def _by_site(groups: list[Group], seen_or_not: list[Group]) -> list[dict[str, Any]]:
    sites = sorted({(group.site_name, group.site) for group in seen_or_not})
    of: dict[int, list[Group]] = {site: [] for _, site in sites}
    unseen: Counter[int] = Counter()
    for group in groups:
        of[group.site].append(group)
    for group in seen_or_not:
        unseen[group.site] += group.number if group.unacknowledged else 0
    return [
        {
            "site_id": site,
            "site_name": name,
            "open": _sum(of[site]),
            "unacknowledged": unseen[site],
            "by_priority": _by("priority", Priority.values, of[site]),
        }
        for name, site in sites
    ]
