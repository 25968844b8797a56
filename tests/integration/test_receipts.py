"""Who received event N and confirmed it: derived from parts, and read by API and admin."""

import re
import uuid
from datetime import timedelta
from time import monotonic

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from apps.helpdesk import actions
from apps.noc.management.commands.seed_demo import staff_permissions
from apps.noc.models import FeedSession, Finding
from apps.noc.receipts import admin as receipts_admin
from apps.noc.receipts import derive, store
from apps.tenancy import history_admin
from apps.tenancy.models import Membership
from outbox import log, relay
from outbox.lanes import lane_of
from tests.integration.receipt_parts import later, part_of

EVENTS = "/api/v1/noc/events/"
LIST = "/admin/noc/feedsession/"
PAGE = f"{LIST}receipts/"
# What the fixture ``events`` records, by number.
NEAR, FAR, MOVED, WHOLE = 1, 2, 3, 4


@pytest.fixture
def events(world, redis_url):
    """Events 1 to 4: of the near site, of the far one, a move from near to far, of the tenant."""
    moved = actions.create_ticket(site=world.a.near, description="x")
    actions.create_ticket(site=world.a.far, description="x")
    actions.move_ticket(ticket_id=moved.pk, site=world.a.far)
    Finding.objects.create(tenant=world.a.tenant, title="of the whole tenant")
    record(world.a.tenant)


def record(tenant):
    relay.drain(lane_of(f"tenant:{tenant.pk}", 8), deadline=monotonic() + 30)


@pytest.fixture
def part(world, events):
    """Make a part of a connection to the present log of the user's tenant."""

    def make(user, **values):
        epoch = log.head(f"tenant:{user.membership.tenant_id}").epoch
        return part_of(user, **({"epoch": epoch} | values))

    return make


@pytest.fixture
def received(world):
    """Return the names of the users who received an event of tenant a, once per connection."""

    def names(seq):
        found = derive.receipts(derive.row_of(world.a.tenant.pk, seq))
        return sorted(User.objects.get(pk=r.user_id).username for r in found)

    return names


def the_receipt(world, seq):
    [receipt] = derive.receipts(derive.row_of(world.a.tenant.pk, seq))
    return receipt


class TestReceipt:
    def test_is_of_what_comes_after_the_start_up_to_what_was_sent(self, world, part, received):
        store.save([part(world.a.operator, start=1, sent=3)])

        assert {seq: received(seq) for seq in (1, 2, 3, 4)} == {
            1: [],
            2: ["operator-a"],
            3: ["operator-a"],
            4: [],
        }

    @pytest.mark.parametrize(
        ("sites", "seen"),
        [
            (None, [NEAR, FAR, MOVED, WHOLE]),
            (["near"], [NEAR, MOVED]),
            (["far"], [FAR, MOVED]),
            (["near", "far"], [NEAR, FAR, MOVED]),
            ([], []),
        ],
    )
    def test_is_of_what_the_scope_sees(self, world, part, received, sites, seen):
        scope = None if sites is None else [getattr(world.a, name) for name in sites]
        store.save([part(world.a.operator, sent=4, sites=scope)])

        assert [seq for seq in (1, 2, 3, 4) if received(seq)] == seen

    def test_of_an_event_that_could_not_be_a_frame_is_everybodys(self, world, part, received):
        relay_unknown_type(world.a.tenant)
        store.save([part(world.a.site_operator, sent=5, sites=[world.a.near])])

        assert received(5) == ["siteop-a"]

    def test_is_not_of_another_epoch(self, world, part, received):
        store.save([part(world.a.operator, sent=4, epoch=uuid.uuid4())])

        assert received(1) == []

    def test_is_not_of_another_tenant(self, world, part, received):
        epoch = log.head(f"tenant:{world.a.tenant.pk}").epoch
        store.save([part(world.b.operator, sent=4, epoch=epoch)])

        assert received(1) == []

    def test_is_not_of_the_hole_between_two_parts(self, world, part, received):
        first = part(world.a.operator, sent=1)
        further_on = part(world.a.operator, session=first.session, part=1, start=3, sent=4)
        store.save([first, further_on])

        assert [received(seq) for seq in (1, 2, 3, 4)] == [["operator-a"], [], [], ["operator-a"]]

    def test_of_a_closed_part_stays(self, world, part, received):
        store.save([part(world.a.operator, sent=4, closed_at=later(60), close_code=4000)])

        assert received(4) == ["operator-a"]

    def test_goes_with_its_user(self, world, part, received):
        store.save([part(world.a.operator, sent=4), part(world.a.reader, sent=4)])
        world.a.reader.delete()

        assert received(1) == ["operator-a"]

    def test_is_one_for_two_parts_of_a_session(self, world, part):
        wide = part(world.a.operator, sent=4, acked=0)
        narrow = part(
            world.a.operator,
            session=wide.session,
            part=1,
            sent=4,
            acked=4,
            acked_at=later(5),
            sites=[world.a.near],
        )
        store.save([wide, narrow])

        receipt = the_receipt(world, NEAR)

        assert (receipt.confirmed, receipt.confirmed_by) == (True, later(5))
        assert receipt.part_id == FeedSession.objects.get(part=1).pk
        assert not the_receipt(world, FAR).confirmed

    def test_counts_the_first_confirmation_of_two_parts(self, world, part):
        first = part(world.a.operator, sent=4, acked=4, acked_at=later(5))
        again = part(
            world.a.operator, session=first.session, part=1, sent=4, acked=4, acked_at=later(50)
        )
        store.save([first, again])

        assert the_receipt(world, NEAR).confirmed_by == later(5)

    def test_is_one_query(self, world, part, django_assert_num_queries):
        store.save([part(world.a.operator, sent=4) for _ in range(50)])
        row = derive.row_of(world.a.tenant.pk, 1)

        with django_assert_num_queries(1):
            assert len(derive.receipts(row)) == 50


def relay_unknown_type(tenant):
    from django.db import transaction

    import outbox

    with transaction.atomic():
        outbox.publish(
            stream=f"tenant:{tenant.pk}", type="unheard_of", subject="x:1", payload={"a": 1}
        )
    record(tenant)


class TestConfirmation:
    def test_is_of_what_was_acknowledged(self, world, part):
        store.save([part(world.a.operator, sent=4, acked=2, acked_at=later(5))])

        assert [the_receipt(world, seq).confirmed for seq in (1, 2, 3, 4)] == [
            True,
            True,
            False,
            False,
        ]
        assert the_receipt(world, 2).confirmed_by == later(5)
        assert the_receipt(world, 3).confirmed_by is None

    def test_of_news_came_within_the_slowest_time_after_it_was_recorded(self, world, part):
        row = derive.row_of(world.a.tenant.pk, 1)
        store.save(
            [
                part(
                    world.a.operator,
                    sent=4,
                    acked=4,
                    opened_at=row.recorded_at,
                    acked_at=row.recorded_at + timedelta(hours=1),
                    slowest_ack_ms=250,
                )
            ]
        )

        assert the_receipt(world, 1).confirmed_by == row.recorded_at + timedelta(milliseconds=250)

    def test_of_history_is_known_by_the_last_acknowledgement_alone(self, world, part):
        row = derive.row_of(world.a.tenant.pk, 1)
        opened_at = row.recorded_at + timedelta(microseconds=1)
        acked_at = row.recorded_at + timedelta(hours=1)
        store.save(
            [
                part(
                    world.a.operator,
                    sent=4,
                    acked=4,
                    opened_at=opened_at,
                    acked_at=acked_at,
                    slowest_ack_ms=250,
                )
            ]
        )

        assert the_receipt(world, 1).confirmed_by == acked_at

    def test_is_never_later_than_the_last_acknowledgement(self, world, part):
        row = derive.row_of(world.a.tenant.pk, 1)
        acked_at = row.recorded_at + timedelta(seconds=1)
        store.save(
            [
                part(
                    world.a.operator,
                    sent=4,
                    acked=4,
                    opened_at=row.recorded_at - timedelta(seconds=9),
                    acked_at=acked_at,
                    slowest_ack_ms=60_000,
                )
            ]
        )

        assert the_receipt(world, 1).confirmed_by == acked_at


class TestEvent:
    @pytest.mark.parametrize("seq", [NEAR, FAR, MOVED, WHOLE])
    def test_reads_as_in_the_list(self, world, events, api, seq):
        client = api(world.a.operator)

        event = client.get(f"{EVENTS}{seq}/").json()

        assert event == client.get(f"{EVENTS}?after_seq={seq - 1}&limit=1").json()["results"][0]

    def test_that_left_the_scope_tells_nothing_of_where_it_went(self, world, events, api):
        client = api(world.a.site_operator)

        event = client.get(f"{EVENTS}{MOVED}/").json()

        assert (event["type"], event["site_id"]) == ("ticket_moved", world.a.near.pk)
        assert "status" not in event
        assert event == client.get(f"{EVENTS}?after_seq=2&limit=1").json()["results"][0]

    @pytest.mark.parametrize("tail", ["", "receipts/"])
    @pytest.mark.parametrize("seq", ["0", "5", "99", "9" * 19, "9" * 40])
    def test_that_is_not_there_is_404(self, world, events, api, seq, tail):
        answer = api(world.a.admin).get(f"{EVENTS}{seq}/{tail}")

        assert answer.status_code == 404
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["detail"] == f"There is no event {seq} in your scope."

    @pytest.mark.parametrize("tail", ["", "receipts/"])
    @pytest.mark.parametrize(
        ("party", "who", "seq"),
        [("b", "admin", NEAR), ("b", "operator", NEAR), ("a", "site_operator", FAR),
         ("a", "site_operator", WHOLE)],
    )  # fmt: skip
    def test_out_of_scope_is_404_as_if_it_were_not_there(
        self, world, events, api, party, who, seq, tail
    ):
        answer = api(getattr(getattr(world, party), who)).get(f"{EVENTS}{seq}/{tail}")

        assert answer.status_code == 404
        assert answer.json()["detail"] == f"There is no event {seq} in your scope."

    @pytest.mark.parametrize("tail", ["", "receipts/"])
    def test_that_is_no_longer_kept_is_404_and_names_the_oldest(self, world, events, api, tail):
        trim(through=2)

        answer = api(world.a.admin).get(f"{EVENTS}2/{tail}")

        assert answer.status_code == 404
        assert answer.json()["min_seq"] == 3
        assert "min_seq" in answer.json()["detail"]
        assert api(world.a.operator).get(f"{EVENTS}3/").status_code == 200

    @pytest.mark.parametrize("tail", ["", "receipts/"])
    def test_needs_noc_view(self, world, events, api, tail):
        Membership.objects.filter(user=world.a.admin).update(capabilities=["tenant:admin"])

        for user in (world.a.guest, world.a.admin):
            answer = api(user).get(f"{EVENTS}1/{tail}")
            assert answer.status_code == 403
            assert "noc:view" in answer.json()["detail"]
        assert api().get(f"{EVENTS}1/{tail}").status_code == 401

    def test_is_only_read(self, world, events, api):
        for method in ("post", "put", "patch", "delete"):
            assert getattr(api(world.a.admin), method)(f"{EVENTS}1/").status_code == 405


def trim(*, through):
    """Take the oldest events from the log, as dropping their partition does."""
    from django.db import connection, transaction

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute("DELETE FROM event_log WHERE seq <= %s", [through])


class TestReceiptsView:
    def test_names_users_and_sessions_and_when_they_confirmed(self, world, part, api):
        mine = part(
            world.a.site_operator,
            sent=4,
            acked=1,
            sites=[world.a.near],
            acked_at=later(5),
            closed_at=later(60),
            close_code=4000,
        )
        store.save([part(world.a.operator, sent=2)])
        store.save([mine])

        answer = api(world.a.admin).get(f"{EVENTS}1/receipts/").json()

        event = api(world.a.admin).get(f"{EVENTS}1/").json()
        assert {key: answer[key] for key in ("seq", "epoch", "event_id")} == {
            key: event[key] for key in ("seq", "epoch", "event_id")
        }
        assert (answer["received"], answer["confirmed"]) == (2, 1)
        assert (answer["next"], answer["previous"]) == (None, None)
        assert answer["results"][0] == {
            "user": "siteop-a",
            "name": "Siteop Test",
            "session": str(mine.session),
            "scope": {"sites": [world.a.near.pk]},
            "opened_at": "2026-11-24T12:00:00.000000Z",
            "closed_at": "2026-11-24T12:01:00.000000Z",
            "close_code": 4000,
            "confirmed": True,
            "confirmed_by": "2026-11-24T12:00:05.000000Z",
        }
        other = answer["results"][1]
        assert (other["user"], other["scope"]) == ("operator-a", {"sites": "*"})
        assert (other["closed_at"], other["close_code"]) == (None, None)
        assert (other["confirmed"], other["confirmed_by"]) == (False, None)

    def test_counts_a_user_of_two_sessions_once(self, world, part, api):
        store.save(
            [
                part(world.a.operator, sent=4, acked=4, acked_at=later(1)),
                part(world.a.operator, sent=4),
                part(world.a.reader, sent=4),
            ]
        )

        answer = api(world.a.admin).get(f"{EVENTS}1/receipts/").json()

        assert (answer["received"], answer["confirmed"]) == (2, 1)
        assert len(answer["results"]) == 3

    def test_of_an_event_that_nobody_received_is_empty(self, world, events, api):
        answer = api(world.a.admin).get(f"{EVENTS}1/receipts/").json()

        assert (answer["received"], answer["confirmed"], answer["results"]) == (0, 0, [])

    @pytest.mark.parametrize("who", ["operator", "site_operator", "reader"])
    def test_needs_tenant_admin(self, world, part, api, who):
        store.save([part(world.a.operator, sent=4)])

        answer = api(getattr(world.a, who)).get(f"{EVENTS}1/receipts/")

        assert answer.status_code == 403
        assert "tenant:admin" in answer.json()["detail"]
        assert "operator-a" not in answer.content.decode()

    def test_pages_by_cursor(self, world, part, api):
        store.save([part(world.a.operator, sent=4) for _ in range(5)])
        client = api(world.a.admin)
        seen, path = [], f"{EVENTS}1/receipts/?limit=2"

        while path is not None:
            page = client.get(path).json()
            assert len(page["results"]) <= 2
            assert page["received"] == 1
            seen += [entry["session"] for entry in page["results"]]
            path = page["next"]

        assert len(seen) == len(set(seen)) == 5

    @pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=501", "cursor=x", "what=1"])
    def test_refuses_a_query_that_it_does_not_know(self, world, events, api, query):
        answer = api(world.a.admin).get(f"{EVENTS}1/receipts/?{query}")

        assert answer.status_code in (400, 404)
        assert answer["Content-Type"] == "application/problem+json"

    def test_asks_the_database_as_often_for_one_as_for_many(
        self, world, part, api, django_assert_max_num_queries
    ):
        store.save([part(user, sent=4) for user in (world.a.operator, world.a.reader) * 20])
        client = api(world.a.admin)

        with django_assert_max_num_queries(6):
            assert len(client.get(f"{EVENTS}1/receipts/").json()["results"]) == 40


@pytest.fixture
def root(database):
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def staff(world):
    """The admin of tenant a, who may look at the sessions."""
    user = world.a.admin
    user.is_staff = True
    user.save()
    user.user_permissions.set(
        [*staff_permissions(), Permission.objects.get(codename="view_feedsession")]
    )
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def sessions(world, part):
    """A session of each tenant's operator, and one of tenant a's site operator."""
    store.save(
        [
            part(world.a.operator, sent=4, acked=4, acked_at=later(1)),
            part(world.a.site_operator, sent=4, sites=[world.a.near]),
            part(world.b.operator, sent=4, closed_at=later(2), close_code=4000),
        ]
    )


class TestSessionList:
    def test_shows_everybody_to_the_superuser(self, sessions, root):
        text = root.get(LIST).content.decode()

        assert "operator-a" in text
        assert "operator-b" in text
        assert "every site" in text

    def test_shows_the_own_tenant_to_its_admin(self, world, sessions, staff):
        text = staff.get(LIST).content.decode()

        assert "siteop-a" in text
        assert "operator-b" not in text
        assert "Tenant B" not in text
        foreign = FeedSession.objects.get(tenant=world.b.tenant)
        page = staff.get(f"{LIST}{foreign.pk}/change/", follow=True).content.decode()
        assert "Perhaps it was deleted?" in page
        assert str(foreign.session) not in page

    def test_is_closed_to_staff_without_tenant_admin(self, world, sessions, staff):
        Membership.objects.filter(user=world.a.admin).update(capabilities=["noc:view"])

        assert staff.get(LIST).status_code == 403
        assert staff.get(f"{PAGE}?tenant={world.a.tenant.pk}&seq=1").status_code == 403

    def test_is_only_read(self, sessions, root):
        row = FeedSession.objects.order_by("id").first()

        assert root.get(f"{LIST}{row.pk}/change/").status_code == 200
        assert root.get(f"{LIST}add/").status_code == 403
        assert root.post(f"{LIST}{row.pk}/change/", {"sent_seq": 9}).status_code == 403
        assert root.post(f"{LIST}{row.pk}/delete/", {"post": "yes"}).status_code == 403
        assert "delete_selected" not in root.get(LIST).content.decode()
        assert FeedSession.objects.count() == 3

    def test_finds_by_user_and_by_session(self, sessions, root):
        session = FeedSession.objects.get(user__username="siteop-a").session

        for term in ("siteop-a", str(session)):
            text = root.get(LIST, {"q": term}).content.decode()
            assert "siteop-a" in text
            assert "operator-b" not in text

    def test_tells_open_from_closed(self, sessions, root):
        open_ones = root.get(LIST, {"state": "open"}).content.decode()
        closed_ones = root.get(LIST, {"state": "closed"}).content.decode()

        assert "operator-a" in open_ones
        assert "operator-b" not in open_ones
        assert "operator-a" not in closed_ones
        assert "4000" in closed_ones

    @pytest.mark.parametrize(
        "query", ["q=%00", "q=x", "state=open", "state=x", "tenant=x", "p=9", "o=1"]
    )
    def test_of_any_query_is_no_500(self, sessions, root, query):
        root.raise_request_exception = False

        assert root.get(f"{LIST}?{query}").status_code in (200, 302, 400)

    def test_counts_no_further_than_it_pages(self, sessions, root, monkeypatch):
        monkeypatch.setattr(history_admin, "MAX_COUNTED", 2)

        assert "2 feed sessions" in root.get(LIST).content.decode()

    def test_asks_the_database_as_often_for_one_as_for_many(
        self, world, part, root, django_assert_max_num_queries
    ):
        store.save([part(world.a.operator, sent=4) for _ in range(40)])

        with django_assert_max_num_queries(8):
            assert root.get(LIST).status_code == 200

    def test_does_not_keep_a_user_from_being_deleted(self, world, sessions, root):
        path = f"/admin/auth/user/{world.a.operator.pk}/delete/"

        assert root.post(path, {"post": "yes"}).status_code == 302

        assert not User.objects.filter(pk=world.a.operator.pk).exists()
        assert FeedSession.objects.count() == 2


class TestReceiptsPage:
    def test_is_linked_from_the_list(self, sessions, root, staff):
        for client in (root, staff):
            assert f'href="{PAGE}"' in client.get(LIST).content.decode()
            assert client.get(PAGE).status_code == 200

    def test_shows_who_received_and_confirmed_an_event(self, world, sessions, staff):
        text = staff.get(PAGE, {"tenant": world.a.tenant.pk, "seq": 1}).content.decode()

        assert "Event 1: ticket_created" in text
        assert "Received by 2 users, confirmed by 1." in text
        assert "operator-a (Operator Test)" in text
        assert "2026-11-24 12:00:01" in text
        assert "not confirmed" in text

    def test_offers_and_finds_the_own_tenant_only(self, world, sessions, staff, root):
        record_of_b(world)

        assert "Tenant B" not in staff.get(PAGE).content.decode()
        refused = staff.get(PAGE, {"tenant": world.b.tenant.pk, "seq": 1}).content.decode()
        assert "Select a valid choice" in refused
        assert "operator-b" not in refused
        assert "operator-b" in (
            root.get(PAGE, {"tenant": world.b.tenant.pk, "seq": 1}).content.decode()
        )

    def test_finds_no_event_out_of_the_admins_sites(self, world, sessions, staff):
        Membership.objects.filter(user=world.a.admin).update(all_sites=False)
        world.a.admin.membership.sites.set([world.a.near])

        far = staff.get(PAGE, {"tenant": world.a.tenant.pk, "seq": FAR}).content.decode()
        near = staff.get(PAGE, {"tenant": world.a.tenant.pk, "seq": NEAR}).content.decode()

        assert "There is no event 2 in your scope" in far
        assert "operator-a" not in far
        assert "operator-a" in near

    def told(self, client, world, seq):
        """Return the groups that the page names and the slice of the round."""
        text = client.get(PAGE, {"tenant": world.a.tenant.pk, "seq": seq}).content.decode()
        found = re.search(r"Handed to (.*) at .*, with the events (\d+ to \d+)\.", text)
        return (found[1].split(", "), found[2]) if found else None

    def test_shows_the_groups_that_the_event_was_handed_to_as_far_as_they_are_in_scope(
        self, world, sessions, staff
    ):
        a = world.a
        tenant, near, far = (
            f"noc_tenant_{a.tenant.pk}",
            *(f"noc_site_{s.pk}" for s in (a.near, a.far)),
        )

        assert self.told(staff, world, NEAR) == ([near, tenant], "1 to 4")
        assert self.told(staff, world, FAR) == ([far, tenant], "1 to 4")
        assert self.told(staff, world, MOVED) == ([near, far, tenant], "1 to 4")
        assert self.told(staff, world, WHOLE) == ([tenant], "1 to 4")
        Membership.objects.filter(user=a.admin).update(all_sites=False)
        a.admin.membership.sites.set([a.near])
        assert self.told(staff, world, MOVED) == ([near, tenant], "1 to 4")

    def test_says_that_an_event_was_handed_to_nobody(self, world, sessions, staff, settings):
        settings.CHANNEL_LAYERS = {}
        Finding.objects.create(tenant=world.a.tenant, title="unheard of")
        record(world.a.tenant)
        text = staff.get(PAGE, {"tenant": world.a.tenant.pk, "seq": WHOLE + 1}).content.decode()

        assert "Not handed to the channel layer, or no longer kept" in text

    @pytest.mark.parametrize("seq", ["", "0", "-1", "x", "99", "9" * 19, "9" * 40, "\x00"])
    def test_of_nonsense_says_so(self, world, sessions, root, seq):
        answer = root.get(PAGE, {"tenant": world.a.tenant.pk, "seq": seq})

        assert answer.status_code == 200
        assert "errorlist" in answer.content.decode()

    def test_pages(self, world, part, root, monkeypatch):
        monkeypatch.setattr(receipts_admin, "PAGE_RECEIPTS", 2)
        store.save([part(world.a.operator, sent=4) for _ in range(5)])

        query = {"tenant": world.a.tenant.pk, "seq": 1}
        first = root.get(PAGE, query).content.decode()
        last = root.get(PAGE, query | {"page": 3}).content.decode()

        assert "Page 1 of 3" in first
        assert "page=2" in first
        assert last.count("operator-a") == 1

    def test_asks_the_database_as_often_for_one_as_for_many(
        self, world, part, root, django_assert_max_num_queries
    ):
        store.save([part(world.a.operator, sent=4) for _ in range(40)])

        with django_assert_max_num_queries(10):
            answer = root.get(PAGE, {"tenant": world.a.tenant.pk, "seq": 1})
        assert "Received by 1 user, confirmed by 0." in answer.content.decode()


def record_of_b(world):
    actions.create_ticket(site=world.b.near, description="x")
    record(world.b.tenant)
