"""Tokens with a name: what a read-only one may do, how they are listed and revoked."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.urls import URLPattern, URLResolver, get_resolver
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from apps.helpdesk.models import Ticket
from apps.noc.feed.admission import Credentials, admit
from apps.tenancy import devices
from apps.tenancy.models import Device, Membership
from tests.integration.conftest import World

DEVICES, TOKEN, ME = "/api/v1/auth/devices/", "/api/v1/auth/token/", "/api/v1/auth/me/"
PASSWORD = "k7qm-x2fa-3tbd"
Api = Callable[..., Any]


def client_with(token: str) -> Any:
    client = APIClient(raise_request_exception=False)
    client.credentials(HTTP_AUTHORIZATION=f"Token {token}")
    return client


def device_of(user: Any, *, read_only: bool = False, name: str = "laptop") -> tuple[Any, Any]:
    listed, token = devices.add(user, name=name, read_only=read_only)
    return listed, client_with(token)


def paths(patterns: Any, before: str = "") -> list[str]:
    """Return every path of the API, with some id where one belongs."""
    found: list[str] = []
    for each in patterns:
        route = before + str(each.pattern)
        if isinstance(each, URLResolver):
            found += paths(each.url_patterns, route)
        elif isinstance(each, URLPattern) and route.startswith("api/v1/") and each.name is None:
            for variable in ("<int:", "<slug:", "<uuid:"):
                while variable in route:
                    start = route.index(variable)
                    route = route[:start] + "1" + route[route.index(">", start) + 1 :]
            found.append(f"/{route}")
    return [path for path in found if path != "/api/v1/"]


class TestReadOnly:
    def test_reads_and_opens_the_feed(self, world: World, ticket: Any) -> None:
        _, wall = device_of(world.a.operator, read_only=True)

        assert wall.get("/api/v1/noc/snapshot/").json()["tickets"][0]["id"] == ticket.pk
        made = wall.post("/api/v1/auth/ws-ticket/")

        assert made.status_code == 201
        grant = admit(Credentials(ticket=made.json()["ticket"]))
        assert grant is not None
        assert grant.user_id == world.a.operator.pk

    def test_writes_nothing_whatever_the_path_is(self, world: World, ticket: Any) -> None:
        _, wall = device_of(world.a.admin, read_only=True)
        tried = paths(get_resolver().url_patterns)
        assert "/api/v1/tickets/1/status/" in tried

        for path in tried:
            for method in ("post", "put", "patch", "delete"):
                if (path, method) == ("/api/v1/auth/ws-ticket/", "post"):
                    continue
                answer = getattr(wall, method)(path, {}, format="json")
                if path == TOKEN:  # asks for a password instead
                    assert answer.status_code in (400, 405)
                    continue
                assert answer.status_code == 403, (method, path)
                assert answer["Content-Type"] == "application/problem+json"
                assert "may only read" in answer.content.decode()
        assert Ticket.objects.count() == 1
        assert AuthToken.objects.count() == 1

    def test_has_no_more_than_noc_view_of_its_users_capabilities(self, world: World) -> None:
        _, wall = device_of(world.a.admin, read_only=True)
        _, full = device_of(world.a.admin)

        assert wall.get(ME).json()["capabilities"] == ["noc:view"]
        assert wall.get(ME).json()["read_only"] is True
        assert wall.get("/api/v1/noc/dead-letters/").status_code == 403
        assert "tenant:admin" in full.get(ME).json()["capabilities"]
        assert full.get(ME).json()["read_only"] is False
        Membership.objects.filter(user=world.a.admin).update(capabilities=["tenant:admin"])
        assert wall.get(ME).json()["capabilities"] == []
        assert wall.get("/api/v1/noc/snapshot/").status_code == 403


class TestDevices:
    def test_lists_the_callers_tokens_and_marks_the_one_asked_with(
        self, world: World, api: Api
    ) -> None:
        device_of(world.a.admin)
        device_of(world.b.operator)
        unnamed = api(world.a.operator)
        laptop, client = device_of(world.a.operator)

        found = client.get(DEVICES).json()["results"]

        assert [(row["name"], row["current"]) for row in found] == [("laptop", True), ("", False)]
        assert found[0]["id"] == laptop.id
        assert found[0]["read_only"] is False
        assert found[0]["last_used_at"] is not None
        assert found[1]["last_used_at"] is None
        assert set(found[0]) == {
            "id", "name", "read_only", "created_at", "last_used_at", "current",
        }  # fmt: skip
        assert [row["current"] for row in unnamed.get(DEVICES).json()["results"]] == [False, True]

    def test_lists_two_hundred_and_tells_how_many_more_there_are(
        self, world: World, django_assert_num_queries: Any
    ) -> None:
        _, client = device_of(world.a.operator, name="the oldest")
        AuthToken.objects.bulk_create(
            AuthToken(user=world.a.operator, digest=f"{number:0128x}", token_key=f"{number:08x}")
            for number in range(devices.LISTED + 7)
        )
        newest = client.post(DEVICES, {"name": "the newest"}, format="json").json()

        listed = client.get(DEVICES).json()

        assert len(listed["results"]) == devices.LISTED
        assert listed["more"] == 9
        made = [row["created_at"] for row in listed["results"]]
        assert made == sorted(made, reverse=True)
        # Those with a name are there however many newer ones there are.
        assert listed["results"][0]["id"] == newest["id"]
        assert (listed["results"][-1]["name"], listed["results"][-1]["current"]) == (
            "the oldest",
            True,
        )
        with django_assert_num_queries(2):
            assert devices.devices_of(world.a.operator).more == 9
        AuthToken.objects.filter(device=None).delete()
        with django_assert_num_queries(1):
            assert devices.devices_of(world.a.operator).more == 0

    def test_makes_one_whose_token_is_shown_once(self, world: World, api: Api) -> None:
        client = api(world.a.operator)

        answer = client.post(DEVICES, {"name": "Wall ‮", "read_only": True}, format="json")

        assert answer.status_code == 201
        assert answer["Cache-Control"] == "no-store"
        made = answer.json()
        assert made["read_only"] is True
        wall = client_with(made["token"])
        assert wall.get(ME).json()["read_only"] is True
        assert all("token" not in row for row in wall.get(DEVICES).json()["results"])

    @pytest.mark.parametrize(
        "body", [{}, {"name": ""}, {"name": "x" * 101}, {"name": "a\0"}, {"name": "a", "more": 1}]
    )
    def test_refuses_what_is_no_name(self, world: World, api: Api, body: dict[str, Any]) -> None:
        assert api(world.a.operator).post(DEVICES, body, format="json").status_code == 400
        assert not Device.objects.exists()

    def test_revokes_ones_own_alone(self, world: World) -> None:
        mine, client = device_of(world.a.operator)
        colleagues, colleague = device_of(world.a.admin)

        assert client.delete(f"{DEVICES}{colleagues.id}/").status_code == 404
        assert client.delete(f"{DEVICES}{'0' * 16}/").status_code == 404
        assert client.delete(f"{DEVICES}{mine.id[:8]}/").status_code == 404
        assert client.delete(f"{DEVICES}{mine.id}/").status_code == 204

        assert client.get(ME).status_code == 401
        assert colleague.get(ME).status_code == 200
        assert Device.objects.count() == 1

    def test_revokes_one_that_has_no_name(self, world: World, api: Api) -> None:
        client = api(world.a.operator)
        (listed,) = client.get(DEVICES).json()["results"]

        assert client.delete(f"{DEVICES}{listed['id']}/").status_code == 204
        assert client.get(ME).status_code == 401

    def test_is_for_who_belongs_to_no_tenant_too(self, world: World) -> None:
        mine, client = device_of(world.a.operator)
        Membership.objects.filter(user=world.a.operator).delete()

        assert client.get("/api/v1/tickets/").status_code == 403
        assert client.delete(f"{DEVICES}{mine.id}/").status_code == 204

    def test_goes_with_its_token_also_in_sql(self, world: World) -> None:
        device_of(world.a.operator)

        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM knox_authtoken")

        assert not Device.objects.exists()

    def test_has_fifty_of_a_user_however_many_ask_at_once(self, world: World, api: Api) -> None:
        client = api(world.a.operator)
        for number in range(devices.MOST - 2):
            devices.add(world.a.operator, name=str(number), read_only=False)
        gate = threading.Barrier(6)

        def ask(_: int) -> int:
            try:
                gate.wait(30)
                return int(client.post(DEVICES, {"name": "x"}, format="json").status_code)
            finally:
                connection.close()

        with ThreadPoolExecutor(6) as threads:
            found = sorted(threads.map(ask, range(6)))

        assert found == [201] * 2 + [409] * 4
        assert api(world.a.admin).post(DEVICES, {"name": "x"}, format="json").status_code == 201


class TestLastUse:
    def test_is_written_once_a_minute(self, world: World) -> None:
        _, client = device_of(world.a.operator)
        device = Device.objects.get()
        assert device.last_used_at is None

        client.get(ME)
        first = Device.objects.get().last_used_at
        client.get(ME)
        assert Device.objects.get().last_used_at == first
        Device.objects.update(last_used_at=timezone.now() - timedelta(seconds=61))
        client.get(ME)

        assert first is not None
        assert Device.objects.get().last_used_at > first

    def test_is_not_written_by_a_request_that_the_token_may_not_make(self, world: World) -> None:
        _, wall = device_of(world.a.operator, read_only=True)

        assert wall.post("/api/v1/tickets/", {}, format="json").status_code == 403

        assert Device.objects.get().last_used_at is None

    def test_hinders_no_request_when_it_cannot_be_written(self, world: World) -> None:
        _, client = device_of(world.a.operator)
        refuse = "ALTER TABLE tenancy_device ADD CONSTRAINT never CHECK (false) NOT VALID"
        with connection.cursor() as cursor:
            cursor.execute(refuse)
        try:
            assert client.get(ME).status_code == 200
        finally:
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE tenancy_device DROP CONSTRAINT never")
        assert Device.objects.get().last_used_at is None


class TestTokenWithAName:
    def test_is_given_for_a_password(self, world: World, api: Api) -> None:
        world.a.operator.set_password(PASSWORD)
        world.a.operator.save()
        login = {"username": world.a.operator.username, "password": PASSWORD}

        plain = api().post(TOKEN, login, format="json")
        named = api().post(TOKEN, {**login, "device": "laptop"}, format="json")

        assert set(plain.json()) == set(named.json()) == {"token"}
        listed = client_with(named.json()["token"]).get(DEVICES).json()["results"]
        assert {(row["name"], row["current"]) for row in listed} == {("laptop", True), ("", False)}
