"""Comments: written by themselves and told, and read together with the notes of status changes."""

from django.db import connection

from apps.helpdesk import actions
from apps.helpdesk.models import Ticket, TicketNote


def comments(ticket):
    return f"/api/v1/tickets/{ticket.pk}/comments/"


class TestPost:
    def test_answers_with_the_comment_and_tells_it(self, world, ticket, api, captured):
        captured()

        answer = api(world.a.operator).post(comments(ticket), {"text": " x" * 300}, format="json")

        assert answer.status_code == 201
        row = answer.json()
        assert set(row) == {"id", "author", "status", "text", "written_at"}
        assert (row["author"], row["status"]) == ("Operator Test", None)
        assert row["text"] == (" x" * 300).strip()
        [event] = captured()
        assert (event.type, event.subject) == ("ticket_commented", f"ticket:{ticket.pk}")
        assert event.context["actor"] == f"user:{world.a.operator.pk}"
        assert event.payload == {
            "comment_id": row["id"],
            "ticket_id": ticket.pk,
            "ticket_no": ticket.ticket_no,
            "site_id": world.a.near.pk,
            "site_name": "Near a",
            "author": "Operator Test",
            "text": row["text"][:200],
            "written_at": row["written_at"],
        }
        assert Ticket.objects.get().version == 1

    def test_with_if_match_is_of_what_was_seen(self, world, ticket, api):
        actions.edit_ticket(ticket_id=ticket.pk, priority="LOW")

        answer = api(world.a.operator).post(
            comments(ticket), {"text": "x"}, format="json", headers={"If-Match": '"1"'}
        )

        assert answer.status_code == 412
        assert not TicketNote.objects.exists()

    def test_needs_the_capability(self, world, ticket, api):
        answer = api(world.a.reader).post(comments(ticket), {"text": "x"}, format="json")

        assert answer.status_code == 403


class TestNote:
    def test_of_a_status_change_gives_no_event_of_its_own(self, ticket, captured):
        captured()

        actions.change_status(ticket_id=ticket.pk, to="RESOLVED", note="done")

        assert [event.type for event in captured()] == ["ticket_updated"]

    def test_by_raw_sql_without_a_status_is_a_comment(self, ticket, captured):
        captured()

        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO helpdesk_ticketnote (ticket_id, text) VALUES (%s, 'x')", [ticket.pk]
            )

        [event] = captured()
        assert (event.type, event.payload["author"]) == ("ticket_commented", None)


class TestList:
    def test_is_newest_first_with_notes_and_pages(self, world, ticket, api):
        actions.comment(ticket_id=ticket.pk, text="one", actor=world.a.admin)
        actions.change_status(ticket_id=ticket.pk, to="RESOLVED", note="two")
        actions.comment(ticket_id=ticket.pk, text="three", actor=world.a.operator)
        client = api(world.a.reader)

        first = client.get(f"{comments(ticket)}?limit=2").json()
        rest = client.get(first["next"]).json()

        read = [
            (row["author"], row["status"], row["text"])
            for row in first["results"] + rest["results"]
        ]
        assert read == [
            ("Operator Test", None, "three"),
            (None, "RESOLVED", "two"),
            ("Admin Test", None, "one"),
        ]

    def test_does_not_ask_for_each_author(self, world, ticket, api, django_assert_num_queries):
        for who in (world.a.admin, world.a.operator):
            actions.comment(ticket_id=ticket.pk, text="x", actor=who)
        client = api(world.a.reader)
        client.get(comments(ticket))

        with django_assert_num_queries(5):  # token, throttle, access, ticket, notes
            client.get(comments(ticket))


def test_goes_with_its_ticket_without_a_word(world, ticket, captured):
    actions.comment(ticket_id=ticket.pk, text="x")
    captured()

    actions.delete_ticket(ticket_id=ticket.pk)

    assert [event.type for event in captured()] == ["ticket_deleted"]
    assert not TicketNote.objects.exists()
