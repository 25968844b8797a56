"""Saved views: one's own, shared ones, and never those of another tenant."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections, transaction
from django.test import Client

from apps.noc.management.commands.seed_demo import staff_permissions
from apps.noc.saved_views.models import MOST_PER_USER, SavedView
from apps.tenancy.models import Membership
from tests.integration.processes import until

VIEWS = "/api/v1/noc/views/"


@pytest.fixture
def operator(world, api):
    return api(world.a.operator)


def save(client, name="Mine", query="status=NEW&priority=CRITICAL", **more):
    return client.post(VIEWS, {"name": name, "query": query, **more}, format="json")


def move(user, tenant):
    """Have the user leave for another tenant."""
    user.membership.delete()
    Membership.objects.create(user=user, tenant=tenant, capabilities=["noc:view"], all_sites=True)


def names(client):
    return [(view["name"], view["mine"]) for view in client.get(VIEWS).json()["results"]]


def waits():
    """Return how many wait for a lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return cursor.fetchone()[0]


class TestSaving:
    def test_answers_with_the_view(self, world, operator):
        answer = save(operator, shared=True)

        assert answer.status_code == 201
        view = answer.json()
        assert view == {
            "id": view["id"],
            "name": "Mine",
            "query": "status=NEW&priority=CRITICAL",
            "shared": True,
            "mine": True,
            "owner": "Operator Test",
        }
        assert operator.get(VIEWS).json() == {"results": [view]}

    def test_takes_an_empty_query_for_no_filter(self, operator):
        assert save(operator, query="").json()["query"] == ""

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"name": "", "query": ""},
            {"name": "n" * 101, "query": ""},
            {"name": "n", "query": "q" * 1_001},
            {"name": "n\0", "query": ""},
            {"name": "n", "query": "", "tenant": 1},
        ],
    )
    def test_refuses_what_cannot_be_one(self, operator, body):
        assert operator.post(VIEWS, body, format="json").status_code == 400

    def test_takes_each_name_once_per_user(self, world, api, operator):
        save(operator)

        again = save(operator)
        assert again.status_code == 409
        assert "another name" in again.json()["detail"]
        assert save(api(world.a.reader)).status_code == 201

    def test_ends_at_a_number_that_nobody_needs(self, world, operator):
        SavedView.objects.bulk_create(
            SavedView(tenant=world.a.tenant, owner=world.a.operator, name=str(n))
            for n in range(MOST_PER_USER)
        )

        assert save(operator).status_code == 409

    def test_ends_there_also_when_several_come_at_once(self, world, api):
        SavedView.objects.bulk_create(
            SavedView(tenant=world.a.tenant, owner=world.a.operator, name=str(n))
            for n in range(MOST_PER_USER - 1)
        )
        clients = [api(world.a.operator) for _ in range(6)]

        def send(number):
            try:
                return save(clients[number], f"new {number}").status_code
            finally:
                connections.close_all()

        with ThreadPoolExecutor(len(clients)) as pool:
            with transaction.atomic(), connection.cursor() as cursor:
                cursor.execute("LOCK TABLE noc_savedview IN SHARE MODE")  # may be read and counted
                answers = [pool.submit(send, number) for number in range(len(clients))]
                until(lambda: waits() == len(clients), seconds=20, what="all of them wait")
            statuses = sorted(answer.result() for answer in answers)

        assert statuses == [201, 409, 409, 409, 409, 409]
        assert SavedView.objects.count() == MOST_PER_USER

    def test_is_for_whoever_sees_the_feed(self, world, api):
        assert save(api(world.a.reader)).status_code == 201
        assert save(api(world.a.guest)).status_code == 403
        assert save(api()).status_code == 401

    def test_twice_with_one_key_is_one_view(self, operator):
        body = {"name": "Mine", "query": ""}
        headers = {"Idempotency-Key": "k"}
        answers = [operator.post(VIEWS, body, format="json", headers=headers) for _ in range(2)]

        assert [answer.status_code for answer in answers] == [201, 201]
        assert SavedView.objects.count() == 1


class TestSeeing:
    def test_is_of_the_own_and_of_the_shared_ones_by_name(self, world, api, operator):
        save(operator, "b", shared=True)
        save(operator, "a")
        save(api(world.a.admin), "c", shared=True)
        save(api(world.a.admin), "d")

        assert names(operator) == [("a", True), ("b", True), ("c", False)]
        assert names(api(world.a.reader)) == [("b", False), ("c", False)]

    def test_drops_none_of_ones_own_however_many_others_share(self, world, operator, monkeypatch):
        monkeypatch.setattr("apps.noc.saved_views.api.MOST_LISTED", 3)
        SavedView.objects.bulk_create(
            SavedView(tenant=world.a.tenant, owner=world.a.admin, name=name, shared=True)
            for name in "abcde"
        )
        save(operator, "b2")
        save(operator, "z", shared=True)

        assert names(operator) == [("a", False), ("b2", True), ("z", True)]

    def test_ends_at_the_tenant(self, world, api, operator):
        save(api(world.b.operator), shared=True)

        assert names(operator) == []

    def test_ends_with_the_users_tenant(self, world, operator):
        save(operator, shared=True)
        move(world.a.operator, world.b.tenant)

        assert names(operator) == []


class TestAfterAMoveToAnotherTenant:
    @pytest.fixture
    def moved(self, world, operator):
        """The client of a user who left as many views as one may have."""
        save(operator, shared=True)
        SavedView.objects.bulk_create(
            SavedView(tenant=world.a.tenant, owner=world.a.operator, name=str(n))
            for n in range(1, MOST_PER_USER)
        )
        move(world.a.operator, world.b.tenant)
        return operator

    def test_no_view_of_the_former_one_blocks_a_new_one(self, moved):
        assert save(moved, shared=True).status_code == 201
        assert save(moved).status_code == 409  # here it is once too
        assert names(moved) == [("Mine", True)]

    def test_those_that_were_shared_stay_where_they_were(self, world, api, moved):
        save(moved, shared=True)

        assert names(api(world.a.reader)) == [("Mine", False)]
        assert names(api(world.b.reader)) == [("Mine", False)]

    def test_the_admin_judges_a_name_within_the_tenant(self, moved, root):
        view = save(moved, "here").json()["id"]
        path = f"/admin/noc/savedview/{view}/change/"

        assert root.post(path, {"name": "Mine", "query": "", "shared": "on"}).status_code == 302
        assert SavedView.objects.get(pk=view).name == "Mine"


class TestChanging:
    @pytest.fixture
    def shared(self, operator):
        return save(operator, shared=True).json()

    @pytest.fixture
    def private(self, operator):
        return save(operator, "Private").json()

    def test_is_for_the_owner(self, operator, shared):
        path = f"{VIEWS}{shared['id']}/"

        changed = operator.patch(path, {"name": "Ours"}, format="json")
        assert changed.status_code == 200
        assert changed.json() == shared | {"name": "Ours"}
        assert operator.delete(path).status_code == 204
        assert names(operator) == []

    def test_of_a_shared_one_is_for_who_runs_the_tenant_too(self, world, api, shared):
        admin = api(world.a.admin)
        path = f"{VIEWS}{shared['id']}/"

        assert admin.patch(path, {"query": "q=x"}, format="json").json()["mine"] is False
        assert admin.delete(path).status_code == 204

    def test_of_a_shared_one_is_for_nobody_else(self, world, api, shared):
        reader = api(world.a.reader)
        path = f"{VIEWS}{shared['id']}/"

        assert reader.patch(path, {"name": "x"}, format="json").status_code == 403
        assert reader.delete(path).status_code == 403
        assert SavedView.objects.get().name == "Mine"

    @pytest.mark.parametrize("who", ["admin", "reader"])
    def test_of_a_private_one_finds_nothing(self, world, api, private, who):
        client = api(getattr(world.a, who))
        path = f"{VIEWS}{private['id']}/"

        assert client.patch(path, {"name": "x"}, format="json").status_code == 404
        assert client.delete(path).status_code == 404

    @pytest.mark.parametrize("id_", [1, 2**63, 10**30])
    def test_of_what_is_not_there_or_of_another_tenant_is_404(self, world, api, shared, id_):
        client = api(world.b.admin)

        for path in (f"{VIEWS}{id_}/", f"{VIEWS}{shared['id']}/"):
            assert client.patch(path, {"name": "x"}, format="json").status_code == 404
            assert client.delete(path).status_code == 404
        assert SavedView.objects.count() == 1

    def test_of_one_that_is_just_removed_is_404(self, operator, private):
        with ThreadPoolExecutor(1) as pool:
            with transaction.atomic():
                SavedView.objects.get(pk=private["id"]).delete()
                path = f"{VIEWS}{private['id']}/"
                answer = pool.submit(operator.patch, path, {"name": "x"}, format="json")
                until(waits, seconds=20, what="the change waits for the removal")
            assert answer.result().status_code == 404
            pool.submit(connections.close_all).result()

    def test_to_a_name_that_is_taken_is_409(self, operator, shared, private):
        path = f"{VIEWS}{private['id']}/"

        assert operator.patch(path, {"name": "Mine"}, format="json").status_code == 409


class TestAdmin:
    def test_shows_the_shared_ones_of_the_own_tenant(self, world, api):
        save(api(world.a.operator), "ours", shared=True)
        save(api(world.a.operator), "private")
        save(api(world.b.operator), "foreign", shared=True)
        user = world.a.admin
        user.is_staff = True
        user.save()
        user.user_permissions.set(staff_permissions())
        client = Client()
        client.force_login(user)

        page = client.get("/admin/noc/savedview/").content.decode()

        assert "ours" in page
        assert "private" not in page
        assert "foreign" not in page
        assert client.get("/admin/noc/savedview/add/").status_code == 403

    def test_refuses_a_name_that_the_owner_has(self, world, api, admin_of_a):
        save(api(world.a.operator), "one", shared=True)
        two = save(api(world.a.operator), "two", shared=True).json()["id"]
        path = f"/admin/noc/savedview/{two}/change/"

        answer = admin_of_a.post(path, {"name": "one", "query": "", "shared": "on"})

        assert "choose another name" in answer.content.decode()
        assert SavedView.objects.get(pk=two).name == "two"
