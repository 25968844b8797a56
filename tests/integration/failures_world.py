"""Dead letters made by the real relay, and the people who look at them."""

from time import monotonic
from typing import Any

import pytest
from django.db import connection, transaction
from django.test import Client

import outbox
from apps.noc.management.commands.seed_demo import staff_permissions
from outbox import relay
from outbox.lanes import lane_of
from outbox.models import DeadLetter

LETTERS = "/admin/outbox/deadletter/"
REPLAYS = "/admin/outbox/replay/"
LANES = "/admin/outbox/lane/"
API = "/api/v1/noc/"

# As the relay files them, many at once.
MANY = """
INSERT INTO outbox_dead_letter
  (event_id, stream, seq, epoch, type, subject, payload, context, schema_version, occurred_at,
   recorded_at, sink, reason, error, fingerprint, attempts, died_at)
SELECT gen_random_uuid(), 'tenant:' || (%(tenants)s::bigint[])[1 + n %% 10], n, gen_random_uuid(),
       'kind_' || n %% 7, 'ticket:' || n %% 500, jsonb_build_object('site_id', n %% 9, 'n', n),
       '{}', 1, now(), now(), 'sink', (ARRAY['poison', 'sink_error', 'crash'])[1 + n %% 3],
       'error ' || n, 'cause' || n %% 11, 1, now() - n * interval '1 minute'
  FROM generate_series(1, %(count)s) n;
ANALYZE outbox_dead_letter;
"""


def die(tenant: Any, *, site: Any = None, type: str = "unheard_of", **payload: Any) -> DeadLetter:
    """Publish an event that cannot be a frame, let the relay file it, and return its letter."""
    subject = payload.pop("subject", "thing:1")
    with transaction.atomic():
        event_id = outbox.publish(
            type,
            stream=f"tenant:{tenant.pk}",
            subject=subject,
            payload={"site_id": site and site.pk, **payload},
        )
    record(tenant)
    return DeadLetter.objects.get(event_id=event_id)


def record(tenant: Any) -> None:
    relay.drain(lane_of(f"tenant:{tenant.pk}", 8), deadline=monotonic() + 30)


def fill(count: int, *tenants: Any) -> None:
    """File ``count`` dead letters of ten tenants in turn, ``tenants`` among them."""
    ids = [tenant.pk for tenant in tenants]
    others = range(9_001, 9_011 - len(ids))
    with connection.cursor() as cursor:
        cursor.execute(MANY, {"count": count, "tenants": [*ids, *others]})


def staff(user: Any, *, without: str = "") -> Client:
    """A client of the admin site with the demo's permissions, but for one."""
    user.is_staff = True
    user.save()
    user.user_permissions.set(p for p in staff_permissions() if p.codename != without)
    client = Client()
    client.force_login(user)
    return client


def narrow(user: Any, *sites: Any) -> None:
    """Keep the user to these sites."""
    user.membership.all_sites = False
    user.membership.save()
    user.membership.sites.set(sites)


def text_of(answer: Any) -> str:
    return answer.content.decode()


def dry_run(client: Client, query: str, path: str = f"{LETTERS}replay/") -> Any:
    """Look at the dry run and return the page with what its form would send."""
    answer = client.get(f"{path}?{query}")
    assert answer.status_code == 200, text_of(answer)
    return answer


def confirm(client: Client, query: str, *, fingerprint: str, **more: Any) -> Any:
    path = more.pop("path", f"{LETTERS}replay/")
    body = {"fingerprint": fingerprint, "reason": "the type is known now", "rate": 1000, **more}
    return client.post(f"{path}?{query}", body)


@pytest.fixture
def admin_of_a(world: Any, redis_url: str) -> Client:
    return staff(world.a.admin)


@pytest.fixture
def admin_of_b(world: Any, redis_url: str) -> Client:
    return staff(world.b.admin)


@pytest.fixture
def root(world: Any, redis_url: str) -> Client:
    from django.contrib.auth.models import User

    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client
