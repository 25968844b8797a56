"""What the actions allow, what they refuse, and whom they name."""

import logging
from threading import Barrier, Thread

import pytest
from django.db import connection, transaction

import outbox
from apps.helpdesk import actions
from apps.helpdesk.errors import (
    HoldNeedsReason,
    IllegalTransition,
    StaleVersion,
    UnknownTicket,
    WrongTenant,
)
from apps.helpdesk.models import Ticket, TicketNote


class TestCreateTicket:
    def test_numbers_each_site_by_itself(self, world):
        sites = [world.a.near, world.a.near, world.a.far, world.b.near]

        made = [actions.create_ticket(site=site, description="x") for site in sites]

        assert [t.ticket_no for t in made] == ["SITE001#1", "SITE001#2", "SITE002#1", "SITE001#1"]

    def test_passes_over_a_number_that_was_given_by_hand(self, world):
        actions.create_ticket(site=world.a.near, description="x", ticket_no="SITE001#1")
        actions.create_ticket(site=world.a.near, description="x", ticket_no="SITE001#2")

        assert actions.create_ticket(site=world.a.near, description="x").ticket_no == "SITE001#3"

    def test_draws_no_number_twice_in_parallel(self, world):
        barrier = Barrier(4)

        def create():
            barrier.wait()
            for _ in range(5):
                actions.create_ticket(site=world.a.near, description="x")
            connection.close()

        threads = [Thread(target=create) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        numbers = set(Ticket.objects.values_list("ticket_no", flat=True))
        assert numbers == {f"SITE001#{n}" for n in range(1, 21)}

    def test_refuses_an_assignee_of_another_tenant(self, world):
        with pytest.raises(WrongTenant):
            actions.create_ticket(site=world.a.near, description="x", assigned_to=world.b.operator)


class TestChangeStatus:
    def test_names_the_actor_and_keeps_the_request(self, world, ticket, captured):
        captured()

        with outbox.context(request_id="r1"):
            changed = actions.change_status(
                ticket_id=ticket.pk, to="RESOLVED", actor=world.a.operator
            )

        [event] = captured()
        assert event.context == {"actor": f"user:{world.a.operator.pk}", "request_id": "r1"}
        assert (changed.status, changed.version) == ("RESOLVED", 2)

    def test_logs_the_line_that_operators_look_for(self, ticket, caplog):
        with caplog.at_level(logging.INFO, "apps.helpdesk"):
            actions.change_status(ticket_id=ticket.pk, to="RESOLVED")

        assert f"Ticket {ticket.pk} status changed: NEW → RESOLVED" in caplog.messages

    def test_refuses_what_may_not_follow(self, ticket):
        actions.change_status(ticket_id=ticket.pk, to="CLOSED")

        with pytest.raises(IllegalTransition):
            actions.change_status(ticket_id=ticket.pk, to="NEW")

    def test_of_an_import_is_not_judged(self, ticket):
        for to in ("CLOSED", "ON_HOLD", "NEW"):
            assert actions.change_status(ticket_id=ticket.pk, to=to, enforce=False).status == to

    def test_holds_only_with_a_reason_and_keeps_it_until_it_goes_on(self, world, ticket):
        with pytest.raises(HoldNeedsReason):
            actions.change_status(ticket_id=ticket.pk, to="ON_HOLD", note="  ")

        held = actions.change_status(ticket_id=ticket.pk, to="ON_HOLD", note="waits for a part")
        assert held.hold_reason == "waits for a part"
        back = actions.change_status(ticket_id=ticket.pk, to="IN_PROGRESS")
        assert back.hold_reason == ""

    def test_keeps_the_note(self, world, ticket):
        actions.change_status(
            ticket_id=ticket.pk, to="RESOLVED", actor=world.a.operator, note="new cable"
        )

        note = TicketNote.objects.get()
        assert (note.ticket, note.author, note.status, note.text) == (
            ticket,
            world.a.operator,
            "RESOLVED",
            "new cable",
        )

    def test_refuses_a_version_that_is_gone(self, ticket):
        actions.edit_ticket(ticket_id=ticket.pk, priority="LOW")

        with pytest.raises(StaleVersion) as refused:
            actions.change_status(ticket_id=ticket.pk, to="RESOLVED", expected_version=1)

        assert (refused.value.expected, refused.value.present) == (1, 2)

    def test_of_nothing_says_so(self, database):
        with pytest.raises(UnknownTicket):
            actions.change_status(ticket_id=1, to="RESOLVED")

    def test_by_two_at_once_lets_one_through(self, ticket):
        barrier, results = Barrier(2), []

        def change(to):
            barrier.wait()
            try:
                actions.change_status(ticket_id=ticket.pk, to=to, expected_version=1)
                results.append("ok")
            except StaleVersion:
                results.append("stale")
            connection.close()

        threads = [Thread(target=change, args=(to,)) for to in ("RESOLVED", "CLOSED")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(results) == ["ok", "stale"]


class TestEditTicket:
    def test_changes_all_in_one_update(self, world, ticket, captured):
        captured()

        edited = actions.edit_ticket(
            ticket_id=ticket.pk,
            site=world.a.far,
            priority="LOW",
            description="other",
            assigned_to=world.a.operator,
        )

        assert edited.version == 2
        assert [event.type for event in captured()] == ["ticket_moved", "ticket_edited"]

    def test_without_a_difference_writes_nothing(self, ticket, captured):
        captured()

        edited = actions.edit_ticket(ticket_id=ticket.pk, priority="HIGH", assigned_to=None)

        assert edited.version == 1
        assert captured() == []

    def test_refuses_what_is_of_another_tenant(self, world, ticket):
        with pytest.raises(WrongTenant):
            actions.edit_ticket(ticket_id=ticket.pk, assigned_to=world.b.operator)
        with pytest.raises(WrongTenant):
            actions.move_ticket(ticket_id=ticket.pk, site=world.b.near)


class TestDeleteTicket:
    def test_deletes_with_its_notes(self, ticket, captured):
        actions.change_status(ticket_id=ticket.pk, to="RESOLVED", note="done")
        captured()

        actions.delete_ticket(ticket_id=ticket.pk)

        assert [event.type for event in captured()] == ["ticket_deleted"]
        assert not TicketNote.objects.exists()


class TestSaveTicket:
    def test_inside_a_transaction_is_one_update(self, ticket, captured):
        captured()
        with transaction.atomic():
            loaded = Ticket.objects.select_for_update().get(pk=ticket.pk)
            loaded.status, loaded.priority = "RESOLVED", "LOW"
            actions.save_ticket(ticket=loaded)

        assert [event.type for event in captured()] == ["ticket_edited", "ticket_updated"]
        assert loaded.version == 2
