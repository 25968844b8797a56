"""Which events of a ticket are stale: those whose ticket has changed since, or is gone."""

from typing import Any

from apps.helpdesk.actions import change_status, delete_ticket, edit_ticket
from apps.helpdesk.moved_on import moved_on
from outbox import log, relay
from outbox.lanes import lane_of


def logged(stream: str) -> list[log.LogRow]:
    """Record what was captured, and return all of it."""
    from time import monotonic

    relay.drain(lane_of(stream, 8), deadline=monotonic() + 20)
    return log.read(stream, 0, 100)


class TestMovedOn:
    def test_names_the_version_that_the_ticket_has_moved_to(
        self, redis_url: str, ticket: Any
    ) -> None:
        stream = f"tenant:{ticket.tenant_id}"
        change_status(ticket_id=ticket.pk, to="IN_PROGRESS")
        edit_ticket(ticket_id=ticket.pk, priority="LOW")
        created, updated, edited = logged(stream)

        assert moved_on([created, updated, edited]) == {
            created.event_id: "the ticket has since moved to version 3",
            updated.event_id: "the ticket has since moved to version 3",
        }

    def test_is_empty_for_the_present_state(self, redis_url: str, ticket: Any) -> None:
        assert moved_on(logged(f"tenant:{ticket.tenant_id}")) == {}

    def test_names_a_deleted_ticket_but_not_for_the_deletion_itself(
        self, redis_url: str, ticket: Any
    ) -> None:
        stream = f"tenant:{ticket.tenant_id}"
        delete_ticket(ticket_id=ticket.pk)
        created, deleted = logged(stream)

        assert moved_on([created, deleted]) == {created.event_id: "the ticket is deleted"}

    def test_costs_one_query_for_any_number_of_rows(
        self, redis_url: str, ticket: Any, django_assert_num_queries: Any
    ) -> None:
        rows = logged(f"tenant:{ticket.tenant_id}") * 50
        with django_assert_num_queries(1):
            moved_on(rows)

    def test_leaves_rows_of_another_shape_to_others(self, redis_url: str, ticket: Any) -> None:
        from dataclasses import replace

        (row,) = logged(f"tenant:{ticket.tenant_id}")
        odd: list[Any] = [
            {},
            {"ticket_id": "7", "version": 1},
            {"ticket_id": 7},
            {"ticket_id": 2**70, "version": 1},
            {"ticket_id": True, "version": 1},
            ["no object"],
            None,
        ]

        assert moved_on([replace(row, payload=payload) for payload in odd]) == {}
