"""Who may watch the feed now, for one user or for all sockets of a process, in one query."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Q

from apps.tenancy.models import Capability, Membership


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """A user who may watch the feed, with the scope of their membership."""

    user: User
    tenant_id: int
    sites: frozenset[int] | None  # None: every site of the tenant
    scope_seq: int | None
    scope_changed_at: datetime | None


def viewers(user_ids: Collection[int]) -> dict[int, Viewer]:
    """
    Return, by user id, those who may watch.

    Who is missing is inactive or deleted, belongs to no tenant or to a suspended one, or lacks
    ``noc:view``.
    """
    members = (
        Membership.objects.filter(
            user_id__in=user_ids,
            user__is_active=True,
            tenant__suspended_at__isnull=True,
            capabilities__contains=[Capability.NOC_VIEW],
        )
        .select_related("user")
        .annotate(site_ids=ArrayAgg("sites", filter=Q(sites__isnull=False), default=[]))
    )
    return {
        member.user_id: Viewer(
            user=member.user,
            tenant_id=member.tenant_id,
            sites=None if member.all_sites else frozenset(member.site_ids),
            scope_seq=member.scope_seq,
            scope_changed_at=member.scope_changed_at,
        )
        for member in members
    }
