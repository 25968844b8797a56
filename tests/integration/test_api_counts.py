"""Filters, and the counts of what they and their neighbours mean."""

import pytest

from apps.helpdesk import actions
from apps.helpdesk.models import Ticket
from tests.integration.test_moved_on import logged

COUNTS = "/api/v1/tickets/counts/"


@pytest.fixture
def board(world):
    """Six tickets of tenant a, one of them closed, and one of tenant b."""
    near, far = world.a.near, world.a.far

    def make(site, **values):
        return actions.create_ticket(site=site, **{"description": "x", **values})

    made = {
        "new": make(near, priority="HIGH", description="Uplink of core-sw-01 down"),
        "seen": make(near, priority="LOW"),
        "worked": make(near, priority="HIGH", status="IN_PROGRESS", assigned_to=world.a.operator),
        "far": make(far, priority="CRITICAL"),
        "held": make(far, status="ON_HOLD", reason="Vendor", assigned_to=world.a.admin),
        "closed": make(near, status="CLOSED"),
    }
    make(world.b.near, description="core-sw-01 of somebody else")
    actions.acknowledge(ticket_id=made["seen"].pk, actor=world.a.operator)
    return made


def names(board, tickets):
    ids = {ticket.pk: name for name, ticket in board.items()}
    return {ids[ticket["id"]] for ticket in tickets}


class TestFilter:
    @pytest.mark.parametrize(
        ("query", "wanted"),
        [
            ("", {"new", "seen", "worked", "far", "held", "closed"}),
            ("status=NEW&status=ON_HOLD", {"new", "seen", "far", "held"}),
            ("priority=HIGH&status=NEW", {"new"}),
            ("assignee=Operator Test", {"worked"}),
            ("assignee=-", {"new", "seen", "far", "closed"}),
            ("assignee=-&assignee=Admin Test", {"new", "seen", "far", "held", "closed"}),
            ("assignee=operator-a", set()),
            ("acknowledged=false", {"new", "far"}),
            ("acknowledged=true", {"seen", "worked", "held", "closed"}),
            ("q=CORE-sw-01 down", {"new"}),
            ("q=far", {"far", "held"}),
            ("q=far admin", {"held"}),
            ("q=SITE001%231", {"new"}),
            ("q=%25", set()),
            ("q=_", set()),
            ("q=x\\", set()),
            ("q= ", {"new", "seen", "worked", "far", "held", "closed"}),
        ],
    )
    def test_takes_those_that_are_meant(self, world, board, api, query, wanted):
        client = api(world.a.operator)

        listed = client.get(f"/api/v1/tickets/?{query}").json()["results"]
        counted = client.get(f"{COUNTS}?{query}").json()["total"]

        assert names(board, listed) == wanted
        assert counted == len(wanted - {"closed"})

    def test_looks_at_the_beginning_of_a_description_only(self, world, api):
        actions.create_ticket(site=world.a.near, description="x" * 195 + " beginend")

        def total(word):
            return api(world.a.operator).get(f"{COUNTS}?q={word}").json()["total"]

        assert (total("begi"), total("beginend")) == (1, 0)

    def test_finds_who_has_no_full_name_by_the_user_name(self, world, board, api):
        world.a.admin.first_name = world.a.admin.last_name = ""
        world.a.admin.save()

        found = api(world.a.operator).get("/api/v1/tickets/?assignee=admin-a").json()["results"]

        assert names(board, found) == {"held"}

    @pytest.mark.parametrize(
        "query",
        [
            *("acknowledged=x", "acknowledged=1", "assignee=", "q=%00", "nonsense=1", "site=x"),
            "q=" + "x" * 201,
        ],
    )
    @pytest.mark.parametrize("path", [COUNTS, "/api/v1/tickets/"])
    def test_refuses_nonsense(self, world, api, path, query):
        answer = api(world.a.operator).get(f"{path}?{query}")

        assert answer.status_code == 400
        assert answer["Content-Type"] == "application/problem+json"


class TestCounts:
    def test_without_a_filter_count_all_that_is_open(self, world, board, api, redis_url):
        logged(f"tenant:{world.a.tenant.pk}")

        found = api(world.a.operator).get(COUNTS).json()

        assert found.pop("epoch")
        assert found == {
            "seq": 7,
            "total": 5,
            "unacknowledged": 2,
            "by_status": {"NEW": 3, "IN_PROGRESS": 1, "ON_HOLD": 1, "RESOLVED": 0},
            "by_priority": {"LOW": 1, "MEDIUM": 1, "HIGH": 2, "CRITICAL": 1},
            "by_site": [
                {
                    "site_id": world.a.far.pk,
                    "site_name": "Far a",
                    "open": 2,
                    "unacknowledged": 1,
                    "by_priority": {"LOW": 0, "MEDIUM": 1, "HIGH": 0, "CRITICAL": 1},
                },
                {
                    "site_id": world.a.near.pk,
                    "site_name": "Near a",
                    "open": 3,
                    "unacknowledged": 1,
                    "by_priority": {"LOW": 1, "MEDIUM": 0, "HIGH": 2, "CRITICAL": 0},
                },
            ],
        }

    def test_of_a_facet_leave_out_its_own_part_of_the_filter(self, world, board, api):
        client = api(world.a.operator)

        found = client.get(f"{COUNTS}?status=NEW&site={world.a.near.pk}&priority=LOW").json()

        assert (found["total"], found["unacknowledged"]) == (1, 0)
        assert found["by_status"] == {"NEW": 1, "IN_PROGRESS": 0, "ON_HOLD": 0, "RESOLVED": 0}
        assert found["by_priority"] == {"LOW": 1, "MEDIUM": 0, "HIGH": 1, "CRITICAL": 0}
        assert [site["site_name"] for site in found["by_site"]] == ["Near a"]

    def test_of_the_unacknowledged_leave_out_the_acknowledgement(self, world, board, api):
        found = api(world.a.operator).get(f"{COUNTS}?acknowledged=true").json()

        assert (found["total"], found["unacknowledged"]) == (3, 2)
        assert {s["site_name"]: (s["open"], s["unacknowledged"]) for s in found["by_site"]} == {
            "Near a": (2, 1),
            "Far a": (1, 1),
        }

    def test_are_those_of_the_sites_in_scope(self, world, board, api):
        found = api(world.a.site_operator).get(COUNTS).json()

        assert found["total"] == 3
        assert [site["site_name"] for site in found["by_site"]] == ["Near a"]

    def test_cost_the_same_for_one_as_for_many(self, world, board, api, django_assert_num_queries):
        client = api(world.a.operator)
        client.get(COUNTS)

        # token, throttle, access, begin, the moment, head, groups, commit
        with django_assert_num_queries(8):
            client.get(f"{COUNTS}?status=NEW&q=x&assignee=-&acknowledged=false")


class TestDirectory:
    def test_of_members_names_those_who_may_write(self, world, api):
        world.a.admin.is_active = False
        world.a.admin.save()

        rows = api(world.a.reader).get("/api/v1/members/").json()["results"]

        assert [(row["name"], row["username"]) for row in rows] == [
            ("Operator Test", "operator-a"),
            ("Siteop Test", "siteop-a"),
        ]
        assert rows[0]["id"] == world.a.operator.pk

    def test_of_sites_is_the_scope(self, world, api):
        def codes(user):
            rows = api(user).get("/api/v1/sites/").json()["results"]
            return [(row["id"], row["code"], row["name"]) for row in rows]

        assert codes(world.a.site_operator) == [(world.a.near.pk, "SITE001", "Near a")]
        assert len(codes(world.a.operator)) == 2


def test_closed_tickets_are_not_counted_whatever_the_filter(world, board, api):
    assert Ticket.objects.filter(status="CLOSED").exists()

    assert api(world.a.operator).get(f"{COUNTS}?status=CLOSED").json()["total"] == 0
