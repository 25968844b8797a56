"""Three tenants to try the system with: sites, and users with every kind of access. No ticket."""

import base64
import hashlib
import hmac
import json
from argparse import ArgumentParser
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import check_password, make_password
from django.contrib.auth.models import Permission, User
from django.core.management.base import BaseCommand
from django.db import connection, transaction
from knox.crypto import hash_token
from knox.models import AuthToken
from knox.settings import CONSTANTS
from rich.console import Console
from rich.table import Table

from apps.tenancy.models import Capability, Membership, Site, Tenant

TENANTS = {
    "Acme Retail": ("Downtown Office", "Harbour Warehouse", "Airport Branch"),
    "Borealis Energy": ("Control Centre", "Wind Farm North"),
    "Cobalt Hospitals": ("Main Hospital", "City Clinic", "Laboratory"),
}
VIEW, WRITE = Capability.NOC_VIEW, Capability.TICKET_WRITE
LOCK = int.from_bytes(b"seed", "big")  # two runs at once take turns


@dataclass(frozen=True)
class Role:
    """One user per tenant: ``name`` begins the user name."""

    name: str
    first_name: str
    last_name: str
    capabilities: tuple[Capability, ...]
    all_sites: bool = True
    staff: bool = False


ROLES = (
    Role("admin", "Ada", "Admin", tuple(Capability), staff=True),
    Role("operator", "Olga", "Operator", (VIEW, WRITE)),
    Role("siteop", "Sam", "Siteman", (VIEW, WRITE), all_sites=False),
    Role("guest", "Gus", "Guest", ()),
)
# What a tenant's admin may do in the admin site; it shows them their own tenant only.
STAFF_MAY = {
    "tenancy": {"view_tenant", "view_site", "add_site", "change_site", "view_membership",
                "change_membership"},
    "helpdesk": {"view_ticket", "add_ticket", "change_ticket", "delete_ticket", "view_ticketnote"},
    "noc": {"view_finding", "add_finding", "change_finding", "view_anomaly", "add_anomaly",
            "view_feedsession", "view_savedview", "change_savedview", "delete_savedview"},
    "outbox": {"view_deadletter", "view_attempt", "view_replay", "replay_event"},
}  # fmt: skip


class Command(BaseCommand):
    help = "Create the demo tenants, sites and users. Running it again changes nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one line of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        hashes = password_hashes([username(role, name) for name in TENANTS for role in ROLES])
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
            tenants = [seed_tenant(name, sites, hashes) for name, sites in TENANTS.items()]
        if options["json"]:
            self.stdout.write(json.dumps({"tenants": tenants}))
        else:
            Console().print(table(tenants))


def slug(tenant_name: str) -> str:
    return tenant_name.split()[0].lower()


def username(role: Role, tenant_name: str) -> str:
    return f"{role.name}-{slug(tenant_name)}"


def password_hashes(usernames: list[str]) -> dict[str, str]:
    """Return each user's hash: the present one if it fits. In threads, for hashing is slow."""
    present = dict(User.objects.filter(username__in=usernames).values_list("username", "password"))

    def fitting(name: str) -> str:
        password, encoded = derived_password(name), present.get(name, "")
        return encoded if check_password(password, encoded) else make_password(password)

    with ThreadPoolExecutor() as threads:
        return dict(zip(usernames, threads.map(fitting, usernames), strict=True))


def seed_tenant(name: str, site_names: tuple[str, ...], hashes: dict[str, str]) -> dict[str, Any]:
    """Make the tenant, its sites and one user per role; return them as they are printed."""
    tenant, _ = Tenant.objects.get_or_create(slug=slug(name), defaults={"name": name})
    sites = [
        Site.objects.get_or_create(
            tenant=tenant, code=f"SITE{number:03d}", defaults={"name": site_name}
        )[0]
        for number, site_name in enumerate(site_names, start=1)
    ]
    return {
        "id": tenant.pk,
        "name": tenant.name,
        "slug": tenant.slug,
        "sites": [{"id": site.pk, "code": site.code, "name": site.name} for site in sites],
        "users": [
            seed_user(tenant, sites, role, username(role, name), hashes[username(role, name)])
            for role in ROLES
        ],
    }


def seed_user(
    tenant: Tenant, sites: list[Site], role: Role, name: str, password_hash: str
) -> dict[str, Any]:
    """
    Make the user of a role with its password and token.

    Both are derived from the secret key, so that running the command again prints the same, and
    nobody without the key can guess them.
    """
    user, _ = User.objects.update_or_create(
        username=name,
        defaults={"password": password_hash, "is_staff": role.staff, "is_active": True},
        create_defaults={
            "password": password_hash,
            "is_staff": role.staff,
            "first_name": role.first_name,
            "last_name": role.last_name,
        },
    )
    user.user_permissions.set(staff_permissions() if role.staff else [])
    membership, _ = Membership.objects.update_or_create(
        user=user,
        defaults={
            "tenant": tenant,
            "capabilities": list(role.capabilities),
            "all_sites": role.all_sites,
        },
    )
    membership.sites.set([] if role.all_sites else sites[:1])
    token = derived_token(name)
    digest = hash_token(token)
    if not AuthToken.objects.filter(digest=digest).exists():
        key = token[: CONSTANTS.TOKEN_KEY_LENGTH]
        AuthToken(user=user, token_key=key, digest=digest).save(force_insert=True)
    return {
        "username": name,
        "role": role.name,
        "password": derived_password(name),
        "token": token,
        "capabilities": [str(capability) for capability in role.capabilities],
        "sites": "*" if role.all_sites else [sites[0].pk],
    }


def derived_password(username: str) -> str:
    """Return 80 bits as four groups that can be read aloud, like ``k7qm-x2fa-3tbd-w5re``."""
    letters = base64.b32encode(_derive("password", username)).decode().lower()
    return "-".join(letters[start : start + 4] for start in range(0, 16, 4))


def derived_token(username: str) -> str:
    return _derive("token", username).hex()


def _derive(purpose: str, username: str) -> bytes:
    text = f"seed_demo:{purpose}:{username}".encode()
    return hmac.digest(settings.SECRET_KEY.encode(), text, hashlib.sha256)


def staff_permissions() -> list[Permission]:
    return [
        permission
        for app, codenames in STAFF_MAY.items()
        for permission in Permission.objects.filter(
            content_type__app_label=app, codename__in=codenames
        )
    ]


def table(tenants: list[dict[str, Any]]) -> Table:
    """Return the logins as they are shown to a person."""
    shown = Table()
    shown.add_column("User", no_wrap=True)
    shown.add_column("Password", no_wrap=True)
    shown.add_column("Sees")
    for tenant in tenants:
        names = {site["id"]: site["name"] for site in tenant["sites"]}
        for user in tenant["users"]:
            sites = user["sites"]
            sees = "every site" if sites == "*" else ", ".join(names[site] for site in sites)
            shown.add_row(
                user["username"],
                user["password"],
                f"{sees} of {tenant['name']}" if VIEW in user["capabilities"] else "nothing",
                end_section=user is tenant["users"][-1],
            )
    return shown
