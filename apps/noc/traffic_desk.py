"""The people of the demo tenants at work: does a deed to a ticket, as one who may."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib.auth.models import User

from apps.helpdesk import actions
from apps.helpdesk.errors import HelpdeskError
from apps.helpdesk.models import Ticket
from apps.helpdesk.status import OPEN, Status
from apps.noc import traffic, traffic_words
from apps.noc.models import Anomaly, Finding, Severity
from apps.noc.traffic import MANY, Deed, Move, Other, next_deed, pick
from apps.noc.traffic_words import fill
from apps.tenancy.models import Capability, Membership, Site, Tenant
from outbox import context

ACTOR = "demo:traffic"


@dataclass(frozen=True)
class Place:
    """A site and the users who may write tickets there."""

    site: Site
    staff: tuple[User, ...]


class NobodyThere(Exception):
    """There is no site to make traffic in: run `seed_demo` first, or name other tenants."""


class Desk:
    """
    Works on the newest open tickets of some tenants, and on those that it creates.

    Tickets that people have changed meanwhile are left to them.
    """

    def __init__(self, slugs: Sequence[str], dice: random.Random) -> None:
        self.dice = dice
        self.places = {place.site.pk: place for place in _places(slugs)}
        if not self.places:
            raise NobodyThere(str(NobodyThere.__doc__))
        self.open: dict[Status, list[int]] = {status: [] for status in OPEN}
        self._site_of: dict[int, int] = {}
        # Half of the bound, so that there is room for new ones.
        newest = Ticket.objects.filter(site__in=self.places, status__in=OPEN).order_by("-pk")
        for pk, status, site_id in newest.values_list("pk", "status", "site_id")[: MANY // 2]:
            self._take(pk, Status(status), site_id)

    @property
    def size(self) -> int:
        """How many open tickets it works on."""
        return len(self._site_of)

    def work(self) -> Deed | None:
        """Do one deed and return it; None when somebody else had changed the ticket."""
        deed = next_deed(self.open, self.dice)
        with context(actor=ACTOR):
            if isinstance(deed, Move):
                return deed if self._move(deed) else None
            if deed is Other.CREATE:
                self._create()
            elif deed in (Other.FINDING, Other.ANOMALY):
                self._sight(deed)
            elif not self._edit(deed):
                return None
        return deed

    # --- tickets ---------------------------------------------------------------------------------
    def _create(self) -> None:
        place = self.dice.choice(list(self.places.values()))
        status = pick(traffic.FIRST_STATUS, self.dice)
        ticket = actions.create_ticket(
            site=place.site,
            description=fill(self.dice.choice(traffic_words.DESCRIPTIONS), self.dice),
            priority=pick(traffic.PRIORITY, self.dice),
            status=status,
            reason=self.dice.choice(traffic_words.AWAITED),
            actor=self._somebody(place),
        )
        self._take(ticket.pk, status, place.site.pk)

    def _move(self, move: Move) -> bool:
        ticket_id = self.dice.choice(self.open[move.present])
        place = self._drop(ticket_id, move.present)
        words = {Status.ON_HOLD: traffic_words.AWAITED, Status.RESOLVED: traffic_words.SOLUTIONS}
        note = self.dice.choice(words[move.to]) if move.to in words else ""
        try:
            actions.change_status(
                ticket_id=ticket_id, to=move.to, note=note, actor=self._somebody(place)
            )
        except HelpdeskError:
            return False
        if move.to in OPEN:
            self._take(ticket_id, move.to, place.site.pk)
        return True

    def _edit(self, deed: Other) -> bool:
        counts = {status: len(found) for status, found in self.open.items()}
        # A new one is what waits for somebody to see it.
        status = Status.NEW if deed is Other.ACKNOWLEDGE else pick(counts, self.dice)
        ticket_id = self.dice.choice(self.open[status])
        place = self.places[self._site_of[ticket_id]]
        actor = self._somebody(place)
        try:
            if deed is Other.ASSIGN:
                assignee = self._somebody(place)
                actions.edit_ticket(ticket_id=ticket_id, assigned_to=assignee, actor=actor)
            elif deed is Other.PRIORITY:
                priority = pick(traffic.PRIORITY, self.dice)
                actions.edit_ticket(ticket_id=ticket_id, priority=priority, actor=actor)
            elif deed is Other.ACKNOWLEDGE:
                actions.acknowledge(ticket_id=ticket_id, actor=actor)
            elif deed is Other.COMMENT:
                remark = self.dice.choice(traffic_words.COMMENTS)
                actions.comment(ticket_id=ticket_id, text=remark, actor=actor)
            else:
                text = Ticket.objects.values_list("description", flat=True).get(pk=ticket_id)
                update = self.dice.choice(traffic_words.UPDATES)
                first_line = text.partition("\n")[0]
                actions.edit_ticket(
                    ticket_id=ticket_id, description=f"{first_line}\n{update}", actor=actor
                )
        except (HelpdeskError, Ticket.DoesNotExist):
            self._drop(ticket_id, status)
            return False
        return True

    # --- findings and anomalies ------------------------------------------------------------------
    def _sight(self, deed: Other) -> None:
        site = self.dice.choice(list(self.places.values())).site
        severity = self.dice.choice(Severity.values)
        if deed is Other.FINDING:
            title = fill(self.dice.choice(traffic_words.FINDINGS), self.dice)
            Finding(tenant_id=site.tenant_id, site=site, severity=severity, title=title).save()
            return
        metric, expected, spread = self.dice.choice(traffic_words.METRICS)
        observed = round(expected + self.dice.uniform(0.3, 1.0) * spread, 1)
        Anomaly(
            tenant_id=site.tenant_id,
            site=site,
            severity=severity,
            metric=metric,
            observed=observed,
            expected=expected,
        ).save()

    # --- who and what ----------------------------------------------------------------------------
    def _somebody(self, place: Place) -> User | None:
        return self.dice.choice(place.staff) if place.staff else None

    def _take(self, ticket_id: int, status: Status, site_id: int) -> None:
        self.open[status].append(ticket_id)
        self._site_of[ticket_id] = site_id

    def _drop(self, ticket_id: int, status: Status) -> Place:
        self.open[status].remove(ticket_id)
        return self.places[self._site_of.pop(ticket_id)]


def _places(slugs: Sequence[str]) -> list[Place]:
    """Return the sites where somebody may write tickets; all of them if nobody may anywhere."""
    tenants = Tenant.objects.filter(suspended_at=None)
    if slugs:
        tenants = tenants.filter(slug__in=slugs)
    members = [
        (member, {site.pk for site in member.sites.all()})
        for member in Membership.objects.filter(
            tenant__in=tenants,
            user__is_active=True,
            capabilities__contains=[Capability.TICKET_WRITE],
        )
        .select_related("user")
        .prefetch_related("sites")
        .order_by("pk")
    ]
    places = [
        Place(
            site,
            tuple(
                member.user
                for member, scope in members
                if member.tenant_id == site.tenant_id and (member.all_sites or site.pk in scope)
            ),
        )
        for site in Site.objects.filter(tenant__in=tenants).order_by("pk")
    ]
    return [place for place in places if place.staff] or places
