"""Which site, and so which tenant, a location is."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping

from django.db import connection, transaction

from apps.helpdesk.incidents.models import ImportedLocation
from apps.tenancy.models import CANARY_SLUG, Site, Tenant

LOCK = int.from_bytes(b"places", "big")  # two imports at once decide one after the other
CODE_CHARACTERS = 24


@transaction.atomic
def sites_of(rows_of: Mapping[str, int], *, tenants: int) -> dict[str, Site]:
    """
    Return the site of each location, after making those that are new.

    New locations, the busiest first, go to the tenant with the fewest rows so far, so that the
    tenants are about equally busy; a known location stays where it is. The tenants are the first
    ``tenants`` that are not suspended, and new ones when there are not enough.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    known = {
        found.location: found.site
        for found in ImportedLocation.objects.filter(location__in=rows_of).select_related(
            "site__tenant"
        )
    }
    new = sorted(rows_of.keys() - known.keys(), key=lambda name: (-rows_of[name], name))
    if not new:
        return known
    chosen = _tenants(tenants)
    busy = Counter({tenant.pk: 0 for tenant in chosen})
    for name, site in known.items():
        if site.tenant_id in busy:
            busy[site.tenant_id] += rows_of[name]
    codes = set(Site.objects.filter(tenant__in=chosen).values_list("tenant_id", "code"))
    for name in new:
        tenant = min(chosen, key=lambda tenant: (busy[tenant.pk], tenant.pk))
        busy[tenant.pk] += rows_of[name]
        known[name] = Site(tenant=tenant, code=_free_code(name, tenant.pk, codes), name=name)
    Site.objects.bulk_create([known[name] for name in new])
    ImportedLocation.objects.bulk_create(
        [ImportedLocation(location=name, site=known[name]) for name in new]
    )
    return known


def _tenants(count: int) -> list[Tenant]:
    """Return the first ``count`` active tenants, making ``Incidents 1`` and so on as needed."""
    customers = Tenant.objects.filter(suspended_at=None).exclude(slug=CANARY_SLUG)
    chosen = list(customers.order_by("pk")[:count])
    slugs = set(Tenant.objects.filter(slug__startswith="incidents-").values_list("slug", flat=True))
    number = 0
    while len(chosen) < count:
        number += 1
        if f"incidents-{number}" not in slugs:
            chosen.append(
                Tenant.objects.create(name=f"Incidents {number}", slug=f"incidents-{number}")
            )
    return chosen


def _free_code(location: str, tenant_id: int, taken: set[tuple[int, str]]) -> str:
    """Return ``LOC143`` for ``Location 143``; else the name in capitals, numbered if need be."""
    ascii_letters = unicodedata.normalize("NFKD", location).encode("ascii", "ignore").decode()
    words = re.sub(r"[^A-Z0-9]+", "-", ascii_letters.upper()).strip("-")
    base = re.sub(r"^LOCATION-(?=[0-9]+$)", "LOC", words)[:CODE_CHARACTERS] or "LOC"
    code, number = base, 1
    while (tenant_id, code) in taken:
        number += 1
        code = f"{base}-{number}"
    taken.add((tenant_id, code))
    return code
