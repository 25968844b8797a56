"""
Which dead letters and replays a user may see and replay: their tenant's, and of their sites only.

Everything of this package reads through a :class:`Scope`; nothing is left to the client.
"""

from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest

from apps.noc.failures.letters import dead_letters
from apps.tenancy.access import Access
from apps.tenancy.scoped_admin import access_to_admin, is_superuser
from apps.tenancy.streams import stream_of
from outbox.models import DeadLetter, Replay
from outbox.replay import Choice

MAY_REPLAY = "outbox.replay_event"


@dataclass(frozen=True, kw_only=True)
class Scope:
    """None does not narrow: superusers see every stream, members of all sites every site."""

    stream: str | None
    site_ids: tuple[int, ...] | None

    def choice(
        self, *, stream: str | None = None, site_id: int | None = None, **filters: Any
    ) -> Choice:
        """
        Return the choice that ``filters`` mean within this scope.

        ``stream`` and ``site_id`` are what the user asks for; what lies outside matches nothing.
        """
        sites = self.site_ids
        if site_id is not None:
            sites = (site_id,) if sites is None or site_id in sites else ()
        if self.stream is not None:
            stream = self.stream
        return Choice(stream=stream, site_ids=sites, **filters)

    def dead_letters(self) -> QuerySet[DeadLetter]:
        """Return those in scope, in any state, without their payloads, which may be large."""
        return dead_letters(self.choice(), state=None)

    def replays(self) -> QuerySet[Replay]:
        """Return those that were asked for within this scope."""
        found = Replay.objects.all()
        if self.stream is not None:
            found = found.filter(stream=self.stream)
        if self.site_ids is not None:
            found = found.filter(filters__site_ids__contained_by=list(self.site_ids))
        return found


EVERYTHING = Scope(stream=None, site_ids=None)
NOTHING = Scope(stream="", site_ids=())


def scope_of(access: Access | None) -> Scope:
    if access is None:
        return NOTHING
    sites = None if access.sites is None else tuple(sorted(access.sites))
    return Scope(stream=stream_of(access.tenant_id), site_ids=sites)


def admin_scope(request: HttpRequest) -> Scope:
    """Return what the user of an admin page may see."""
    return EVERYTHING if is_superuser(request) else scope_of(access_to_admin(request))
