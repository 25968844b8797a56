"""The demo's traffic on a real database: what it does, how it ends, and what it survives."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection

from apps.helpdesk.models import Ticket
from apps.noc.traffic_desk import Desk
from apps.tenancy.models import Membership, Site, Tenant
from tests.integration.processes import database_url, wait_until

CHECKOUT = Path(__file__).resolve().parents[2]


def nudge(lanes: object) -> None:
    """The waker of these tests: nobody drains."""


@pytest.fixture(autouse=True)
def _tenants(database: None, settings: object) -> None:
    """Two tenants with two sites and one operator each."""
    settings.OUTBOX = {
        **settings.OUTBOX,
        "waker": "tests.integration.test_demo_traffic.nudge",
    }
    for slug in ("acme", "borealis"):
        tenant = Tenant.objects.create(name=slug.title(), slug=slug)
        for code in ("SITE001", "SITE002"):
            Site.objects.create(tenant=tenant, code=code, name=f"{code} of {slug}")
        Membership.objects.create(
            user=User.objects.create(username=f"operator-{slug}"),
            tenant=tenant,
            capabilities=["noc:view", "ticket:write"],
            all_sites=True,
        )


def messages() -> dict[str, int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT type, count(*) FROM outbox_message GROUP BY type")
        return dict(cursor.fetchall())


def command(*options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "demo_traffic", *options],
        cwd=CHECKOUT,
        env={**os.environ, "DATABASE_URL": database_url(), "LOG_LEVEL": "INFO"},
        stderr=subprocess.PIPE,
        text=True,
    )


class TestDesk:
    def test_makes_every_kind_of_event_by_people_who_may(self):
        desk = Desk([], random.Random(3))

        done = [desk.work() for _ in range(400)]

        assert None not in done
        assert {"ticket_created", "ticket_updated", "ticket_edited"} < messages().keys()
        assert {"finding_created", "anomaly_detected"} < messages().keys()
        with connection.cursor() as cursor:
            cursor.execute("SELECT DISTINCT context ->> 'actor' FROM outbox_message")
            actors = {actor for (actor,) in cursor}
        assert "demo:traffic" in actors  # what the monitoring finds
        assert all(actor.startswith(("user:", "demo:")) for actor in actors)
        assert set(Ticket.objects.values_list("tenant", flat=True)) == set(
            Tenant.objects.values_list("pk", flat=True)
        )

    def test_leaves_alone_what_somebody_else_changed(self):
        desk = Desk([], random.Random(3))
        while desk.size < 30:
            desk.work()
        Ticket.objects.update(status="CANCELLED")

        done = [desk.work() for _ in range(200)]

        assert None in done
        assert Ticket.objects.filter(status="CANCELLED").count() >= 30

    def test_goes_on_with_the_open_tickets_of_an_earlier_run(self):
        first = Desk([], random.Random(3))
        while first.size < 30:
            first.work()

        assert Desk([], random.Random(4)).open == {
            status: sorted(tickets, reverse=True) for status, tickets in first.open.items()
        }

    def test_keeps_to_the_tenants_it_is_given(self):
        desk = Desk(["borealis"], random.Random(3))

        for _ in range(50):
            desk.work()

        assert set(Ticket.objects.values_list("tenant__slug", flat=True)) == {"borealis"}


class TestCommand:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_ends_cleanly_when_told_to(self, number):
        process = command("--rate", "50")
        wait_until(lambda: Ticket.objects.count() > 5, process)

        process.send_signal(number)

        _, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        assert "Demo traffic: ended" in err

    def test_goes_on_after_the_database_dropped_it(self):
        process = command("--rate", "100")
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        for _ in range(2):
            before = sum(messages().values())
            wait_until(lambda before=before: sum(messages().values()) > before + 20, process)
            with connection.cursor() as cursor:
                cursor.execute(f"{cut} AND datname = current_database() AND usename = current_user")
                assert cursor.rowcount >= 1
        before = sum(messages().values())
        wait_until(lambda: sum(messages().values()) > before + 20, process)

        process.terminate()

        _, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        assert "Database unavailable" in err

    def test_ends_by_itself_after_its_duration(self):
        call_command("demo_traffic", "--rate", "100", "--duration", "0.5", "--seed", "1")

        assert messages()

    def test_says_what_to_do_without_sites(self):
        with pytest.raises(CommandError, match="seed_demo"):
            call_command("demo_traffic", "--tenants", "nobody")
