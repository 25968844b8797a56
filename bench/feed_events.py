"""What the feed's benchmarks show, and to whom: one tenant, its users, and bursts of events."""

from collections.abc import Sequence
from time import monotonic
from typing import Any

from django.contrib.auth.models import User
from django.db import connection

from apps.tenancy.models import Membership, Tenant
from apps.tenancy.tokens import new_token
from bench import messages, seed_path
from outbox import log, relay
from outbox.conf import outbox_settings

SOCKETS_PER_USER = 10  # below the limit on connections
PLAIN_TENANT = 1_000_000  # a number without a tenant: only the seed's consumers join its group

DESCRIBE = """
UPDATE outbox_message SET payload = jsonb_set(payload, '{description}', to_jsonb(%s::text))
"""


def make_tenant() -> Tenant:
    """Return the tenant that ``messages.fill`` writes for: the first of an empty database."""
    tenant, _, _ = seed_path.make_site()
    if tenant.pk != 1:
        raise RuntimeError("the feed's benchmarks need an empty database: use ./noc bench")
    return tenant


def make_tokens(tenant: Tenant, sockets: int) -> list[str]:
    """Return one token per socket, of new users who see every site; some share a user."""
    known = User.objects.count()
    count = -(-sockets // SOCKETS_PER_USER)
    users = User.objects.bulk_create(User(username=f"bench-{known + n}") for n in range(count))
    Membership.objects.bulk_create(
        Membership(user=user, tenant=tenant, capabilities=["noc:view"], all_sites=True)
        for user in users
    )
    tokens = [new_token(user) for user in users]
    drain()  # what the rights' own triggers wrote
    return [tokens[number % count] for number in range(sockets)]


def record(count: int, *, description: str = "") -> None:
    """Put ``count`` changes of tickets into the outbox; ``drain`` makes them events."""
    messages.fill(count, tenants=1)
    if description:
        with connection.cursor() as cursor:
            cursor.execute(DESCRIBE, [description])


def record_one() -> None:
    with connection.cursor() as cursor:
        cursor.execute(messages.FILL, {"count": 1, "tenants": 1})


def drain() -> None:
    """Record and publish all that waits, by the relay and its sink."""
    for lane in range(outbox_settings().lanes):
        relay.drain(lane, deadline=monotonic() + 600)


def last_messages(tenant: Tenant, count: int) -> list[dict[str, Any]]:
    """Return the channel layer's messages of the tenant's newest events."""
    from apps.noc.feed import wire

    stream = f"tenant:{tenant.pk}"
    rows = log.read(stream, log.head(stream).last_seq - count, count)
    return [wire.layer_message(row)[0] for row in rows]


def send_plain(layer_messages: Sequence[dict[str, Any]]) -> None:
    """Send each message to the group of the seed's consumers, all in one round trip."""
    from channels.layers import get_channel_layer

    from apps.noc.publisher import publisher_of

    group = f"noc_tenant_{PLAIN_TENANT}"
    publisher_of(get_channel_layer()).publish((group, message) for message in layer_messages)
