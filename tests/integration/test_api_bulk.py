"""One action on many tickets: each is judged by itself, and answered in its place."""

import json
import logging
from threading import Thread

import pytest
from django.db import connection, transaction

from apps.helpdesk import actions
from apps.helpdesk.models import Acknowledgement, Ticket, TicketNote

BULK = "/api/v1/tickets/bulk/"


@pytest.fixture
def tickets(world):
    return [actions.create_ticket(site=world.a.near, description="x") for _ in range(3)]


@pytest.fixture
def bulk(world, api):
    client = api(world.a.operator)

    def post(action, tickets, *, key=None, **more):
        items = [t if isinstance(t, dict) else {"id": getattr(t, "pk", t)} for t in tickets]
        body = {"action": action, "tickets": items, **more}
        headers = {} if key is None else {"Idempotency-Key": key}
        return client.post(BULK, body, format="json", headers=headers)

    return post


def statuses(answer):
    assert answer.status_code == 200, answer.content
    return [result["status"] for result in answer.json()["results"]]


class TestEachAction:
    @pytest.mark.parametrize(
        ("action", "more", "told"),
        [
            ("acknowledge", {}, "ticket_acknowledged"),
            ("status", {"status": "ON_HOLD", "note": "Vendor"}, "ticket_updated"),
            ("priority", {"priority": "CRITICAL"}, "ticket_edited"),
            ("comment", {"text": "seen"}, "ticket_commented"),
        ],
    )
    def test_is_done_to_each_ticket_by_the_caller(
        self, world, tickets, bulk, captured, action, more, told
    ):
        captured()

        answer = bulk(action, reversed(tickets), **more)

        assert statuses(answer) == [200] * 3
        results = answer.json()["results"]
        assert [result["id"] for result in results] == [t.pk for t in reversed(tickets)]
        assert "acknowledged_at" in results[0]["ticket"]
        events = captured()
        assert [event.type for event in events] == [told] * 3
        assert [event.subject for event in events] == [f"ticket:{t.pk}" for t in tickets]
        assert {event.context["actor"] for event in events} == {f"user:{world.a.operator.pk}"}

    def test_assigns_and_takes_away(self, world, tickets, bulk):
        answer = bulk("assign", tickets, assigned_to_id=world.a.admin.pk)
        assert {r["ticket"]["assigned_to"] for r in answer.json()["results"]} == {"Admin Test"}

        answer = bulk("assign", tickets, assigned_to_id=None)
        assert {r["ticket"]["assigned_to"] for r in answer.json()["results"]} == {None}

    def test_takes_acknowledgements_back(self, tickets, bulk):
        bulk("acknowledge", tickets)

        assert statuses(bulk("unacknowledge", tickets)) == [200] * 3
        assert not Acknowledgement.objects.exists()

    def test_tells_the_log_of_each_status(self, tickets, bulk, caplog):
        with caplog.at_level(logging.INFO, logger="apps.helpdesk.actions"):
            bulk("status", tickets, status="RESOLVED")

        lines = [r.getMessage() for r in caplog.records if r.name == "apps.helpdesk.actions"]
        assert lines == [f"Ticket {t.pk} status changed: NEW → RESOLVED" for t in tickets]


class TestFailure:
    def test_of_one_hides_no_other(self, world, tickets, bulk):
        stale, closed, good = tickets
        foreign = actions.create_ticket(site=world.b.near, description="x")
        actions.edit_ticket(ticket_id=stale.pk, description="meanwhile", actor=world.a.admin)
        actions.change_status(ticket_id=closed.pk, to="CLOSED")
        asked = [{"id": stale.pk, "version": 1}, closed, foreign, 999_999, good]

        answer = bulk("status", asked, status="RESOLVED")

        assert statuses(answer) == [412, 409, 404, 404, 200]
        found = answer.json()
        assert (found["changed"], found["failed"]) == (1, 4)
        problems = [result.get("problem") for result in found["results"]]
        assert (problems[0]["present_version"], problems[0]["changed_by"]) == (2, "Admin Test")
        assert problems[0]["ticket"]["description"] == "meanwhile"
        assert problems[1]["allowed"] == []
        assert problems[2]["detail"].replace(str(foreign.pk), "") == (
            problems[3]["detail"].replace("999999", "")
        )
        assert problems[4] is None
        assert Ticket.objects.get(pk=good.pk).status == "RESOLVED"
        assert Ticket.objects.get(pk=foreign.pk).status == "NEW"

    def test_comes_without_a_note_for_a_hold(self, tickets, bulk):
        assert statuses(bulk("status", tickets, status="ON_HOLD")) == [400] * 3
        assert not TicketNote.objects.exists()

    def test_that_takes_too_long_leaves_the_rest_undone(self, tickets, bulk, monkeypatch, captured):
        captured()
        monkeypatch.setattr("apps.helpdesk.bulk_api.WITHIN_SECONDS", -1)

        assert statuses(bulk("acknowledge", tickets)) == [409] * 3
        assert captured() == []

    def test_of_a_ticket_that_somebody_holds_hides_no_other(self, tickets, bulk):
        """As the application's role, which waits for a lock no longer than five seconds."""
        held, free = tickets[:2]
        answers = []

        def ask():
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '200ms'")
            answers.append(bulk("priority", [held, free], priority="LOW"))
            connection.close()

        with transaction.atomic():
            Ticket.objects.select_for_update().get(pk=held.pk)
            thread = Thread(target=ask)
            thread.start()
            thread.join(30)

        assert statuses(answers[0]) == [409, 200]
        assert "try again" in answers[0].json()["results"][0]["problem"]["detail"]


class TestWithAKey:
    """All tickets are one transaction then, which holds each that was changed until its end."""

    def test_waits_for_a_held_ticket_much_shorter(self, tickets, bulk):
        first, held, last = tickets
        answers = []

        def ask():
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '60s'")
            answers.append(bulk("priority", tickets, priority="LOW", key="k"))
            with connection.cursor() as cursor:
                cursor.execute("SHOW lock_timeout")
                answers.append(cursor.fetchone()[0])
            connection.close()

        with transaction.atomic():
            Ticket.objects.select_for_update().get(pk=held.pk)
            thread = Thread(target=ask)
            thread.start()
            thread.join(20)
            assert answers

        assert statuses(answers[0]) == [200, 409, 200]
        assert "try again" in answers[0].json()["results"][1]["problem"]["detail"]
        assert answers[1] == "1min"
        priorities = Ticket.objects.filter(pk__in=[first.pk, held.pk, last.pk]).order_by("pk")
        assert list(priorities.values_list("priority", flat=True)) == ["LOW", "MEDIUM", "LOW"]

    def test_ends_much_sooner(self, tickets, bulk, monkeypatch):
        monkeypatch.setattr("apps.helpdesk.bulk_api.HOLDING_SECONDS", -1)

        assert statuses(bulk("acknowledge", tickets, key="k")) == [409] * 3
        assert statuses(bulk("acknowledge", tickets)) == [200] * 3


class TestRequest:
    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"action": "acknowledge"},
            {"action": "acknowledge", "tickets": []},
            {"action": "acknowledge", "tickets": [{"id": n} for n in range(1, 202)]},
            {"action": "acknowledge", "tickets": [{"id": 1}, {"id": 2}, {"id": 1}]},
            {"action": "acknowledge", "tickets": [1]},
            {"action": "acknowledge", "tickets": [{"id": 1, "x": 1}]},
            {"action": "acknowledge", "tickets": [{"id": 2**63}]},
            {"action": "acknowledge", "tickets": [{"id": 1, "version": 2**40}]},
            {"action": "acknowledge", "tickets": {"id": 1}},
            {"action": "delete", "tickets": [{"id": 1}]},
            {"action": ["status"], "tickets": [{"id": 1}]},
            {"action": "status", "tickets": [{"id": 1}]},
            {"action": "status", "tickets": [{"id": 1}], "status": "nonsense"},
            {"action": "assign", "tickets": [{"id": 1}]},
            {"action": "priority", "tickets": [{"id": 1}]},
            {"action": "comment", "tickets": [{"id": 1}]},
            {"action": "comment", "tickets": [{"id": 1}], "text": ""},
            {"action": "comment", "tickets": [{"id": 1}], "text": "a\x00b"},
            {"action": "comment", "tickets": [{"id": 1}], "text": "\ud800"},
            {"action": "acknowledge", "tickets": [{"id": 1}], "force": True},
        ],
    )
    def test_that_makes_no_sense_changes_nothing(self, world, tickets, api, captured, body):
        captured()

        answer = api(world.a.operator).generic(
            "POST", BULK, json.dumps(body), content_type="application/json"
        )

        assert answer.status_code == 400
        assert answer["Content-Type"] == "application/problem+json"
        assert captured() == []

    def test_with_an_assignee_of_another_tenant_is_404(self, world, tickets, bulk):
        assert bulk("assign", tickets, assigned_to_id=world.b.operator.pk).status_code == 404

    def test_is_for_who_may_write_and_for_the_sites_in_scope(self, world, tickets, api):
        far = actions.create_ticket(site=world.a.far, description="x")
        body = {"action": "acknowledge", "tickets": [{"id": far.pk}, {"id": tickets[0].pk}]}

        assert api(world.a.reader).post(BULK, body, format="json").status_code == 403
        assert api().post(BULK, body, format="json").status_code == 401
        answer = api(world.a.site_operator).post(BULK, body, format="json")
        assert statuses(answer) == [404, 200]
