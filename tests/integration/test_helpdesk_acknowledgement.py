"""An acknowledgement: who makes and ends it, what is told of it, and what it leaves alone."""

import pytest
from django.db import connection

from apps.helpdesk import actions
from apps.helpdesk.errors import StaleVersion, UnknownTicket
from apps.helpdesk.models import Acknowledgement, Ticket
from apps.helpdesk.moved_on import moved_on
from tests.integration.test_moved_on import logged

PLACE = {"ticket_id", "ticket_no", "site_id", "site_name"}


def types(events):
    return [event.type for event in events]


def sql(statement, *params):
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


@pytest.fixture
def acknowledged(world, ticket, captured):
    actions.acknowledge(ticket_id=ticket.pk, actor=world.a.operator)
    captured()
    return ticket


class TestAcknowledge:
    def test_is_told_once_with_its_actor_and_leaves_the_version(self, world, ticket, captured):
        captured()

        for who in (world.a.operator, world.a.admin):
            actions.acknowledge(ticket_id=ticket.pk, actor=who)

        [event] = captured()
        assert (event.type, event.subject) == ("ticket_acknowledged", f"ticket:{ticket.pk}")
        assert event.stream == f"tenant:{world.a.tenant.pk}"
        assert event.context["actor"] == f"user:{world.a.operator.pk}"
        assert set(event.payload) == PLACE | {"acknowledged_by", "acknowledged_at"}
        assert event.payload["acknowledged_by"] == "Operator Test"
        assert event.payload["site_name"] == "Near a"
        assert event.payload["acknowledged_at"].endswith("Z")
        assert Ticket.objects.get().version == 1

    def test_refuses_a_stale_version_and_an_unknown_ticket(self, ticket, captured):
        actions.edit_ticket(ticket_id=ticket.pk, description="meanwhile")
        captured()

        with pytest.raises(StaleVersion):
            actions.acknowledge(ticket_id=ticket.pk, expected_version=1)
        with pytest.raises(UnknownTicket):
            actions.acknowledge(ticket_id=999_999)
        assert captured() == []

    def test_by_raw_sql_is_told_too(self, world, ticket, captured):
        captured()

        sql("INSERT INTO helpdesk_acknowledgement (ticket_id) VALUES (%s)", ticket.pk)

        [event] = captured()
        assert (event.type, event.payload["acknowledged_by"]) == ("ticket_acknowledged", None)


class TestUnacknowledge:
    def test_is_told_once(self, acknowledged, captured):
        for _ in range(2):
            actions.unacknowledge(ticket_id=acknowledged.pk)

        [event] = captured()
        assert event.type == "ticket_unacknowledged"
        assert set(event.payload) == PLACE


class TestEnd:
    @pytest.mark.parametrize(
        ("change", "told"),
        [
            ("status = 'NEW'", ["ticket_updated"]),
            ("priority = 'CRITICAL'", ["ticket_edited"]),
            ("status = 'NEW', priority = 'CRITICAL'", ["ticket_edited", "ticket_updated"]),
        ],
    )
    def test_comes_with_a_status_that_is_new_again_and_with_a_raised_priority(
        self, acknowledged, captured, change, told
    ):
        actions.change_status(ticket_id=acknowledged.pk, to="IN_PROGRESS")
        captured()

        sql(f"UPDATE helpdesk_ticket SET {change}")

        assert types(captured()) == [*told, "ticket_unacknowledged"]
        assert not Acknowledgement.objects.exists()

    @pytest.mark.parametrize(
        "change",
        [
            *("status = 'IN_PROGRESS'", "status = 'RESOLVED'", "priority = 'LOW'"),
            *("description = 'x'", "status = status", "assigned_to_id = NULL"),
        ],
    )
    def test_does_not_come_with_other_changes(self, acknowledged, captured, change):
        sql(f"UPDATE helpdesk_ticket SET {change}")

        assert "ticket_unacknowledged" not in types(captured())
        assert Acknowledgement.objects.exists()

    def test_is_the_doing_of_who_changed_the_ticket(self, world, acknowledged, captured):
        actions.edit_ticket(ticket_id=acknowledged.pk, priority="CRITICAL", actor=world.a.admin)

        edited, ended = captured()
        assert ended.type == "ticket_unacknowledged"
        assert ended.context["actor"] == edited.context["actor"] == f"user:{world.a.admin.pk}"

    @pytest.mark.parametrize("by_sql", [False, True])
    def test_goes_without_a_word_when_the_ticket_is_deleted(self, acknowledged, captured, by_sql):
        if by_sql:
            sql("DELETE FROM helpdesk_ticket WHERE id = %s", acknowledged.pk)
        else:
            actions.delete_ticket(ticket_id=acknowledged.pk)

        assert types(captured()) == ["ticket_deleted"]
        assert not Acknowledgement.objects.exists()

    def test_does_not_come_with_the_end_of_who_acknowledged(self, world, acknowledged, captured):
        world.a.operator.delete()

        [event] = captured()
        assert (event.type, event.payload["acknowledged_by"]) == ("ticket_acknowledged", None)


class TestToldAgain:
    def test_where_the_ticket_moves_to(self, world, acknowledged, captured):
        actions.move_ticket(ticket_id=acknowledged.pk, site=world.a.far)

        moved, again = captured()
        assert (moved.type, again.type) == ("ticket_moved", "ticket_acknowledged")
        assert again.payload["site_name"] == "Far a"
        assert again.payload["acknowledged_by"] == "Operator Test"

    def test_when_a_closed_ticket_is_opened_again(self, acknowledged, captured):
        Ticket.objects.update(status="CLOSED")
        captured()

        Ticket.objects.update(status="RESOLVED")

        assert types(captured()) == ["ticket_updated", "ticket_acknowledged"]

    def test_not_when_it_ended_in_the_same_write(self, world, acknowledged, captured):
        actions.edit_ticket(ticket_id=acknowledged.pk, site=world.a.far, priority="CRITICAL")

        assert types(captured()) == ["ticket_moved", "ticket_edited", "ticket_unacknowledged"]

    def test_not_of_a_ticket_that_nobody_has_acknowledged(self, world, ticket, captured):
        captured()

        actions.move_ticket(ticket_id=ticket.pk, site=world.a.far)

        assert types(captured()) == ["ticket_moved"]


class TestMovedOn:
    def test_names_an_acknowledgement_that_ended_or_is_another_now(self, redis_url, ticket):
        stream = f"tenant:{ticket.tenant_id}"
        actions.acknowledge(ticket_id=ticket.pk)
        _, first = logged(stream)
        assert moved_on([first]) == {}

        actions.unacknowledge(ticket_id=ticket.pk)
        _, first, ended = logged(stream)
        assert moved_on([first, ended]) == {first.event_id: "the acknowledgement has ended"}

        actions.acknowledge(ticket_id=ticket.pk)
        _, first, ended, again = logged(stream)
        assert moved_on([first, ended, again]) == {
            first.event_id: "the ticket has been acknowledged anew since",
            ended.event_id: "the ticket has been acknowledged since",
        }

        actions.delete_ticket(ticket_id=ticket.pk)
        assert moved_on([again]) == {again.event_id: "the ticket is deleted"}


class TestApi:
    def test_acknowledges_and_takes_back(self, world, ticket, api):
        client = api(world.a.operator)
        path = f"/api/v1/tickets/{ticket.pk}/acknowledge/"

        first = client.post(path, {}, format="json")
        second = api(world.a.admin).post(path)
        read = client.get(f"/api/v1/tickets/{ticket.pk}/?include=acknowledgement").json()
        back = client.delete(path)

        assert first.status_code == second.status_code == back.status_code == 200
        assert first.json() == second.json() == read
        assert read["acknowledged_by"] == "Operator Test"
        assert read["assigned_to_id"] is None
        assert (back.json()["acknowledged_by"], back.json()["acknowledged_at"]) == (None, None)
        assert first["ETag"] == back["ETag"] == '"1"'

    @pytest.mark.parametrize("method", ["post", "delete"])
    def test_with_if_match_is_of_what_was_seen(self, world, ticket, api, method):
        path = f"/api/v1/tickets/{ticket.pk}/acknowledge/"
        actions.edit_ticket(ticket_id=ticket.pk, priority="CRITICAL")

        def send(tag):
            return getattr(api(world.a.operator), method)(path, headers={"If-Match": tag})

        assert send('"1"').status_code == 412
        assert send("nonsense").status_code == 400
        assert not Acknowledgement.objects.exists()
        assert send('"2"').status_code == 200

    def test_needs_the_capability(self, world, ticket, api):
        path = f"/api/v1/tickets/{ticket.pk}/acknowledge/"

        assert api(world.a.reader).post(path).status_code == 403
        assert api(world.a.reader).delete(path).status_code == 403

    @pytest.mark.parametrize("path", ["tickets/", "tickets/{}/", "noc/snapshot/"])
    def test_shows_it_where_it_is_asked_for_and_only_there(self, world, acknowledged, api, path):
        client = api(world.a.operator)
        path = f"/api/v1/{path.format(acknowledged.pk)}"

        def row(query):
            found = client.get(f"{path}{query}").json()
            return (found.get("results") or found.get("tickets") or [found])[0]

        plain, full = row(""), row("?include=acknowledgement")
        assert set(full) - set(plain) == {"acknowledged_by", "acknowledged_at", "assigned_to_id"}
        assert {key: full[key] for key in plain} == plain
        assert full["acknowledged_by"] == "Operator Test"
        assert client.get(f"{path}?include=nonsense").status_code == 400
