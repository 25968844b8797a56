"""The demo's tenants and users: usable as printed, and the same ones each time."""

import json

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.management import call_command

from apps.helpdesk.models import Ticket
from apps.tenancy.access import access_of
from apps.tenancy.tokens import digest_of, live_tokens


@pytest.fixture
def seeded(database, capsys):
    def seed():
        call_command("seed_demo", "--json")
        return json.loads(capsys.readouterr().out.splitlines()[-1])

    return seed


class TestSeedDemo:
    def test_prints_users_that_work_and_creates_no_ticket(self, seeded):
        tenants = seeded()["tenants"]

        assert len(tenants) == 3
        assert all(len(tenant["sites"]) >= 2 for tenant in tenants)
        assert not Ticket.objects.exists()
        for tenant in tenants:
            for user in tenant["users"]:
                [holder] = live_tokens([digest_of(user["token"])])
                access = access_of(User(holder.user_id))
                assert access.tenant_id == tenant["id"]
                assert access.capabilities == set(user["capabilities"])
                assert user["sites"] == ("*" if access.sites is None else sorted(access.sites))

    def test_makes_an_admin_two_operators_and_one_who_may_not_watch(self, seeded):
        for tenant in seeded()["tenants"]:
            admin, operator, site_operator, guest = tenant["users"]
            assert set(admin["capabilities"]) == {"noc:view", "ticket:write", "tenant:admin"}
            assert (operator["sites"], set(operator["capabilities"])) == (
                "*",
                {"noc:view", "ticket:write"},
            )
            assert site_operator["sites"] == [tenant["sites"][0]["id"]]
            assert "noc:view" not in guest["capabilities"]

    def test_gives_passwords_that_log_in(self, seeded):
        user = seeded()["tenants"][0]["users"][0]

        assert len(user["password"]) >= 14
        assert authenticate(username=user["username"], password=user["password"]).is_staff

    def test_prints_the_same_when_run_again(self, seeded):
        assert seeded() == seeded()

    def test_shows_people_a_table(self, database, capsys):
        call_command("seed_demo")

        shown = capsys.readouterr().out
        assert "operator-acme" in shown
        assert "every site of Acme Retail" in shown
