"""Every id route with every user: what is not in scope looks like what does not exist."""

import pytest

from apps.helpdesk.actions import create_ticket
from apps.helpdesk.models import Ticket
from apps.noc.models import Anomaly, Finding

ID_ROUTES = [
    ("get", "/api/v1/tickets/{ticket}/", None),
    ("patch", "/api/v1/tickets/{ticket}/", {"priority": "LOW"}),
    ("post", "/api/v1/tickets/{ticket}/status/", {"status": "RESOLVED"}),
    ("post", "/api/v1/tickets/{ticket}/acknowledge/", {}),
    ("delete", "/api/v1/tickets/{ticket}/acknowledge/", None),
    ("get", "/api/v1/tickets/{ticket}/comments/", None),
    ("get", "/api/v1/tickets/{ticket}/timeline/", None),
    ("post", "/api/v1/tickets/{ticket}/comments/", {"text": "seen"}),
]
BODY_IDS = [
    ("post", "/api/v1/tickets/", {"site_id": "{site}", "description": "x"}),
    ("patch", "/api/v1/tickets/{own}/", {"site_id": "{site}"}),
    ("patch", "/api/v1/tickets/{own}/", {"assigned_to_id": "{user}"}),
    ("post", "/api/v1/noc/findings/", {"site_id": "{site}", "title": "x"}),
    (
        "post",
        "/api/v1/noc/anomalies/",
        {"site_id": "{site}", "metric": "x", "observed": 1, "expected": 1},
    ),
]
LISTS = [
    "/api/v1/tickets/",
    "/api/v1/tickets/?include=acknowledgement",
    "/api/v1/tickets/counts/",
    "/api/v1/members/",
    "/api/v1/sites/",
    "/api/v1/noc/snapshot/",
    "/api/v1/noc/snapshot/?include=acknowledgement",
    "/api/v1/noc/events/",
    "/api/v1/noc/findings/",
    "/api/v1/noc/anomalies/",
]


@pytest.fixture
def places(world):
    """A ticket of each site, and what else the routes name."""
    tickets = {
        name: create_ticket(site=site, description="secret")
        for name, site in (
            ("near", world.a.near),
            ("far", world.a.far),
            ("foreign", world.b.near),
        )
    }
    for site in (world.a.near, world.a.far, world.b.near):
        Finding.objects.create(tenant=site.tenant, site=site, title="secret")
        Anomaly.objects.create(tenant=site.tenant, site=site, metric="s", observed=1, expected=0)
    for party in (world.a, world.b):
        Finding.objects.create(tenant=party.tenant, title="of the whole tenant")
    return tickets


def call(client, method, path, body, **names):
    def filled(value):
        found = value.format(**names) if isinstance(value, str) else value
        return int(found) if isinstance(found, str) and found.isdigit() else found

    body = None if body is None else {key: filled(value) for key, value in body.items()}
    return getattr(client, method)(path.format(**names), body, format="json")


class TestIdRoutes:
    @pytest.mark.parametrize(("method", "path", "body"), ID_ROUTES)
    @pytest.mark.parametrize(
        ("who", "which"),
        [
            ("admin", "foreign"),
            ("operator", "foreign"),
            ("site_operator", "foreign"),
            ("site_operator", "far"),
        ],
    )
    def test_out_of_scope_is_404_as_if_it_were_not_there(
        self, world, places, api, captured, method, path, body, who, which
    ):
        captured()
        client = api(getattr(world.a, who))

        answer = call(client, method, path, body, ticket=places[which].pk)
        absent = call(client, method, path, body, ticket=999_999)

        assert answer.status_code == absent.status_code == 404
        assert answer.json()["detail"].replace(str(places[which].pk), "N") == (
            absent.json()["detail"].replace("999999", "N")
        )
        assert captured() == []

    @pytest.mark.parametrize(("method", "path", "body"), ID_ROUTES)
    @pytest.mark.parametrize(
        ("who", "which"), [("admin", "far"), ("operator", "far"), ("site_operator", "near")]
    )
    def test_in_scope_is_answered(self, world, places, api, method, path, body, who, which):
        client = api(getattr(world.a, who))

        answer = call(client, method, path, body, ticket=places[which].pk)

        assert answer.status_code in (200, 201)

    @pytest.mark.parametrize(("method", "path", "body"), ID_ROUTES)
    @pytest.mark.parametrize("which", ["near", "foreign"])
    def test_without_the_capability_is_403_wherever_the_ticket_is(
        self, world, places, api, method, path, body, which
    ):
        answer = call(api(world.a.guest), method, path, body, ticket=places[which].pk)

        assert answer.status_code == 403

    @pytest.mark.parametrize(("method", "path", "body"), ID_ROUTES)
    def test_without_a_user_is_401(self, world, places, api, method, path, body):
        answer = call(api(), method, path, body, ticket=places["near"].pk)

        assert answer.status_code == 401
        assert answer["WWW-Authenticate"] == "Token"


class TestIdsInBodies:
    @pytest.mark.parametrize(("method", "path", "body"), BODY_IDS)
    def test_of_another_tenant_are_404(self, world, places, api, method, path, body):
        answer = call(
            api(world.a.operator),
            method,
            path,
            body,
            own=places["near"].pk,
            site=world.b.near.pk,
            user=world.b.operator.pk,
        )

        assert answer.status_code == 404

    def test_of_a_site_out_of_scope_are_404(self, world, places, api):
        body = {"site_id": world.a.far.pk, "description": "x"}

        answer = api(world.a.site_operator).post("/api/v1/tickets/", body, format="json")

        assert answer.status_code == 404


class TestLists:
    @pytest.mark.parametrize("path", LISTS)
    def test_hold_no_word_of_another_tenant(self, world, places, api, path):
        answer = api(world.b.operator).get(path)

        assert answer.status_code == 200
        text = answer.content.decode()
        assert "Near a" not in text
        assert "Far a" not in text

    @pytest.mark.parametrize("path", LISTS)
    def test_hold_no_word_of_a_site_out_of_scope(self, world, places, api, path):
        answer = api(world.a.site_operator).get(path)

        assert answer.status_code == 200
        text = answer.content.decode()
        assert "Far a" not in text
        assert "whole tenant" not in text

    def test_show_what_is_in_scope(self, world, places, api):
        assert len(api(world.a.operator).get("/api/v1/tickets/").json()["results"]) == 2
        assert len(api(world.a.operator).get("/api/v1/noc/findings/").json()["results"]) == 3
        assert len(api(world.a.site_operator).get("/api/v1/tickets/").json()["results"]) == 1
        assert len(api(world.a.site_operator).get("/api/v1/noc/findings/").json()["results"]) == 1
        assert len(api(world.a.site_operator).get("/api/v1/noc/anomalies/").json()["results"]) == 1

    @pytest.mark.parametrize("path", LISTS)
    def test_need_noc_view(self, world, api, path):
        assert api(world.a.guest).get(path).status_code == 403
        assert api().get(path).status_code == 401

    @pytest.mark.parametrize("path", LISTS)
    def test_are_closed_to_a_suspended_tenant(self, world, api, path):
        from django.utils import timezone

        client = api(world.a.operator)
        world.a.tenant.suspended_at = timezone.now()
        world.a.tenant.save()

        answer = client.get(path)

        assert answer.status_code == 403
        assert "suspended" in answer.json()["detail"]


def test_no_write_reached_another_tenant(world, places, api):
    """The same body, sent by each side, changes only its own ticket."""
    for party, own in ((world.a, "near"), (world.b, "foreign")):
        for ticket in places.values():
            api(party.operator).patch(
                f"/api/v1/tickets/{ticket.pk}/", {"description": party.tenant.name}, format="json"
            )
        assert Ticket.objects.get(pk=places[own].pk).description == party.tenant.name
    assert set(Ticket.objects.values_list("tenant__name", "description")) == {
        ("Tenant A", "Tenant A"),
        ("Tenant B", "Tenant B"),
    }
