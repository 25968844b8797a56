"""Tickets over HTTP: what they look like, and how versions and transitions answer."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from apps.helpdesk.actions import create_ticket, edit_ticket
from apps.helpdesk.models import Ticket

TICKETS = "/api/v1/tickets/"
KEYS = {
    "id", "ticket_no", "status", "priority", "site_id", "site_name", "assigned_to",
    "description", "version", "created_at", "updated_at",
}  # fmt: skip


@pytest.fixture
def operator(world, api):
    return api(world.a.operator)


class TestLogin:
    def test_gives_a_token_that_works(self, world, api):
        world.a.operator.set_password("k7qm-x2fa-3tbd")
        world.a.operator.save()
        client = api()
        login = {"username": "operator-a", "password": "k7qm-x2fa-3tbd"}

        answer = client.post("/api/v1/auth/token/", login, format="json")

        assert answer.status_code == 200
        client.credentials(HTTP_AUTHORIZATION=f"Token {answer.json()['token']}")
        me = client.get("/api/v1/auth/me/").json()
        assert me == {
            "user": {"id": world.a.operator.pk, "name": "Operator Test"},
            "username": "operator-a",
            "tenant": {"id": world.a.tenant.pk, "name": "Tenant A"},
            "capabilities": ["noc:view", "ticket:write"],
            "sites": "*",
            "read_only": False,
            "refused": None,
        }

    def test_with_a_wrong_password_is_401(self, world, api):
        login = {"username": "operator-a", "password": "wrong"}

        assert api().post("/api/v1/auth/token/", login, format="json").status_code == 401

    def test_in_the_query_string_is_not_read(self, world, api):
        from apps.tenancy.tokens import new_token

        token = new_token(world.a.operator)

        for name in ("token", "access_token", "Authorization"):
            assert api().get(f"/api/v1/auth/me/?{name}={token}").status_code == 401

    def test_tells_why_the_feed_is_refused(self, world, api):
        me = api(world.a.guest).get("/api/v1/auth/me/")

        assert me.status_code == 200
        assert me.json()["refused"] == "no_noc_view"


class TestCreate:
    def test_answers_with_the_ticket_and_its_etag(self, world, operator, captured):
        body = {"site_id": world.a.near.pk, "description": "Link down", "priority": "CRITICAL"}

        answer = operator.post(TICKETS, body, format="json")

        assert answer.status_code == 201
        assert answer["ETag"] == '"1"'
        made = answer.json()
        assert set(made) == KEYS
        assert made["ticket_no"] == "SITE001#1"
        assert made["site_name"] == "Near a"
        assert made["assigned_to"] is None
        [event] = captured()
        assert event.type == "ticket_created"
        assert event.context["actor"] == f"user:{world.a.operator.pk}"
        assert {key: made[key] for key in event.payload if key in made} == {
            key: value for key, value in event.payload.items() if key in made
        }

    def test_needs_the_capability_to_write(self, world, api):
        body = {"site_id": world.a.near.pk, "description": "x"}

        answer = api(world.a.reader).post(TICKETS, body, format="json")

        assert answer.status_code == 403
        assert "ticket:write" in answer.json()["detail"]


class TestList:
    def test_pages_newest_first(self, world, operator):
        made = [create_ticket(site=world.a.near, description="x").pk for _ in range(5)]
        seen, url = [], TICKETS + "?limit=2"

        while url:
            page = operator.get(url).json()
            seen += [ticket["id"] for ticket in page["results"]]
            url = page["next"]

        assert seen == made[::-1]

    def test_filters(self, world, operator):
        near = create_ticket(site=world.a.near, description="x", priority="LOW")
        far = create_ticket(site=world.a.far, description="x", status="RESOLVED")

        def ids(query):
            return [ticket["id"] for ticket in operator.get(TICKETS + query).json()["results"]]

        assert ids(f"?site={world.a.far.pk}") == [far.pk]
        assert ids("?status=RESOLVED") == [far.pk]
        assert ids("?status=RESOLVED&status=NEW") == [far.pk, near.pk]
        assert ids("?priority=LOW") == [near.pk]
        assert ids(f"?site={world.b.near.pk}") == []
        assert ids(f"?updated_since={far.updated_at:%Y-%m-%dT%H:%M:%S.%fZ}") == [far.pk]
        assert ids("?updated_since=2099-01-01T00:00:00Z") == []
        assert operator.get(TICKETS + "?updated_since=yesterday").status_code == 400

    def test_finds_what_changed_lately_without_a_look_at_all(self, world, operator):
        """Of many tickets of one tenant that have rested for long."""
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO helpdesk_ticket (tenant_id, site_id, ticket_no, updated_at)"
                " SELECT %s, %s, 'X#' || n, now() - interval '1 day'"
                "   FROM generate_series(1, 5000) n",
                [world.a.tenant.pk, world.a.near.pk],
            )
            cursor.execute("ANALYZE helpdesk_ticket")
        create_ticket(site=world.a.near, description="x")

        with CaptureQueriesContext(connection) as asked:
            found = operator.get(f"{TICKETS}?updated_since={now() - timedelta(minutes=1):%FT%TZ}")
        [statement] = [
            query["sql"] for query in asked.captured_queries if '"updated_at" >=' in query["sql"]
        ]
        with connection.cursor() as cursor:
            cursor.execute("EXPLAIN " + statement)
            plan = "\n".join(line for (line,) in cursor.fetchall())

        assert len(found.json()["results"]) == 1
        assert "ticket_by_change" in plan

    def test_asks_the_database_as_often_for_one_as_for_many(
        self, world, operator, django_assert_max_num_queries
    ):
        for _ in range(20):
            create_ticket(site=world.a.near, description="x", assigned_to=world.a.operator)

        with django_assert_max_num_queries(4):
            assert len(operator.get(TICKETS).json()["results"]) == 20


class TestRetrieve:
    def test_gives_the_etag(self, ticket, operator):
        answer = operator.get(f"{TICKETS}{ticket.pk}/")

        assert answer.status_code == 200
        assert answer["ETag"] == '"1"'
        assert set(answer.json()) == KEYS


class TestPatch:
    def test_changes_several_at_once(self, world, ticket, operator, captured):
        captured()
        body = {
            "priority": "LOW",
            "assigned_to_id": world.a.operator.pk,
            "site_id": world.a.far.pk,
            "description": "other",
        }

        answer = operator.patch(f"{TICKETS}{ticket.pk}/", body, format="json")

        assert answer.status_code == 200
        assert answer["ETag"] == '"2"'
        assert answer.json()["assigned_to"] == "Operator Test"
        assert [event.type for event in captured()] == ["ticket_moved", "ticket_edited"]

    @pytest.mark.parametrize("if_match", ['"1"', 'W/"1"', "*", None])
    def test_with_a_fitting_version_passes(self, ticket, operator, if_match):
        headers = {} if if_match is None else {"HTTP_IF_MATCH": if_match}

        answer = operator.patch(
            f"{TICKETS}{ticket.pk}/", {"priority": "LOW"}, format="json", **headers
        )

        assert answer.status_code == 200

    def test_with_a_stale_version_is_412_and_changes_nothing(self, ticket, operator, captured):
        edit_ticket(ticket_id=ticket.pk, description="meanwhile")
        captured()

        answer = operator.patch(
            f"{TICKETS}{ticket.pk}/", {"priority": "LOW"}, format="json", HTTP_IF_MATCH='"1"'
        )

        assert answer.status_code == 412
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["present_version"] == 2
        assert "load it again" in answer.json()["detail"]
        assert captured() == []

    def test_does_not_change_the_status(self, ticket, operator):
        answer = operator.patch(f"{TICKETS}{ticket.pk}/", {"status": "CLOSED"}, format="json")

        assert answer.status_code == 400
        assert Ticket.objects.get().status == "NEW"


class TestStatus:
    def test_changes_with_a_note(self, ticket, operator, captured):
        captured()
        body = {"status": "ON_HOLD", "note": "waits for the vendor"}

        answer = operator.post(f"{TICKETS}{ticket.pk}/status/", body, format="json")

        assert answer.status_code == 200
        assert answer["ETag"] == '"2"'
        assert answer.json()["status"] == "ON_HOLD"
        [event] = captured()
        assert (event.payload["old_status"], event.payload["new_status"]) == ("NEW", "ON_HOLD")

    def test_that_may_not_follow_is_409_and_names_what_may(self, ticket, operator):
        Ticket.objects.update(status="RESOLVED")

        answer = operator.post(
            f"{TICKETS}{ticket.pk}/status/", {"status": "CANCELLED"}, format="json"
        )

        assert answer.status_code == 409
        assert answer.json()["allowed"] == ["CLOSED", "IN_PROGRESS", "NEW", "ON_HOLD"]

    def test_that_it_has_already_is_409(self, ticket, operator, captured):
        captured()

        answer = operator.post(f"{TICKETS}{ticket.pk}/status/", {"status": "NEW"}, format="json")

        assert answer.status_code == 409
        assert "already NEW" in answer.json()["detail"]
        assert captured() == []

    def test_on_hold_without_a_note_is_400(self, ticket, operator):
        answer = operator.post(
            f"{TICKETS}{ticket.pk}/status/", {"status": "ON_HOLD"}, format="json"
        )

        assert answer.status_code == 400
        assert "note" in answer.json()["detail"]

    def test_honours_if_match(self, ticket, operator):
        edit_ticket(ticket_id=ticket.pk, description="meanwhile")

        answer = operator.post(
            f"{TICKETS}{ticket.pk}/status/",
            {"status": "RESOLVED"},
            format="json",
            HTTP_IF_MATCH='"1"',
        )

        assert answer.status_code == 412


class TestBySession:
    def test_a_write_without_the_csrf_token_is_403(self, world, ticket):
        from rest_framework.test import APIClient

        client = APIClient(enforce_csrf_checks=True)
        client.force_login(world.a.operator)

        assert client.get(f"{TICKETS}{ticket.pk}/").status_code == 200
        answer = client.post(f"{TICKETS}{ticket.pk}/status/", {"status": "CLOSED"}, format="json")
        assert answer.status_code == 403
        assert "CSRF" in answer.json()["detail"]
