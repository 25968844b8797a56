"""Wrong passwords lock a user name from one address for some minutes, at all four doors."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from axes.models import AccessAttempt
from django.conf import settings
from django.db.models import F
from django.test import Client
from django.utils import timezone

from apps.tenancy.lockout import UNKNOWN, address_of, forget_ended
from tests.integration.conftest import World
from tests.integration.web_process import WebProcess

PASSWORD = NEW = "k7qm-x2fa-3tbd"  # the same, so that a change leaves it
LIMIT = 5
HERE, THERE = "203.0.113.7", "203.0.113.8"
PAGE, ADMIN, TOKEN = "/login/", "/admin/login/", "/api/v1/auth/token/"
CHANGE = "/account/password/"  # of who is signed in, and may have left the browser to others
LogIn = Callable[..., Any]


@pytest.fixture
def user(world: World, settings: Any) -> Any:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick
    user = world.a.admin
    user.set_password(PASSWORD)
    user.is_staff = True
    user.save()
    return user


@pytest.fixture
def log_in(user: Any) -> LogIn:
    def send(
        password: str, *, door: str = TOKEN, address: str = HERE, username: str = "", **headers: str
    ) -> Any:
        body: Any = {"username": username or user.username, "password": password}
        client = Client(REMOTE_ADDR=address, raise_request_exception=False, headers=headers)
        if door == TOKEN:
            return client.post(door, json.dumps(body), content_type="application/json")
        if door == CHANGE:
            client.force_login(type(user).objects.get(pk=user.pk))
            passwords = {"old_password": password, "new_password1": NEW, "new_password2": NEW}
            return client.post(door, passwords)
        return client.post(door, body | {"next": "/admin/" if door == ADMIN else "/?site=1"})

    return send


def lock(log_in: LogIn, **options: Any) -> Any:
    for _ in range(LIMIT - 1):
        assert log_in("wrong", **options).status_code in (200, 400, 401)
    return log_in("wrong", **options)


def turn_back(**by: float) -> None:
    """Let all that was counted have happened earlier."""
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(**by))


DOORS = pytest.mark.parametrize("door", [PAGE, ADMIN, TOKEN, CHANGE])


class TestLockout:
    def test_has_the_limit_that_the_documents_name(self) -> None:
        assert settings.AXES_FAILURE_LIMIT == LIMIT
        assert timedelta(minutes=15) == settings.AXES_COOLOFF_TIME

    @DOORS
    def test_comes_after_five_wrong_passwords_and_refuses_the_right_one(
        self, log_in: LogIn, door: str
    ) -> None:
        at_once = lock(log_in, door=door)
        refused = log_in(PASSWORD, door=door)

        for answer in (at_once, refused):
            assert answer.status_code == 429
            assert 840 < int(answer["Retry-After"]) <= 900
            assert "15 min" in answer.content.decode()
        if door == TOKEN:
            assert refused["Content-Type"] == "application/problem+json"
            assert refused.json()["status"] == 429
            assert refused.json()["request_id"]
        else:
            assert 'role="alert"' in refused.content.decode()
            assert not refused.cookies.get(settings.SESSION_COOKIE_NAME)

    @DOORS
    def test_of_one_door_closes_all(self, log_in: LogIn, door: str) -> None:
        lock(log_in, door=door)

        doors = (PAGE, ADMIN, TOKEN, CHANGE)
        assert {log_in(PASSWORD, door=each).status_code for each in doors} == {429}

    @DOORS
    def test_ends_by_itself_also_while_somebody_goes_on_trying(
        self, log_in: LogIn, door: str
    ) -> None:
        lock(log_in, door=door)
        turn_back(minutes=14)
        assert log_in("wrong", door=door).status_code == 429
        assert 1 <= int(log_in("wrong", door=door)["Retry-After"]) <= 60
        turn_back(minutes=1)

        assert log_in(PASSWORD, door=door).status_code in (200, 302)

        assert not AccessAttempt.objects.exists()

    def test_is_of_one_address_so_nobody_is_shut_out_from_elsewhere(self, log_in: LogIn) -> None:
        lock(log_in)

        assert log_in(PASSWORD, address=THERE).status_code == 200
        assert log_in(PASSWORD).status_code == 429

    def test_is_of_one_user_name_so_colleagues_behind_one_address_go_on(
        self, world: World, log_in: LogIn
    ) -> None:
        world.a.operator.set_password(PASSWORD)
        world.a.operator.save()
        lock(log_in)

        assert log_in(PASSWORD, username=world.a.operator.username).status_code == 200

    def test_counts_another_browser_on_the_same_address(self, log_in: LogIn) -> None:
        for number in range(LIMIT - 1):
            log_in("wrong", user_agent=f"browser {number}")

        assert log_in("wrong", user_agent="another").status_code == 429

    def test_counts_all_addresses_of_a_network_of_ipv6(self, log_in: LogIn) -> None:
        for number in range(LIMIT - 1):
            log_in("wrong", address=f"2001:db8:0:1::{number}")

        assert log_in("wrong", address="2001:db8:0:1:ffff::9").status_code == 429
        assert log_in(PASSWORD, address="2001:db8:0:2::1").status_code == 200

    @DOORS
    def test_forgets_wrong_passwords_at_the_right_one(self, log_in: LogIn, door: str) -> None:
        for _ in range(3):
            for _ in range(LIMIT - 1):
                log_in("wrong", door=door)
            assert log_in(PASSWORD, door=door).status_code in (200, 302)

    def test_locks_a_name_that_nobody_has_the_same_way(self, log_in: LogIn) -> None:
        assert lock(log_in, username="nobody").status_code == 429

    @pytest.mark.parametrize("name", ["a\0b", "é" * 150, "x" * 151, "' OR 1=1 --", "\ud800"])
    @DOORS
    def test_answers_whatever_the_user_name_is(self, log_in: LogIn, door: str, name: str) -> None:
        sent = name.encode(errors="replace").decode() if door != TOKEN else name
        for _ in range(LIMIT + 1):
            assert log_in("wrong", door=door, username=sent).status_code < 500

    def test_keeps_no_password_and_no_csrf_token(self, log_in: LogIn) -> None:
        log_in("wrong-7f3a", door=PAGE)

        (attempt,) = AccessAttempt.objects.all()
        assert "wrong-7f3a" not in str(vars(attempt))

    def test_keeps_no_password_of_who_changes_it(self, log_in: LogIn) -> None:
        log_in("wrong-7f3a", door=CHANGE)

        (attempt,) = AccessAttempt.objects.all()
        assert "new_password1" in attempt.post_data
        assert "wrong-7f3a" not in str(vars(attempt))
        assert NEW not in str(vars(attempt))

    def test_is_told_on_the_page_where_the_password_is_changed(
        self, user: Any, log_in: LogIn
    ) -> None:
        page = lock(log_in, door=CHANGE).content.decode()

        assert 'id="id_old_password"' in page
        assert 'id="id_username"' not in page
        user.refresh_from_db()
        assert user.check_password(PASSWORD)

    def test_leads_back_to_where_one_wanted_to_go_and_to_no_other_host(
        self, user: Any, log_in: LogIn
    ) -> None:
        lock(log_in)
        form = {"username": user.username, "password": "x"}

        for wanted, given in (("/?site=1", True), ("//evil.example/", False)):
            page = Client(REMOTE_ADDR=HERE).post(PAGE, {**form, "next": wanted})
            assert page.status_code == 429
            assert (f'value="{wanted}"' in page.content.decode()) is given


class TestAddress:
    @pytest.mark.parametrize(
        ("sent", "counted"),
        [
            ("203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("2001:db8:0:1:2:3:4:5", "2001:db8:0:1::"),
            ("fe80::1%eth0", "fe80::"),
            ("unknown", UNKNOWN),
            ("", UNKNOWN),
        ],
    )
    def test_is_one_that_the_database_can_hold(self, rf: Any, sent: str, counted: str) -> None:
        assert address_of(rf.get("/", REMOTE_ADDR=sent)) == counted


class TestForget:
    def test_deletes_what_locks_nobody_any_more(self, log_in: LogIn) -> None:
        log_in("wrong")
        turn_back(minutes=16)
        log_in("wrong", address=THERE)  # axes itself deletes what has ended
        AccessAttempt.objects.create(
            username="x", ip_address=HERE, user_agent="", failures_since_start=1
        )
        AccessAttempt.objects.filter(username="x").update(
            attempt_time=timezone.now() - timedelta(minutes=16)
        )

        assert forget_ended(100) == 1

        assert [each.ip_address for each in AccessAttempt.objects.all()] == [THERE]


class TestAdmin:
    def test_leads_to_the_one_page_where_the_password_is_changed(self, user: Any) -> None:
        browser = Client()
        browser.force_login(user)
        assert 'href="/admin/password_change/"' in browser.get("/admin/").content.decode()

        for answer in (
            browser.get("/admin/password_change/"),
            browser.post("/admin/password_change/", {"old_password": "wrong"}),
        ):
            assert answer.headers["Location"] == "/account/"

    def test_shows_the_counts_to_superusers_alone_and_edits_none(
        self, user: Any, log_in: LogIn
    ) -> None:
        log_in("wrong")
        (attempt,) = AccessAttempt.objects.all()
        path = f"/admin/axes/accessattempt/{attempt.pk}/change/"
        browser = Client()
        browser.force_login(user)
        assert browser.get(path).status_code == 403
        user.is_superuser = True
        user.save()

        assert HERE in browser.get("/admin/axes/accessattempt/").content.decode()
        assert browser.get(path).status_code == 200
        assert browser.post(path, {"username": "x"}).status_code == 403
        assert browser.post(path.replace("change", "delete"), {"post": "yes"}).status_code == 403
        assert AccessAttempt.objects.count() == 1


class TestProcess:
    def test_locks_behind_a_proxy_by_the_clients_address_with_redis_away(
        self, world: World, tmp_path: Path
    ) -> None:
        user = world.a.operator
        user.set_password(PASSWORD)
        user.save()
        web = WebProcess(tmp_path / "web.log", redis_url="redis://127.0.0.1:9/0")
        try:
            client = [_ask(web, user.username, "wrong", "203.0.113.7") for _ in range(LIMIT)]
            assert client == [401] * (LIMIT - 1) + [429]
            assert _ask(web, user.username, PASSWORD, "203.0.113.7") == 429
            # What the client itself puts before the proxy's entry is not believed.
            assert _ask(web, user.username, PASSWORD, "198.51.100.1, 203.0.113.7") == 429
            assert _ask(web, user.username, PASSWORD, "203.0.113.8") == 200
            assert _ask(web, user.username, "wrong", "no address") == 401
        finally:
            web.close()
        assert PASSWORD not in (tmp_path / "web.log").read_text()


def _ask(web: WebProcess, username: str, password: str, forwarded_for: str) -> int:
    asked = Request(  # noqa: S310 - ours
        f"{web.http}{TOKEN}",
        json.dumps({"username": username, "password": password}).encode(),
        {"Content-Type": "application/json", "X-Forwarded-For": forwarded_for},
    )
    try:
        with urlopen(asked, timeout=30) as answer:  # noqa: S310 - ours
            return int(answer.status)
    except HTTPError as error:
        return error.code
