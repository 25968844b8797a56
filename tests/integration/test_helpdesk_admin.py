"""The admin: a stale form overwrites nothing, and staff of one tenant meet nothing of another."""

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from apps.helpdesk.actions import acknowledge, create_ticket, move_ticket
from apps.helpdesk.models import Ticket, TicketNote
from apps.noc.management.commands.seed_demo import staff_permissions
from apps.noc.models import Anomaly, Finding
from apps.tenancy.models import Membership, Site

TICKETS = "/admin/helpdesk/ticket/"


@pytest.fixture
def root(database):
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    return client


@pytest.fixture
def staff(world):
    """The admin of tenant a, with the rights that the demo gives."""
    user = world.a.admin
    user.is_staff = True
    user.save()
    user.user_permissions.set(staff_permissions())
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def foreign(world):
    return create_ticket(site=world.b.near, description="secret", ticket_no="FOREIGN#1")


def form_of(client, path):
    """Return what the page's form would send unchanged."""
    page = client.get(path)
    assert page.status_code == 200
    context_form = page.context["adminform"].form
    values = {}
    for field in context_form:
        value = field.value()
        values[field.html_name] = "" if value is None else value
    for formset in page.context["inline_admin_formsets"]:
        for field in formset.formset.management_form:
            values[field.html_name] = field.value()
        for form in formset.forms:
            for field in form:
                values[field.html_name] = "" if field.value() is None else field.value()
    return values


class TestForm:
    def test_saves_everything_in_one_update_and_names_the_user(self, world, ticket, root, captured):
        path = f"{TICKETS}{ticket.pk}/change/"
        form = form_of(root, path) | {"status": "IN_PROGRESS", "priority": "LOW"}
        captured()

        assert root.post(path, form).status_code == 302

        events = captured()
        assert [event.type for event in events] == ["ticket_edited", "ticket_updated"]
        assert {event.context["actor"] for event in events} == {
            f"user:{User.objects.get(username='root').pk}"
        }
        assert Ticket.objects.get().version == 2

    def test_that_changes_nothing_writes_nothing(self, ticket, root):
        path = f"{TICKETS}{ticket.pk}/change/"

        assert root.post(path, form_of(root, path)).status_code == 302

        assert Ticket.objects.get().version == 1

    def test_that_is_stale_overwrites_nothing_and_says_so(self, ticket, root, captured):
        path = f"{TICKETS}{ticket.pk}/change/"
        form = form_of(root, path) | {"status": "CANCELLED"}
        Ticket.objects.update(description="meanwhile")
        captured()

        answer = root.post(path, form)

        assert answer.status_code == 200
        assert "Somebody changed this ticket" in answer.content.decode()
        assert captured() == []

    def test_without_the_version_is_taken_for_stale(self, ticket, root):
        path = f"{TICKETS}{ticket.pk}/change/"
        form = form_of(root, path) | {"priority": "LOW"}
        del form["loaded_version"]

        assert root.post(path, form).status_code == 200
        assert Ticket.objects.get().priority == "HIGH"

    def test_refuses_a_transition_that_is_not_allowed(self, ticket, root):
        Ticket.objects.update(status="CLOSED")
        path = f"{TICKETS}{ticket.pk}/change/"

        answer = root.post(path, form_of(root, path) | {"status": "NEW"})

        assert "CLOSED is final" in answer.content.decode()
        assert Ticket.objects.get().status == "CLOSED"

    def test_holds_only_with_a_reason(self, ticket, root):
        path = f"{TICKETS}{ticket.pk}/change/"
        form = form_of(root, path) | {"status": "ON_HOLD"}

        assert "Say what the ticket waits for" in root.post(path, form).content.decode()
        assert root.post(path, form | {"hold_reason": "a part"}).status_code == 302
        assert Ticket.objects.get().hold_reason == "a part"

    def test_adds_a_ticket_with_the_next_number(self, world, root):
        form = form_of(root, f"{TICKETS}add/") | {"site": world.b.far.pk, "description": "new"}

        assert root.post(f"{TICKETS}add/", form).status_code == 302

        made = Ticket.objects.get()
        assert (made.ticket_no, made.tenant) == ("SITE002#1", world.b.tenant)

    def test_deletes_with_an_event(self, ticket, root, captured):
        captured()

        answer = root.post(f"{TICKETS}{ticket.pk}/delete/", {"post": "yes"})

        assert answer.status_code == 302
        assert [event.type for event in captured()] == ["ticket_deleted"]


class TestAcknowledgement:
    def test_is_shown_and_goes_with_the_ticket(self, world, ticket, root, captured):
        acknowledge(ticket_id=ticket.pk, actor=world.a.operator)
        captured()

        assert "UTC, Operator Test" in root.get(f"{TICKETS}{ticket.pk}/change/").content.decode()
        root.post(f"{TICKETS}{ticket.pk}/delete/", {"post": "yes"})

        assert [event.type for event in captured()] == ["ticket_deleted"]


class TestActions:
    def test_change_each_ticket_that_may_and_name_the_others(self, world, root):
        fresh = create_ticket(site=world.a.near, description="x")
        closed = create_ticket(site=world.a.near, description="x", status="CLOSED")

        answer = root.post(
            TICKETS,
            {"action": "mark_resolved", "_selected_action": [fresh.pk, closed.pk]},
            follow=True,
        )

        text = answer.content.decode()
        assert "1 ticket is now resolved." in text
        assert "SITE001#2: CLOSED is final" in text
        assert Ticket.objects.get(pk=fresh.pk).status == "RESOLVED"


class TestScope:
    def test_lists_only_the_own_tenant(self, ticket, foreign, staff):
        text = staff.get(TICKETS).content.decode()

        assert ticket.ticket_no in text
        assert "FOREIGN#1" not in text
        assert "Near b" not in text

    @pytest.mark.parametrize("page", ["change/", "delete/", "history/"])
    def test_finds_no_page_of_another_tenant(self, foreign, staff, page):
        answer = staff.get(f"{TICKETS}{foreign.pk}/{page}", follow=True)

        assert "secret" not in answer.content.decode()
        assert "Perhaps it was deleted?" in answer.content.decode()

    def test_writes_nothing_of_another_tenant(self, foreign, staff, captured):
        captured()

        staff.post(f"{TICKETS}{foreign.pk}/change/", {"status": "CLOSED", "loaded_version": 1})
        staff.post(f"{TICKETS}{foreign.pk}/delete/", {"post": "yes"})
        staff.post(TICKETS, {"action": "mark_resolved", "_selected_action": [foreign.pk]})
        staff.post(
            TICKETS,
            {"action": "delete_selected", "_selected_action": [foreign.pk], "post": "yes"},
        )

        assert captured() == []

    def test_offers_only_what_is_its_own(self, world, ticket, staff):
        text = staff.get(f"{TICKETS}{ticket.pk}/change/").content.decode()

        assert "operator-a" in text
        assert "operator-b" not in text
        assert "Near b" not in text

    @pytest.mark.parametrize("field", ["site", "assigned_to"])
    def test_refuses_a_forged_choice(self, world, ticket, staff, field):
        path = f"{TICKETS}{ticket.pk}/change/"
        forged = {"site": world.b.near.pk, "assigned_to": world.b.operator.pk}[field]

        answer = staff.post(path, form_of(staff, path) | {field: forged})

        assert answer.status_code == 200
        assert "Select a valid choice" in answer.content.decode()

    @pytest.mark.parametrize(
        "path", ["/admin/noc/finding/", "/admin/noc/anomaly/", "/admin/tenancy/site/",
                 "/admin/tenancy/membership/", "/admin/tenancy/tenant/"]
    )  # fmt: skip
    def test_of_every_list_is_the_own_tenant(self, world, staff, path):
        for party in (world.a, world.b):
            name = party.tenant.name
            Finding.objects.create(tenant=party.tenant, site=party.near, title=f"of {name}")
            Anomaly.objects.create(
                tenant=party.tenant, site=party.near, metric=f"of {name}", observed=1, expected=0
            )

        answer = staff.get(path)

        assert answer.status_code == 200
        text = answer.content.decode()
        assert re.search(r"Tenant A|Near a|operator-a", text)
        assert not re.search(r"Tenant B|Near b|operator-b", text)

    def test_of_a_site_operator_is_their_site(self, world, staff):
        membership = world.a.admin.membership
        Membership.objects.filter(pk=membership.pk).update(all_sites=False)
        membership.sites.set([world.a.near])
        create_ticket(site=world.a.far, description="x")

        text = staff.get(TICKETS).content.decode()

        assert "SITE002#1" not in text
        assert "Far a" not in text

    def test_ends_with_the_membership(self, ticket, staff):
        Membership.objects.filter(user__username="admin-a").delete()

        assert staff.get(TICKETS).status_code == 403

    def test_gives_no_access_to_users_and_tokens(self, staff):
        for path in ("/admin/auth/user/", "/admin/knox/authtoken/"):
            assert staff.get(path).status_code == 403

    def test_adds_findings_to_the_own_tenant(self, world, staff, captured):
        form = {"site": "", "severity": "HIGH", "title": "whole", "status": "NEW"}

        assert staff.post("/admin/noc/finding/add/", form).status_code == 302

        assert Finding.objects.get().tenant == world.a.tenant
        assert captured()[0].context["actor"] == f"user:{world.a.admin.pk}"

    def test_adds_sites_to_the_own_tenant(self, world, staff):
        form = {"code": "SITE009", "name": "New", "tenant": world.a.tenant.pk}

        assert staff.post("/admin/tenancy/site/add/", form).status_code == 302
        assert Site.objects.get(code="SITE009").tenant == world.a.tenant
        forged = staff.post("/admin/tenancy/site/add/", form | {"tenant": world.b.tenant.pk})
        assert "Select a valid choice" in forged.content.decode()


class TestMembershipForm:
    def test_refuses_sites_of_another_tenant(self, world, root):
        membership = world.a.site_operator.membership
        path = f"/admin/tenancy/membership/{membership.pk}/change/"

        answer = root.post(path, form_of(root, path) | {"sites": [world.b.near.pk]})

        assert "Choose its own sites only" in answer.content.decode()
        assert set(membership.sites.all()) == {world.a.near}

    def test_saves_capabilities_and_sites(self, world, root):
        membership = world.a.site_operator.membership
        path = f"/admin/tenancy/membership/{membership.pk}/change/"
        form = form_of(root, path)

        assert root.post(
            path, form | {"capabilities": ["noc:view"], "sites": [world.a.far.pk]}
        ).status_code == 302  # fmt: skip

        membership.refresh_from_db()
        assert membership.capabilities == ["noc:view"]
        assert set(membership.sites.all()) == {world.a.far}


class TestPages:
    def test_ask_the_database_as_often_for_one_as_for_many(
        self, world, root, django_assert_max_num_queries
    ):
        for _ in range(30):
            create_ticket(site=world.a.near, description="x", assigned_to=world.a.operator)

        with django_assert_max_num_queries(8):
            assert root.get(TICKETS).status_code == 200

    def test_of_notes_do_not_ask_for_each_author(
        self, world, root, ticket, django_assert_max_num_queries
    ):
        for _ in range(10):
            TicketNote.objects.create(
                ticket=ticket, author=world.a.operator, status="NEW", text="seen"
            )

        with django_assert_max_num_queries(14):
            assert root.get(f"{TICKETS}{ticket.pk}/change/").status_code == 200

    def test_of_notes_hide_those_of_another_site(self, world, root, staff, ticket):
        membership = Membership.objects.get(user=world.a.admin)
        membership.all_sites = False
        membership.save()
        membership.sites.set([world.a.near])
        move_ticket(ticket_id=ticket.pk, site=world.a.far)
        TicketNote.objects.create(ticket=ticket, text="secret of the far site")
        move_ticket(ticket_id=ticket.pk, site=world.a.near)
        page = f"{TICKETS}{ticket.pk}/change/"

        assert "secret of the far site" in root.get(page).content.decode()
        assert "secret of the far site" not in staff.get(page).content.decode()

    @pytest.mark.parametrize(
        "path",
        [f"/admin/{page}/" for page in ("tenancy/tenant", "tenancy/site", "tenancy/membership",
                                        "helpdesk/ticket", "noc/finding", "noc/anomaly")],
    )  # fmt: skip
    def test_open_for_everybody_who_may(self, world, root, staff, path):
        for client in (root, staff):
            assert client.get(path).status_code == 200
        assert root.get(path + "add/").status_code == 200

    def test_of_a_filter_and_a_search_open(self, world, ticket, root):
        for query in (f"site={world.a.near.pk}", "status__exact=NEW", "q=SITE001%231"):
            assert ticket.ticket_no in root.get(f"{TICKETS}?{query}").content.decode()

    @pytest.mark.parametrize(
        "query",
        ["site=x", "site=" + "9" * 40, "q=%00", "status__exact=%00", "o=99.x", "p=10000000000",
         "tenant__name=x", "assigned_to__password__startswith=p", "_popup=1", "e=1"],
    )  # fmt: skip
    def test_of_a_nonsense_filter_is_no_500(self, ticket, staff, query):
        staff.raise_request_exception = False

        assert staff.get(f"{TICKETS}?{query}").status_code in (200, 302, 400)

    def test_of_a_nonsense_selection_is_no_500(self, ticket, staff):
        staff.raise_request_exception = False

        for selected in ("x", "\x00", "9" * 40):
            answer = staff.post(TICKETS, {"action": "mark_resolved", "_selected_action": selected})
            assert answer.status_code == 400

    @pytest.mark.parametrize("ticket_id", ["x", "0", "9" * 30, "%00", "-1"])
    def test_of_nonsense_ids_are_not_found(self, staff, ticket_id):
        staff.raise_request_exception = False

        assert staff.get(f"{TICKETS}{ticket_id}/change/").status_code in (302, 404)
