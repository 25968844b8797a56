"""Who may see and do what: computed from the database each time, never kept in a session."""

from dataclasses import dataclass, replace
from enum import StrEnum
from hashlib import sha256

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Q

from apps.tenancy.models import Capability, Membership

AnyUser = AbstractBaseUser | AnonymousUser


@dataclass(frozen=True, kw_only=True)
class Access:
    """What one user may do in the one tenant that they belong to."""

    user_id: int
    tenant_id: int
    capabilities: frozenset[str]
    sites: frozenset[int] | None  # None: every site of the tenant, also those added later

    @property
    def scope(self) -> str:
        """What is seen, as 16 hexadecimal digits: others for another tenant or other sites."""
        sites = "all" if self.sites is None else ",".join(map(str, sorted(self.sites)))
        return sha256(f"{self.tenant_id}:{sites}".encode()).hexdigest()[:16]

    def may(self, capability: str) -> bool:
        return capability in self.capabilities

    def only(self, capability: str) -> "Access":
        """Return the same access with no other capability than this, if it has this."""
        return replace(self, capabilities=self.capabilities & {capability})

    def sees(self, site_id: int | None) -> bool:
        """Tell whether the site is in scope; what has no site is seen by who sees all of them."""
        return self.sites is None or site_id in self.sites

    def within(self, *, tenant: str = "tenant_id", site: str = "site_id") -> Q:
        """Return the filter for rows in scope, given the names of the two columns that say so."""
        rows = Q(**{tenant: self.tenant_id})
        if self.sites is not None:
            rows &= Q(**{f"{site}__in": sorted(self.sites)})
        return rows


class Refusal(StrEnum):
    """Why a user has no access, or not to the feed."""

    ANONYMOUS = "anonymous"
    INACTIVE = "inactive"
    NO_MEMBERSHIP = "no_membership"
    TENANT_SUSPENDED = "tenant_suspended"
    NO_NOC_VIEW = "no_noc_view"


def access_of(user: AnyUser) -> Access | None:
    """Return what ``user`` may do; None when anonymous, inactive, suspended or of no tenant."""
    if user.pk is None:
        return None
    found = (
        Membership.objects.filter(
            user_id=user.pk, user__is_active=True, tenant__suspended_at__isnull=True
        )
        .annotate(site_ids=ArrayAgg("sites", filter=Q(sites__isnull=False), default=[]))
        .values_list("tenant_id", "capabilities", "all_sites", "site_ids")
        .first()
    )
    if found is None:
        return None
    tenant_id, capabilities, all_sites, site_ids = found
    return Access(
        user_id=user.pk,
        tenant_id=tenant_id,
        capabilities=frozenset(capabilities),
        sites=None if all_sites else frozenset(site_ids),
    )


def refusal_of(user: AnyUser) -> Refusal | None:
    """Return why ``user`` may not watch the feed; None when they may."""
    access = access_of(user)
    if access is not None:
        return None if access.may(Capability.NOC_VIEW) else Refusal.NO_NOC_VIEW
    if user.pk is None:
        return Refusal.ANONYMOUS
    membership = Membership.objects.filter(user_id=user.pk).select_related("user", "tenant").first()
    if membership is None:
        return Refusal.NO_MEMBERSHIP if user.is_active else Refusal.INACTIVE
    return Refusal.TENANT_SUSPENDED if membership.user.is_active else Refusal.INACTIVE
