"""Two tenants that must never see each other, and readers of what the triggers captured."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.failing_relay import names  # noqa: F401  (fixture)
from tests.integration.failures_world import (  # noqa: F401  (fixtures)
    admin_of_a,
    admin_of_b,
    root,
)
from tests.integration.outbox_fixtures import bench, outbox  # noqa: F401  (fixtures)


@dataclass
class Party:
    """A tenant with two sites and one user of each kind."""

    tenant: Any
    near: Any  # the site that everybody sees
    far: Any  # the one that the site operator does not
    admin: Any
    operator: Any
    site_operator: Any
    reader: Any  # noc:view alone
    guest: Any  # nothing


@dataclass
class World:
    a: Party
    b: Party


@pytest.fixture
def world(database: None) -> World:
    return World(make_party("a"), make_party("b"))


def make_party(name: str) -> Party:
    from apps.tenancy.models import Site, Tenant

    tenant = Tenant.objects.create(name=f"Tenant {name.upper()}", slug=name)
    near = Site.objects.create(tenant=tenant, code="SITE001", name=f"Near {name}")
    far = Site.objects.create(tenant=tenant, code="SITE002", name=f"Far {name}")
    view, write, manage = "noc:view", "ticket:write", "tenant:admin"
    return Party(
        tenant,
        near,
        far,
        admin=make_user(f"admin-{name}", tenant, [view, write, manage]),
        operator=make_user(f"operator-{name}", tenant, [view, write]),
        site_operator=make_user(f"siteop-{name}", tenant, [view, write], sites=[near]),
        reader=make_user(f"reader-{name}", tenant, [view]),
        guest=make_user(f"guest-{name}", tenant, []),
    )


def make_user(
    username: str, tenant: Any, capabilities: list[str], sites: list[Any] | None = None
) -> Any:
    """Make a user that sees ``sites``, or all of them; without a password, which is slow."""
    from django.contrib.auth.models import User
    from django.db import transaction

    from apps.tenancy.models import Membership

    first_name = username.split("-")[0].title()
    with transaction.atomic():  # the sites are those that the membership begins with
        user = User.objects.create(username=username, first_name=first_name, last_name="Test")
        membership = Membership.objects.create(
            user=user, tenant=tenant, capabilities=capabilities, all_sites=sites is None
        )
        membership.sites.set(sites or [])
    return user


@pytest.fixture
def ticket(world: World) -> Any:
    """A new ticket at the near site of tenant a."""
    from apps.helpdesk.actions import create_ticket

    return create_ticket(site=world.a.near, description="The uplink is down", priority="HIGH")


@dataclass(frozen=True)
class Captured:
    type: str
    stream: str
    subject: str
    payload: dict[str, Any]
    context: dict[str, Any]


@pytest.fixture
def captured(database: None) -> Callable[[], list[Captured]]:
    """Return what was captured of the tenants since the last call, in order."""
    from outbox.models import Message

    seen = [0]

    def read() -> list[Captured]:
        found = list(
            Message.objects.filter(id__gt=seen[0], stream__startswith="tenant:").order_by("id")
        )
        if found:
            seen[0] = found[-1].pk
        return [Captured(m.type, m.stream, m.subject, m.payload, m.context) for m in found]

    return read


@pytest.fixture
def api(database: None) -> Callable[[Any], Any]:
    """Return a client of the REST API that sends the user's token."""
    from rest_framework.test import APIClient

    from apps.tenancy.tokens import new_token

    def client(user: Any = None) -> Any:
        made = APIClient(raise_request_exception=False)
        if user is not None:
            made.credentials(HTTP_AUTHORIZATION=f"Token {new_token(user)}")
        return made

    return client
