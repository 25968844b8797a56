"""The account page, the login page, the wall's page and the version, past the browser."""

import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from knox.models import AuthToken

from apps.noc.version import version
from apps.tenancy import devices
from apps.tenancy.models import Device
from tests.integration.conftest import World
from tests.integration.processes import ROOT

PASSWORD, ANOTHER = "k7qm-x2fa-3tbd", "w9zt-4hre-88pm"
ACCOUNT, TOKENS = "/account/", "/account/tokens/"
Browse = Callable[..., Client]


@pytest.fixture
def user(world: World, settings: Any) -> Any:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick
    user = world.a.site_operator
    user.set_password(PASSWORD)
    user.save()
    return user


@pytest.fixture
def browse(user: Any) -> Browse:
    def open_browser(**options: Any) -> Client:
        browser = Client(**options)
        browser.force_login(user)
        return browser

    return open_browser


def signed_in(browser: Client) -> bool:
    return bool(browser.get(ACCOUNT).status_code == 200)


def text_of(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", answer.content.decode()))


class TestAccount:
    def test_tells_who_one_is_and_what_one_may(self, world: World, browse: Browse) -> None:
        answer = browse().get(ACCOUNT)

        text = text_of(answer)
        for expected in ("Siteop Test", "siteop-a", "Tenant A", "SITE001 Near a", "create and cha"):
            assert expected in text
        assert "Far a" not in text
        assert "Tenant B" not in text
        assert "manage the tenant" not in text
        assert "no-store" in answer["Cache-Control"]
        assert f'data-version="{version()}"' in answer.content.decode()

    def test_has_nothing_inline(self, browse: Browse) -> None:
        page = browse().get(ACCOUNT).content.decode()

        assert not re.search(r"<style|\bstyle=|\son[a-z]+=|<script(?![^>]* src=)", page)

    def test_asks_to_sign_in_and_comes_back(self, world: World) -> None:
        assert Client().get(ACCOUNT).headers["Location"] == "/login/?next=/account/"

    @pytest.mark.parametrize(
        "path", ["password/", "tokens/", "tokens/0000000000000000/", "sign-out/"]
    )
    def test_changes_nothing_by_a_link_or_without_the_csrf_token(
        self, browse: Browse, path: str
    ) -> None:
        answer = browse().get(ACCOUNT + path)
        assert (answer.status_code, answer.headers["Location"]) == (302, ACCOUNT)
        assert browse().put(ACCOUNT + path).status_code == 405
        assert browse(enforce_csrf_checks=True).post(ACCOUNT + path).status_code == 403

    @pytest.mark.parametrize(
        "path", ["password/", "tokens/", "tokens/0000000000000000/", "sign-out/"]
    )
    def test_is_shown_when_the_session_ended_before_the_form_was_sent(
        self, user: Any, path: str
    ) -> None:
        browser = Client()
        door = browser.post(ACCOUNT + path, {"name": "x", "kind": "full"}).headers["Location"]
        form = {"username": user.username, "password": PASSWORD, "next": ACCOUNT + path}
        assert door == f"/login/?next={ACCOUNT}{path}"

        answer = browser.post(door, form, follow=True)

        assert (answer.status_code, answer.request["PATH_INFO"]) == (200, ACCOUNT)
        assert "nothing was changed" in text_of(answer)
        assert not Device.objects.exists()


class TestPassword:
    def change(self, browser: Client, old: str, new: str, again: str) -> Any:
        form = {"old_password": old, "new_password1": new, "new_password2": again}
        return browser.post(f"{ACCOUNT}password/", form)

    def test_keeps_this_browser_and_ends_the_others(self, user: Any, browse: Browse) -> None:
        this, other = browse(), browse()
        token = devices.add(user, name="screen", read_only=True)[1]

        assert self.change(this, PASSWORD, ANOTHER, ANOTHER).status_code == 302

        assert signed_in(this)
        assert not signed_in(other)
        user.refresh_from_db()
        assert user.check_password(ANOTHER)
        headers = {"Authorization": f"Token {token}"}
        assert Client(headers=headers).get("/api/v1/auth/me/").status_code == 200

    @pytest.mark.parametrize(
        ("old", "new", "again"),
        [
            ("wrong", ANOTHER, ANOTHER),
            (PASSWORD, ANOTHER, "another"),
            (PASSWORD, "short", "short"),
            (PASSWORD, "password1", "password1"),
            (PASSWORD, "", ""),
            (PASSWORD, "a\0bcdefgh", "a\0bcdefgh"),
        ],
    )
    def test_refuses_and_says_why(
        self, user: Any, browse: Browse, old: str, new: str, again: str
    ) -> None:
        this, other = browse(), browse()

        answer = self.change(this, old, new, again)

        assert answer.status_code == 400
        assert 'role="alert"' in answer.content.decode()
        assert ANOTHER not in answer.content.decode()
        assert signed_in(other)
        user.refresh_from_db()
        assert user.check_password(PASSWORD)


class TestTokens:
    def test_shows_a_new_one_once(self, browse: Browse) -> None:
        browser = browse()

        answer = browser.post(TOKENS, {"name": "<b>laptop</b>", "kind": "full"})

        (token,) = re.findall(r'id="secret" readonly value="([^"]+)"', answer.content.decode())
        assert "no-store" in answer["Cache-Control"]
        assert "<b>" not in answer.content.decode()
        headers = {"Authorization": f"Token {token}"}
        assert Client(headers=headers).get("/api/v1/auth/me/").json()["read_only"] is False
        page = browser.get(ACCOUNT).content.decode()
        assert token not in page
        assert "&lt;b&gt;laptop&lt;/b&gt;" in page

    def test_of_a_wallboard_is_in_the_fragment_of_an_address(self, browse: Browse) -> None:
        answer = browse().post(TOKENS, {"name": "hall", "kind": "wall"})

        (address,) = re.findall(r'id="secret" readonly value="([^"]+)"', answer.content.decode())
        url = urlsplit(address)
        assert (url.path, url.query) == ("/", "wall=1")
        token = url.fragment.removeprefix("token=")
        headers = {"Authorization": f"Token {token}"}
        assert Client(headers=headers).get("/api/v1/auth/me/").json()["read_only"] is True

    def test_refuses_what_is_no_name_and_the_fifty_first(self, user: Any, browse: Browse) -> None:
        browser = browse()
        assert browser.post(TOKENS, {"name": "", "kind": "full"}).status_code == 400
        assert browser.post(TOKENS, {"name": "x", "kind": "root"}).status_code == 400
        for number in range(devices.MOST):
            devices.add(user, name=str(number), read_only=False)

        answer = browser.post(TOKENS, {"name": "x", "kind": "full"})

        assert answer.status_code == 409
        assert "revoke one" in text_of(answer)

    def test_lists_some_and_tells_how_many_more_there_are(self, user: Any, browse: Browse) -> None:
        for _ in range(devices.LISTED):
            AuthToken.objects.create(user)
        browser = browse()
        page = browser.get(ACCOUNT)
        assert page.content.count(b"/account/tokens/") == devices.LISTED + 1  # the form's
        assert "older token" not in text_of(page)
        AuthToken.objects.create(user)

        page = browser.get(ACCOUNT)

        assert page.content.count(b"/account/tokens/") == devices.LISTED + 1
        assert "And 1 older token without a name." in text_of(page)
        browser.post(f"{ACCOUNT}sign-out/", {"tokens": "1"})
        assert not AuthToken.objects.filter(user=user).exists()

    def test_revokes_ones_own_alone(self, world: World, user: Any, browse: Browse) -> None:
        mine, _ = devices.add(user, name="mine", read_only=False)
        others, _ = devices.add(world.a.admin, name="other", read_only=False)
        browser = browse()

        for device in (mine, others):
            assert browser.post(f"{TOKENS}{device.id}/").status_code == 302

        assert Device.objects.get().name == "other"


class TestSignOutEverywhere:
    @pytest.mark.parametrize("tokens", [True, False])
    def test_ends_all_sessions_of_the_user_and_on_demand_the_tokens(
        self, world: World, user: Any, browse: Browse, tokens: bool
    ) -> None:
        this, other, colleague = browse(), browse(), Client()
        colleague.force_login(world.a.admin)
        for owner in (user, world.a.admin):
            devices.add(owner, name="x", read_only=False)

        answer = this.post(f"{ACCOUNT}sign-out/", {"tokens": "1"} if tokens else {})

        assert answer.headers["Location"] == "/login/?signed-out"
        assert not signed_in(this)
        assert not signed_in(other)
        assert signed_in(colleague)
        assert Session.objects.count() == 1
        assert AuthToken.objects.filter(user=user).exists() is not tokens
        assert AuthToken.objects.filter(user=world.a.admin).exists()


class TestLogin:
    def test_says_that_one_is_signed_out(self, browse: Browse) -> None:
        answer = browse().post("/logout/", follow=True)

        assert "You are signed out." in text_of(answer)
        assert "You are signed out." not in text_of(Client().get("/login/"))

    def test_keeps_where_one_wanted_to_go(self, user: Any) -> None:
        form = {"username": user.username, "password": "wrong", "next": "/?site=1&q=a"}
        page = Client().post("/login/", form).content.decode()
        assert 'role="alert"' in page
        assert 'value="/?site=1&amp;q=a"' in page

        answer = Client().post("/login/", {**form, "password": PASSWORD})

        assert answer.headers["Location"] == "/?site=1&q=a"

    def test_leads_on_who_is_signed_in(self, browse: Browse) -> None:
        assert browse().get("/login/").headers["Location"] == "/"

    @pytest.mark.parametrize(
        "wanted",
        ["/login/", "/login/?next=/login/", "/login/#top", "http://testserver/login/"],
    )
    def test_leads_nobody_to_itself(self, user: Any, browse: Browse, wanted: str) -> None:
        form = {"username": user.username, "password": PASSWORD, "next": wanted}

        for answer in (
            browse().get("/login/", {"next": wanted}),
            browse().post("/login/", form),
            Client().post("/login/", form),
        ):
            assert answer.status_code == 302
            assert answer.headers["Location"] == "/"
        assert 'name="next"' not in Client().get("/login/", {"next": wanted}).content.decode()


class TestWall:
    def test_gives_its_page_without_any_data_to_who_is_not_signed_in(self, world: World) -> None:
        answer = Client().get("/?wall=1")

        page = answer.content.decode()
        assert answer.status_code == 200
        assert 'data-wall="true"' in page
        assert f'data-version="{version()}"' in page
        assert "no-store" in answer["Cache-Control"]
        for party in (world.a, world.b):
            assert party.tenant.name not in page
            assert party.near.name not in page

    def test_works_by_the_session_of_who_is_signed_in(self, world: World, browse: Browse) -> None:
        page = browse().get("/?wall=1").content.decode()

        assert 'data-wall="true"' in page
        assert world.a.tenant.name in page

    def test_shows_nothing_to_who_is_signed_in_and_may_not(self, world: World) -> None:
        browser = Client()
        browser.force_login(world.a.guest)

        assert browser.get("/?wall=1").status_code == 403

    @pytest.mark.parametrize("query", ["", "?wall=0", "?wall=", "?wall=2", "?site=1"])
    def test_is_no_way_to_the_board(self, world: World, browse: Browse, query: str) -> None:
        assert Client().get(f"/{query}").status_code == 302
        assert "data-wall" not in browse().get(f"/{query}").content.decode()


class TestVersion:
    def test_is_told_to_anybody_and_kept_by_no_cache(self, database: None) -> None:
        answer = Client().get("/version")

        assert answer.json() == {"version": version()}
        assert answer["Cache-Control"] == "no-store"

    def test_is_the_same_in_another_process(self) -> None:
        ask = "from apps.noc.version import version; print(version())"
        done = subprocess.run(
            [sys.executable, "-c", ask], cwd=ROOT, capture_output=True, text=True, check=True
        )

        assert done.stdout.strip() == version()
