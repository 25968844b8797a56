"""A refused change shows what the ticket is now, who made it so, and when."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, transaction

import outbox
from apps.helpdesk import actions
from tests.integration.test_moved_on import logged


@pytest.fixture
def stale(world, ticket, api):
    """Change the ticket by the API with the version that it had at first; return the problem."""

    def change():
        answer = api(world.a.operator).patch(
            f"/api/v1/tickets/{ticket.pk}/", {"priority": "LOW"}, format="json", HTTP_IF_MATCH='"1"'
        )
        assert answer.status_code == 412
        return answer.json()

    return change


@pytest.mark.parametrize("recorded", [False, True])
class TestConflict:
    def test_names_who_changed_the_ticket_last(self, world, ticket, stale, redis_url, recorded):
        actions.edit_ticket(ticket_id=ticket.pk, description="one", actor=world.a.operator)
        actions.edit_ticket(ticket_id=ticket.pk, description="two", actor=world.a.admin)
        actions.comment(ticket_id=ticket.pk, text="not a change", actor=world.a.operator)
        if recorded:
            logged(f"tenant:{ticket.tenant_id}")

        problem = stale()

        assert (problem["present_version"], problem["changed_by"]) == (3, "Admin Test")
        assert problem["ticket"]["description"] == "two"
        assert problem["ticket"]["acknowledged_by"] is None
        assert "load it again" in problem["detail"]

    @pytest.mark.parametrize("actor", ["demo:traffic", "user:x", "user:999999", None])
    def test_names_nobody_who_is_no_member(self, world, ticket, stale, redis_url, recorded, actor):
        with outbox.context(actor=actor):
            actions.edit_ticket(ticket_id=ticket.pk, description="one")
        if recorded:
            logged(f"tenant:{ticket.tenant_id}")

        problem = stale()

        assert problem["changed_by"] is None
        assert problem["changed_at"].endswith("Z")

    def test_names_nobody_of_another_tenant(self, world, ticket, stale, redis_url, recorded):
        actions.edit_ticket(ticket_id=ticket.pk, description="one", actor=world.b.operator)
        if recorded:
            logged(f"tenant:{ticket.tenant_id}")

        assert stale()["changed_by"] is None


class TestIllegalTransition:
    def test_shows_the_ticket_too(self, world, ticket, api):
        actions.change_status(ticket_id=ticket.pk, to="RESOLVED", actor=world.a.admin)

        answer = api(world.a.operator).post(
            f"/api/v1/tickets/{ticket.pk}/status/", {"status": "CANCELLED"}, format="json"
        )

        problem = answer.json()
        assert answer.status_code == 409
        assert problem["allowed"] == ["CLOSED", "IN_PROGRESS", "NEW", "ON_HOLD"]
        assert (problem["present_version"], problem["changed_by"]) == (2, "Admin Test")
        assert problem["ticket"]["status"] == "RESOLVED"


def test_of_a_ticket_without_events_names_nobody(world, ticket, stale):
    actions.edit_ticket(ticket_id=ticket.pk, description="one")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM outbox_message")

    problem = stale()

    assert (problem["changed_by"], problem["changed_at"]) == (None, None)


WRITES = [
    ("patch", "", {"priority": "LOW"}),
    ("post", "status/", {"status": "RESOLVED"}),
    ("post", "acknowledge/", {}),
    ("delete", "acknowledge/", None),
    ("post", "comments/", {"text": "x"}),
]


@pytest.mark.parametrize(("method", "of", "body"), WRITES)
@pytest.mark.parametrize("key", [None, "a-key"])
def test_of_a_ticket_that_somebody_holds_is_told_to_come_again(
    world, ticket, api, method, of, body, key
):
    client = api(world.a.operator)
    headers = {} if key is None else {"Idempotency-Key": key}

    path = f"/api/v1/tickets/{ticket.pk}/{of}"

    answer = while_held(
        ticket, lambda: getattr(client, method)(path, body, "json", headers=headers)
    )

    assert answer.status_code == 409, answer.content
    assert answer["Retry-After"] == "1"
    assert "try again" in answer.json()["detail"]


@pytest.mark.parametrize("key", [None, "a-key"])
def test_of_a_new_ticket_whose_site_somebody_holds_is_told_to_come_again(world, api, key):
    client, site = api(world.a.operator), world.a.near
    body = {"site_id": site.pk, "description": "x"}
    headers = {} if key is None else {"Idempotency-Key": key}

    def ask():
        return client.post("/api/v1/tickets/", body, format="json", headers=headers)

    answer = while_held(site, ask)

    assert answer.status_code == 409, answer.content
    assert answer["Retry-After"] == "1"
    assert "The site is being changed" in answer.json()["detail"]
    assert ask().status_code == 201


def while_held(row, ask):
    """Return what ``ask`` answers while another transaction holds the row."""

    def beside():
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '200ms'")
        answer = ask()
        connection.close()
        return answer

    with ThreadPoolExecutor(1) as pool, transaction.atomic():
        type(row).objects.select_for_update().get(pk=row.pk)
        return pool.submit(beside).result(30)
