"""The story of a ticket: in order, with who did what, and only as far as the viewer may see."""

from datetime import timedelta

import pytest
from django.db import connection

from apps.helpdesk import actions
from apps.helpdesk.models import Ticket
from apps.noc.models import Anomaly, Finding
from outbox.models import LogEntry
from tests.integration.test_moved_on import logged


@pytest.fixture
def timeline(world, api, redis_url):
    def read(ticket, who=world.a.operator, query=""):
        logged(f"tenant:{world.a.tenant.pk}")
        answer = api(who).get(f"/api/v1/tickets/{ticket.pk}/timeline/{query}")
        assert answer.status_code == 200, answer.content
        return answer.json()

    return read


def story(found):
    return [
        entry["type"] if entry["kind"] == "event" else f"{entry['actor']}: {entry['text']}"
        for entry in found["entries"]
    ]


def changes(entry):
    return {each["field"]: (each["old"], each["new"]) for each in entry["changes"]}


class TestEntries:
    def test_tell_newest_first_who_did_what(self, world, ticket, timeline):
        by = {"ticket_id": ticket.pk, "actor": world.a.operator}
        actions.acknowledge(**by)
        actions.comment(text="Carrier was called.", **by)
        actions.change_status(to="ON_HOLD", note="Vendor", **by)
        actions.edit_ticket(ticket_id=ticket.pk, priority="LOW", assigned_to=world.a.admin)

        found = timeline(ticket)

        assert set(found) == {"ticket", "entries", "before", "related"}
        assert found["ticket"]["acknowledged_by"] == "Operator Test"
        assert found["before"] is None
        assert story(found) == [
            "ticket_edited",
            "Operator Test: Vendor",
            "ticket_updated",
            "Operator Test: Carrier was called.",
            "ticket_acknowledged",
            "ticket_created",
        ]
        edited, note, updated, comment, acknowledged, created = found["entries"]
        assert set(edited) == {
            *("kind", "seq", "type", "at", "recorded_at", "actor", "changes", "replay_of"),
            "dead_letter",
        }
        assert set(comment) == {"kind", "id", "actor", "status", "text", "at"}
        assert changes(edited) == {"priority": ("HIGH", "LOW"), "assigned_to": (None, "Admin Test")}
        assert changes(updated) == {"status": ("NEW", "ON_HOLD")}
        assert changes(acknowledged) == {"acknowledged_by": (None, "Operator Test")}
        assert changes(created) == {}
        assert [e["actor"] for e in (edited, updated, created)] == [None, "Operator Test", None]
        assert (note["status"], comment["status"]) == ("ON_HOLD", None)
        assert edited["dead_letter"] is edited["replay_of"] is None

    def test_of_one_write_tell_each_of_its_own_part(self, world, ticket, timeline):
        Ticket.objects.update(site=world.a.far, description="other", status="RESOLVED")

        updated, edited, moved, _ = timeline(ticket)["entries"]

        assert changes(moved) == {"site_name": ("Near a", "Far a")}
        assert changes(edited) == {"description": ("The uplink is down", "other")}
        assert changes(updated) == {"status": ("NEW", "RESOLVED")}

    def test_name_nobody_of_another_tenant(self, world, ticket, timeline):
        actions.edit_ticket(ticket_id=ticket.pk, priority="LOW", actor=world.b.operator)

        assert timeline(ticket)["entries"][0]["actor"] is None

    def test_show_what_could_not_be_handed_over(self, world, ticket, timeline):
        logged(f"tenant:{world.a.tenant.pk}")
        entry = LogEntry.objects.get(subject=f"ticket:{ticket.pk}")
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO outbox_dead_letter (stream, seq, epoch, event_id, type, subject,"
                " payload, context, schema_version, occurred_at, recorded_at, sink, reason, error,"
                " fingerprint, attempts) SELECT e.stream, e.seq, s.epoch, e.event_id, e.type,"
                " e.subject, e.payload, e.context, 1, e.occurred_at, e.recorded_at, 's', 'poison',"
                " 'x', 'f', 3 FROM event_log e JOIN outbox_stream s ON s.name = e.stream"
                " WHERE e.event_id = %s",
                [entry.event_id],
            )

        letter = timeline(ticket)["entries"][0]["dead_letter"]

        assert (letter["state"], letter["reason"], letter["attempts"]) == ("dead", "poison", 3)


class TestPages:
    @pytest.mark.parametrize("limit", [1, 2, 3, 100])
    def test_make_the_whole_story_without_a_gap_or_a_double(self, world, ticket, timeline, limit):
        for number in range(4):
            actions.comment(ticket_id=ticket.pk, text=f"{number}")
            actions.edit_ticket(ticket_id=ticket.pk, description=f"{number}")
        whole = timeline(ticket)["entries"]

        read, query = [], f"?limit={limit}"
        while query:
            found = timeline(ticket, query=query)
            assert len(found["entries"]) <= limit
            read += found["entries"]
            query = found["before"] and f"?limit={limit}&before={found['before']}"

        assert read == whole
        assert len(whole) == 9

    @pytest.mark.parametrize(
        "query", ["limit=0", "limit=501", "before=x", "before=1", f"before=1-{'9' * 19}", "x=1"]
    )
    def test_of_nonsense_are_refused(self, world, ticket, api, query):
        path = f"/api/v1/tickets/{ticket.pk}/timeline/?{query}"

        assert api(world.a.operator).get(path).status_code == 400


class TestScope:
    def test_hides_what_happened_at_another_site(self, world, ticket, timeline):
        actions.move_ticket(ticket_id=ticket.pk, site=world.a.far)
        actions.edit_ticket(ticket_id=ticket.pk, description="secret of the far site")
        actions.edit_ticket(ticket_id=ticket.pk, priority="LOW")
        actions.move_ticket(ticket_id=ticket.pk, site=world.a.near)
        actions.edit_ticket(ticket_id=ticket.pk, description="open again")

        found = timeline(ticket, who=world.a.site_operator)

        assert story(found) == ["ticket_edited", "ticket_moved", "ticket_moved", "ticket_created"]
        edited, came, left, _ = found["entries"]
        assert changes(left) == {"site_name": ("Near a", None)}
        assert changes(came) == {}
        assert changes(edited)["description"][1] == "open again"
        assert "Far a" not in str(found)
        assert len(timeline(ticket)["entries"]) == 6

    def test_hides_what_was_written_at_another_site(self, world, ticket, timeline, api):
        path = f"/api/v1/tickets/{ticket.pk}/comments/"
        actions.comment(ticket_id=ticket.pk, text="here before")
        actions.move_ticket(ticket_id=ticket.pk, site=world.a.far)
        actions.comment(ticket_id=ticket.pk, text="secret of the far site")
        actions.change_status(ticket_id=ticket.pk, to="ON_HOLD", note="a reason of the far site")
        actions.move_ticket(ticket_id=ticket.pk, site=world.a.near)
        actions.comment(ticket_id=ticket.pk, text="here again")

        def told(entries):
            return [each["text"] for each in entries if "text" in each]

        seen = timeline(ticket, who=world.a.site_operator)["entries"]
        read = api(world.a.site_operator).get(path).json()["results"]

        assert told(seen) == told(read) == ["here again", "here before"]
        assert len(told(timeline(ticket)["entries"])) == 4
        assert len(api(world.a.operator).get(path).json()["results"]) == 4

    def test_finds_no_ticket_of_another_tenant(self, world, ticket, api):
        path = f"/api/v1/tickets/{ticket.pk}/timeline/"

        assert api(world.b.admin).get(path).status_code == 404


class TestRelated:
    def test_are_of_the_site_and_the_time(self, world, ticket, timeline):
        def find(site, title, hours):
            made = Finding.objects.create(tenant=world.a.tenant, site=site, title=title)
            at = ticket.created_at + timedelta(hours=hours)
            Finding.objects.filter(pk=made.pk).update(created_at=at)

        find(world.a.near, "before", -23)
        find(world.a.near, "after", 23)
        find(world.a.near, "too early", -25)
        find(world.a.near, "too late", 25)
        find(world.a.far, "elsewhere", 0)
        Anomaly.objects.create(
            tenant=world.a.tenant, site=world.a.near, metric="loss", observed=1, expected=0
        )

        related = timeline(ticket)["related"]

        assert [finding["title"] for finding in related["findings"]] == ["after", "before"]
        assert [anomaly["metric"] for anomaly in related["anomalies"]] == ["loss"]

    def test_are_twenty_at_most(self, world, ticket, timeline):
        for number in range(22):
            Finding.objects.create(tenant=world.a.tenant, site=world.a.near, title=f"{number}")

        titles = [finding["title"] for finding in timeline(ticket)["related"]["findings"]]

        assert titles == [str(number) for number in range(21, 1, -1)]


def test_reads_the_log_by_its_index(world, ticket, timeline):
    from outbox import sql

    timeline(ticket)
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        cursor.execute(
            "EXPLAIN " + sql.READ_SUBJECT,
            {
                "stream": f"tenant:{ticket.tenant_id}",
                "subject": f"ticket:{ticket.pk}",
                "since": ticket.created_at,
                "before": 2**62,
                "limit": 50,
                "without": [],
            },
        )
        plan = "\n".join(line for (line,) in cursor.fetchall())
    connection.close()

    assert "left_seq_idx" in plan
    assert "Seq Scan on event_log" not in plan
    assert "Sort  (" not in plan  # merged in the order of the indexes
