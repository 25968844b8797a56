"""The board over HTTP: a snapshot, and the events that go on from it."""

from time import monotonic

import pytest

from apps.helpdesk import actions
from apps.noc.models import Finding
from apps.tenancy.models import Membership
from outbox import relay
from outbox.lanes import lane_of

SNAPSHOT = "/api/v1/noc/snapshot/"
EVENTS = "/api/v1/noc/events/"


def record(tenant):
    relay.drain(lane_of(f"tenant:{tenant.pk}", 8), deadline=monotonic() + 30)


@pytest.fixture
def log(world, redis_url):
    """Tickets near and far with a few changes, recorded: seven events."""
    near = actions.create_ticket(site=world.a.near, description="x")
    far = actions.create_ticket(site=world.a.far, description="x")
    actions.change_status(ticket_id=far.pk, to="IN_PROGRESS")
    actions.move_ticket(ticket_id=near.pk, site=world.a.far)
    actions.change_status(ticket_id=far.pk, to="RESOLVED")
    Finding.objects.create(tenant=world.a.tenant, title="of the whole tenant")
    again = actions.create_ticket(site=world.a.near, description="y")
    record(world.a.tenant)
    return {"near": near, "far": far, "again": again}


class TestSnapshot:
    def test_holds_the_open_tickets_and_where_the_log_stands(self, world, api, log):
        actions.change_status(ticket_id=log["far"].pk, to="CLOSED")

        board = api(world.a.operator).get(SNAPSHOT).json()

        assert set(board) == {"epoch", "seq", "scope", "tickets"}
        assert board["seq"] == 7
        assert [t["id"] for t in board["tickets"]] == [log["near"].pk, log["again"].pk]

    def test_of_a_tenant_without_events_begins_at_zero(self, world, api):
        board = api(world.b.operator).get(SNAPSHOT).json()

        assert (board["seq"], board["tickets"]) == (0, [])

    def test_cuts_descriptions_like_the_events(self, world, api):
        actions.create_ticket(site=world.a.near, description="🔥" * 300)

        [ticket] = api(world.a.operator).get(SNAPSHOT).json()["tickets"]

        assert ticket["description"] == "🔥" * 200

    def test_and_the_events_after_it_make_the_next_snapshot(self, world, api, log):
        client = api(world.a.operator)
        board = client.get(SNAPSHOT).json()
        rows = {ticket["id"]: ticket for ticket in board["tickets"]}
        actions.edit_ticket(ticket_id=log["near"].pk, priority="LOW", description="z" * 500)
        actions.change_status(ticket_id=log["again"].pk, to="CANCELLED")
        actions.delete_ticket(ticket_id=log["far"].pk)
        actions.create_ticket(site=world.a.near, description="new", priority="CRITICAL")
        record(world.a.tenant)

        page = client.get(f"{EVENTS}?after_seq={board['seq']}&epoch={board['epoch']}").json()
        for event in page["results"]:
            apply(rows, event)

        fresh = {t["id"]: t for t in client.get(SNAPSHOT).json()["tickets"]}
        assert {key: without_created(row) for key, row in rows.items()} == {
            key: without_created(row) for key, row in fresh.items()
        }


def apply(rows, event):
    """Keep a board by the rule of the protocol."""
    ticket_id = event.get("ticket_id")
    if event["type"] == "ticket_deleted":
        rows.pop(ticket_id, None)
        return
    row = {key: event.get(key, event.get("new_status")) for key in (
        "ticket_no", "status", "priority", "assigned_to", "site_id", "site_name", "description",
        "updated_at", "version")}  # fmt: skip
    if ticket_id in rows and rows[ticket_id]["version"] >= row["version"]:
        return
    rows[ticket_id] = {"id": ticket_id, **row}
    if row["status"] in ("CLOSED", "CANCELLED"):
        del rows[ticket_id]


def without_created(row):
    return {key: value for key, value in row.items() if key != "created_at"}


class TestEvents:
    def test_read_like_their_frames_with_the_time_of_recording(self, world, api, log):
        page = api(world.a.operator).get(EVENTS).json()

        assert (page["head"], page["position"]) == (7, 7)
        assert [event["seq"] for event in page["results"]] == [1, 2, 3, 4, 5, 6, 7]
        assert [event["prev"] for event in page["results"]] == [0, 1, 2, 3, 4, 5, 6]
        third = page["results"][2]
        assert third["type"] == "ticket_updated"
        assert (third["old_status"], third["new_status"]) == ("NEW", "IN_PROGRESS")
        assert third["recorded_at"].endswith("Z")
        assert third["epoch"] == page["epoch"]

    def test_page_by_after_seq_and_limit(self, world, api, log):
        client = api(world.a.operator)

        page = client.get(f"{EVENTS}?after_seq=2&limit=3").json()

        assert [event["seq"] for event in page["results"]] == [3, 4, 5]
        assert page["position"] == 5
        assert page["head"] == 7

    def test_of_a_narrow_scope_leave_out_the_rest_without_a_gap(self, world, api, log):
        client = api(world.a.site_operator)
        seen, position = [], 0

        while True:
            page = client.get(f"{EVENTS}?after_seq={position}&limit=1").json()
            seen += page["results"]
            if page["position"] == page["head"]:
                break
            position = page["position"]

        assert [(e["type"], e["seq"]) for e in seen] == [
            ("ticket_created", 1),
            ("ticket_moved", 4),
            ("ticket_created", 7),
        ]
        assert set(seen[1]) >= {"ticket_id", "ticket_no", "site_id"}
        assert "status" not in seen[1]  # it left: nothing of where it went

    def test_of_the_head_are_none(self, world, api, log):
        page = api(world.a.operator).get(f"{EVENTS}?after_seq=7").json()

        assert page["results"] == []
        assert page["position"] == 7

    @pytest.mark.parametrize(
        ("query", "reason"),
        [
            ("after_seq=8", "ahead"),
            ("after_seq=9223372036854775807", "ahead"),
            ("after_seq=1&epoch=00000000-0000-0000-0000-000000000000", "epoch"),
            ("after_seq=1&epoch=nonsense", "epoch"),
        ],
    )
    def test_of_a_foreign_cursor_are_410_with_the_reason(self, world, api, log, query, reason):
        answer = api(world.a.operator).get(f"{EVENTS}?{query}")

        assert answer.status_code == 410
        problem = answer.json()
        assert problem["reason"] == reason
        assert problem["head"] == 7
        assert "snapshot" in problem["detail"]

    def test_of_another_tenants_epoch_and_place_are_ones_own(self, world, api, log):
        page = api(world.b.operator).get(EVENTS).json()

        assert page["results"] == []
        assert page["head"] == 0


class TestScope:
    @pytest.fixture
    def client(self, world, api, log):
        return api(world.a.site_operator)

    @pytest.fixture
    def board(self, client):
        return client.get(SNAPSHOT).json()

    @staticmethod
    def after(client, board, **more):
        cursor = {"after_seq": board["seq"], "epoch": board["epoch"], "scope": board["scope"]}
        return client.get(EVENTS, cursor | more)

    def test_goes_on_from_the_snapshot_through_the_pages(self, client, board):
        first = self.after(client, board, after_seq=0, limit=1)
        second = self.after(client, first.json() | {"seq": first.json()["position"]})

        assert [answer.status_code for answer in (first, second)] == [200, 200]
        assert first.json()["scope"] == second.json()["scope"] == board["scope"]

    @pytest.mark.parametrize("change", ["one more", "one less", "all of them"])
    def test_of_other_sites_is_410_until_the_next_snapshot(self, world, client, board, change):
        membership = world.a.site_operator.membership
        match change:
            case "one more":
                membership.sites.add(world.a.far)
            case "one less":
                membership.sites.clear()
            case "all of them":
                Membership.objects.filter(pk=membership.pk).update(all_sites=True)

        refused = self.after(client, board)

        assert refused.status_code == 410
        assert refused.json()["reason"] == "scope"
        assert "snapshot" in refused.json()["detail"]
        assert self.after(client, client.get(SNAPSHOT).json()).status_code == 200

    def test_of_another_tenant_is_another_one(self, world, api):
        boards = [api(party.operator).get(SNAPSHOT).json() for party in (world.a, world.b)]

        assert boards[0]["scope"] != boards[1]["scope"]
        assert self.after(api(world.b.operator), boards[0]).json()["reason"] == "scope"

    def test_is_the_former_one_when_the_sites_are(self, world, client, board):
        sites = world.a.site_operator.membership.sites
        sites.set([world.a.far])
        assert self.after(client, board).status_code == 410
        sites.set([world.a.near])

        assert self.after(client, board).status_code == 200

    def test_that_is_not_given_is_not_looked_at(self, world, client, board):
        world.a.site_operator.membership.sites.add(world.a.far)

        assert client.get(f"{EVENTS}?after_seq={board['seq']}").status_code == 200


class TestSightings:
    def test_are_reported_and_captured(self, world, api, captured):
        body = {"site_id": world.a.near.pk, "title": "Silent site", "severity": "HIGH"}

        answer = api(world.a.operator).post("/api/v1/noc/findings/", body, format="json")

        assert answer.status_code == 201
        assert answer.json()["site_name"] == "Near a"
        assert answer.json()["status"] == "NEW"
        [event] = captured()
        assert event.type == "finding_created"
        assert event.context["actor"] == f"user:{world.a.operator.pk}"

    def test_of_the_whole_tenant_need_the_whole_scope(self, world, api):
        body = {"metric": "loss", "observed": 0.5, "expected": 0}

        whole = api(world.a.operator).post("/api/v1/noc/anomalies/", body, format="json")
        narrow = api(world.a.site_operator).post("/api/v1/noc/anomalies/", body, format="json")

        assert whole.status_code == 201
        assert whole.json()["site_id"] is None
        assert narrow.status_code == 400
