"""A write that waited for a ticket's row: the ticket's site is judged as it is then."""

from threading import Thread

import pytest
from django.db import connection, transaction

from apps.helpdesk import actions
from apps.helpdesk.models import Acknowledgement, Ticket, TicketNote
from tests.integration.outbox_fixtures import wait_until

WRITES = {
    "acknowledge": ("post", "{}/acknowledge/", {}),
    "take back": ("delete", "{}/acknowledge/", {}),
    "comment": ("post", "{}/comments/", {"text": "x"}),
    "status": ("post", "{}/status/", {"status": "RESOLVED"}),
    "edit": ("patch", "{}/", {"priority": "LOW"}),
}


def waits():
    with connection.cursor() as cursor:
        # Not pg_stat_activity: within a transaction it stays as it was first read.
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return cursor.fetchone()[0] > 0


def written():
    return (
        Ticket.objects.values_list("status", "priority").get(),
        list(TicketNote.objects.values_list("text")),
        Acknowledgement.objects.count(),
    )


@pytest.fixture
def while_moved(world, ticket, api):
    """Send a request of an operator of the near site while the ticket is moved to the far one."""

    def send(method, path, body):
        answers = []

        def ask():
            client = api(world.a.site_operator)
            answers.append(getattr(client, method)(path, body, format="json"))
            connection.close()

        thread = Thread(target=ask)
        with transaction.atomic():
            actions.move_ticket(ticket_id=ticket.pk, site=world.a.far)
            thread.start()
            wait_until(waits, "the request waits for the row")
        thread.join(30)
        return answers[0]

    return send


@pytest.mark.parametrize("name", WRITES)
def test_writes_nothing_at_a_site_out_of_scope(name, ticket, while_moved):
    method, path, body = WRITES[name]
    actions.acknowledge(ticket_id=ticket.pk)
    before = written()

    answer = while_moved(method, f"/api/v1/tickets/{path.format(ticket.pk)}", body)

    assert answer.status_code == 404
    assert written() == before


def test_writes_nothing_in_bulk_either(ticket, while_moved):
    before = written()
    body = {"action": "comment", "text": "x", "tickets": [{"id": ticket.pk}]}

    answer = while_moved("post", "/api/v1/tickets/bulk/", body)

    assert [result["status"] for result in answer.json()["results"]] == [404]
    assert written() == before
