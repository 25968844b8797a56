"""Limits of requests: who is counted how, what a refusal says, and that counting breaks nothing."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection, connections
from django.test import Client
from django.test.utils import CaptureQueriesContext

from apps.tenancy import devices
from apps.tenancy.http import throttles
from apps.tenancy.models import Throttle
from worker import tasks

TICKETS = "/api/v1/tickets/"
TOKEN = "/api/v1/auth/token/"


@pytest.fixture
def limits(settings):
    """Set limits for this test; what is not named has none."""

    def set_(**limits):
        settings.THROTTLES = {"read": 0, "write": 0, "anonymous": 0, "login": 0, **limits}

    return set_


def window_ends():
    with connection.cursor() as cursor:
        cursor.execute("UPDATE tenancy_throttle SET ends_at = clock_timestamp()")


class TestPerUser:
    def test_refuses_with_the_remedy_and_when_to_come_again(self, world, api, limits):
        limits(read=2)
        client = api(world.a.operator)

        assert [client.get(TICKETS).status_code for _ in range(2)] == [200, 200]
        answer = client.get(TICKETS)

        assert answer.status_code == 429
        assert answer["Content-Type"] == "application/problem+json"
        assert 1 <= int(answer["Retry-After"]) <= 60
        assert "THROTTLE_READ" in answer.json()["detail"]
        window_ends()
        assert client.get(TICKETS).status_code == 200

    def test_counts_reads_and_writes_apart_and_each_user_alone(self, world, api, limits):
        limits(read=1, write=1)
        client, body = api(world.a.operator), {"site_id": world.a.near.pk, "description": "x"}

        assert client.get(TICKETS).status_code == 200
        assert client.post(TICKETS, body, format="json").status_code == 201
        assert client.post(TICKETS, body, format="json").status_code == 429
        assert client.get(TICKETS).status_code == 429
        assert api(world.a.admin).get(TICKETS).status_code == 200

    def test_counts_all_devices_of_a_user_together(self, world, api, limits):
        limits(read=1)

        assert api(world.a.operator).get(TICKETS).status_code == 200
        assert api(world.a.operator).get(TICKETS).status_code == 429

    def test_counts_none_twice_and_none_not_at_all_when_many_come_at_once(self, database):
        def count(_):
            try:
                return [throttles.count("user").requests for _ in range(20)]
            finally:
                connections.close_all()

        with ThreadPoolExecutor(8) as pool:
            counts = [each for found in pool.map(count, range(8)) for each in found]

        assert sorted(counts) == list(range(1, 161))

    def test_costs_one_statement(self, database):
        with CaptureQueriesContext(connection) as statements:
            throttles.count("user")

        assert len(statements) == 1


class TestRefused:
    """What ends before the framework asks the throttles."""

    @pytest.mark.parametrize("authorization", [None, "Token " + "f" * 64, "Token", "Token a b"])
    @pytest.mark.parametrize("path", [TICKETS, "/api/v1/auth/me/", "/api/v1/auth/devices/"])
    def test_without_a_valid_login_is_counted_per_address(
        self, api, database, limits, authorization, path
    ):
        limits(anonymous=2)
        headers = {} if authorization is None else {"Authorization": authorization}

        def ask(address="192.0.2.1"):
            return api().get(path, headers=headers, REMOTE_ADDR=address)

        assert [ask().status_code for _ in range(3)] == [401, 401, 429]
        answer = ask()
        assert answer["Content-Type"] == "application/problem+json"
        assert 1 <= int(answer["Retry-After"]) <= 60
        assert "THROTTLE_ANONYMOUS" in answer.json()["detail"]
        assert ask("192.0.2.2").status_code == 401
        window_ends()
        assert ask().status_code == 401

    def test_by_the_rights_is_counted_for_the_user(self, world, api, limits):
        limits(read=2, write=1)
        client = api(world.a.guest)

        assert [client.get(TICKETS).status_code for _ in range(3)] == [403, 403, 429]
        assert [client.post(TICKETS, {}, format="json").status_code for _ in range(2)] == [403, 429]
        assert api(world.a.operator).get(TICKETS).status_code == 200

    def test_by_the_check_against_forgery_is_counted_per_address(self, world, limits):
        limits(anonymous=1)
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(world.a.operator)

        statuses = [browser.post(TICKETS, {}, "application/json").status_code for _ in range(2)]

        assert statuses == [403, 429]

    def test_by_a_read_only_token_is_counted_per_address(self, world, api, limits):
        limits(anonymous=1)
        _, token = devices.add(world.a.operator, name="wall", read_only=True)
        wall = api()
        wall.credentials(HTTP_AUTHORIZATION=f"Token {token}")

        statuses = [wall.post(TICKETS, {}, format="json").status_code for _ in range(2)]

        assert statuses == [403, 429]
        assert wall.get(TICKETS).status_code == 200

    def test_by_what_it_accepts_is_counted_for_the_user(self, world, api, limits):
        limits(read=1)
        client = api(world.a.operator)

        assert client.get(TICKETS, headers={"Accept": "text/html"}).status_code == 406
        assert client.get(TICKETS).status_code == 429

    def test_after_it_was_counted_is_not_counted_again(self, world, api, limits):
        limits(read=9, write=9)
        client = api(world.a.operator)

        assert client.get(f"{TICKETS}0/").status_code == 404
        assert client.post(TICKETS, {}, format="json").status_code == 400
        assert client.put(TICKETS, {}, format="json").status_code == 405

        counts = dict(Throttle.objects.values_list("key", "count"))
        of = world.a.operator.pk
        assert counts == {f"read:{of}": 1, f"write:{of}": 2}

    def test_costs_who_is_let_in_no_statement(self, world, api, django_assert_num_queries):
        client = api(world.a.operator)

        with django_assert_num_queries(4):  # token, access, throttle, tickets
            client.get(TICKETS)

    def test_is_refused_as_before_when_it_cannot_be_counted(self, api, database, limits, caplog):
        limits(anonymous=1)
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE tenancy_throttle RENAME TO away")
        try:
            assert [api().get(TICKETS).status_code for _ in range(2)] == [401, 401]
        finally:
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE away RENAME TO tenancy_throttle")
        assert "could not be counted" in caplog.text


class TestLogin:
    def test_is_limited_per_address_and_name(self, world, api, limits):
        limits(login=2)

        def attempt(name, address="192.0.2.1"):
            body = {"username": name, "password": "wrong"}
            return api().post(TOKEN, body, format="json", REMOTE_ADDR=address).status_code

        assert [attempt("operator-a") for _ in range(3)] == [401, 401, 429]
        assert attempt("admin-a") == 401
        assert attempt("operator-a", "192.0.2.2") == 401

    def test_is_limited_per_address_whatever_name_is_tried(self, api, database, limits):
        limits(anonymous=2)
        bodies = [{"username": f"u{n}", "password": "x"} for n in range(3)]

        statuses = [api().post(TOKEN, body, format="json").status_code for body in bodies]

        assert statuses == [401, 401, 429]

    def test_counts_a_name_as_it_is_looked_up(self, world, api, limits):
        limits(login=2)

        client = api()

        def attempt(name):
            body = {"username": name, "password": "wrong"}
            return client.post(TOKEN, json.dumps(body), content_type="application/json").status_code

        written = ["alice", " alice", "alice\t", "\u3000alice", "\n alice "]
        assert [attempt(name) for name in written] == [401, 401, 429, 429, 429]
        assert [attempt(name) for name in (7, "7", " 7 ", 7)] == [401, 401, 429, 429]
        assert attempt("Alice") == 401

    @pytest.mark.parametrize("body", [{"username": 7}, {"username": "\0\ud800"}, [], "x"])
    def test_that_is_none_is_refused_as_before(self, api, database, body):
        answer = api().post(TOKEN, json.dumps(body), content_type="application/json")

        assert answer.status_code in (400, 401)

    def test_without_an_address_is_counted_too(self, api, database):
        body = {"username": "nobody", "password": "wrong"}

        answer = api().post("/api/v1/auth/token/", body, format="json", REMOTE_ADDR=None)

        assert answer.status_code == 401

    def test_reads_the_address_that_a_known_proxy_adds(self, api, database, limits, settings):
        limits(anonymous=1)
        settings.REST_FRAMEWORK = settings.REST_FRAMEWORK | {"NUM_PROXIES": 1}

        def attempt(forwarded):
            body = {"username": "u", "password": "x"}
            headers = {"X-Forwarded-For": forwarded}
            return api().post(TOKEN, body, format="json", headers=headers).status_code

        assert attempt("203.0.113.9, 192.0.2.1") == 401
        assert attempt("203.0.113.8, 192.0.2.1") == 429  # what the client wrote does not count
        assert attempt("192.0.2.2") == 401


class TestAddress:
    @pytest.mark.parametrize("name", ["anonymous", "login"])
    def test_of_ipv6_is_that_of_its_network(self, api, database, limits, name):
        limits(**{name: 2})
        client = api()

        def attempt(address):
            body = {"username": "nobody", "password": "wrong"}
            return client.post(TOKEN, body, format="json", REMOTE_ADDR=address).status_code

        addresses = [f"2001:db8:0:1::{number}" for number in range(1, 4)]
        assert [attempt(address) for address in addresses] == [401, 401, 429]
        assert attempt("2001:db8:0:2::1") == 401

    def test_of_ipv4_is_the_same_in_both_its_forms(self, api, database, limits):
        limits(anonymous=1)
        client = api()

        assert client.get(TICKETS, REMOTE_ADDR="192.0.2.1").status_code == 401
        assert client.get(TICKETS, REMOTE_ADDR="::ffff:192.0.2.1").status_code == 429
        assert client.get(TICKETS, REMOTE_ADDR="::ffff:192.0.2.2").status_code == 401


@pytest.mark.parametrize("path", ["/login/", "/admin/login/"])
class TestLoginPages:
    def test_are_limited_per_address_whatever_name_is_tried(self, database, limits, path):
        limits(anonymous=2)
        browser = Client()

        def attempt(name, address="192.0.2.1"):
            form = {"username": name, "password": "wrong", "next": "/?site=1"}
            return browser.post(path, form, REMOTE_ADDR=address)

        assert [attempt(f"u{n}").status_code for n in range(3)] == [200, 200, 429]
        answer = attempt("u4")
        assert 1 <= int(answer["Retry-After"]) <= 60
        assert "no-store" in answer["Cache-Control"]
        page = answer.content.decode()
        assert 'role="alert"' in page
        assert "Try again in" in page
        assert 'value="/?site=1"' in page
        assert attempt("u5", "192.0.2.2").status_code == 200
        window_ends()
        assert attempt("u6").status_code == 200

    def test_count_with_the_api_and_all_of_a_network(self, api, database, limits, path):
        limits(anonymous=2)
        form = {"username": "u", "password": "wrong"}

        browser = Client()

        api().get(TICKETS, REMOTE_ADDR="2001:db8::1")
        answers = [browser.post(path, form, REMOTE_ADDR=f"2001:db8::{n}") for n in "23"]

        assert [answer.status_code for answer in answers] == [200, 429]

    def test_look_at_no_password_then(self, world, limits, path, settings):
        settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
        limits(anonymous=1)
        user = world.a.admin
        user.set_password("k7qm-x2fa-3tbd")
        user.is_staff = True
        user.save()
        form = {"username": user.username, "password": "k7qm-x2fa-3tbd"}
        browser = Client()
        browser.post(path, {})

        answer = browser.post(path, form)

        assert answer.status_code == 429
        assert not browser.cookies.get(settings.SESSION_COOKIE_NAME)

    def test_can_always_be_read(self, database, limits, path):
        limits(anonymous=1)
        browser = Client()

        assert [browser.get(path).status_code for _ in range(3)] == [200, 200, 200]
        assert not Throttle.objects.exists()

    def test_refuse_nobody_when_it_cannot_be_counted(self, database, limits, path, caplog):
        limits(anonymous=1)
        form = {"username": "u", "password": "wrong"}
        browser = Client()
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE tenancy_throttle RENAME TO away")
        try:
            assert [browser.post(path, form).status_code for _ in range(2)] == [200, 200]
        finally:
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE away RENAME TO tenancy_throttle")
        assert "could not be counted" in caplog.text


class TestTrouble:
    def test_of_the_counting_refuses_nobody(self, world, api, limits, caplog):
        limits(read=1)
        client = api(world.a.operator)
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE tenancy_throttle RENAME TO away")
        try:
            assert [client.get(TICKETS).status_code for _ in range(3)] == [200, 200, 200]
        finally:
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE away RENAME TO tenancy_throttle")
        assert "could not be counted" in caplog.text


class TestForget:
    def test_lets_go_of_windows_that_are_over(self, database):
        for key in ("old", "young"):
            throttles.count(key)
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE tenancy_throttle SET ends_at = clock_timestamp() - interval '1 s'"
                " WHERE key = 'old'"
            )
        tasks.forget()

        assert list(Throttle.objects.values_list("key", flat=True)) == ["young"]

    def test_the_table_is_not_written_ahead(self, database):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT relpersistence FROM pg_class WHERE oid = 'tenancy_throttle'::regclass"
            )
            assert cursor.fetchone() == ("u",)
