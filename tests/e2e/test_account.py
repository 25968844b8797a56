"""The door and the account in real browsers, and what a wallboard's token opens."""

import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.e2e.board import ARTIFACTS, LIVE_MS, Api, live, shoot, user_of
from tests.e2e.running import Running, eventually

Seed = dict[str, Any]
Open = Callable[..., Page]
PHONE = {"width": 390, "height": 844}
ANOTHER = "w9zt-4hre-88pm"
# The page's own client of the feed, as the script of a wallboard uses it.
FOLLOW = """
async ([token]) => {
  const { Feed } = await import("/static/noc/noc-feed.js");
  const headers = { Authorization: `Token ${token}`, Accept: "application/json" };
  const ask = (url, options = {}) => fetch(url, { ...options, headers, credentials: "omit" });
  window.told = [];
  window.states = [];
  const feed = new Feed({
    snapshotUrl: "/api/v1/noc/snapshot/", socketUrl: "/ws/noc/", accountUrl: "/api/v1/auth/me/",
    fetch: ask,
    ticket: async () => {
      const answer = await ask("/api/v1/auth/ws-ticket/", { method: "POST" });
      return (await answer.json()).ticket;
    },
  });
  feed.addEventListener("event", ({ detail }) => window.told.push(detail.frame));
  feed.addEventListener("state", ({ detail }) => window.states.push(detail.state));
  feed.start();
}
"""


@pytest.fixture
def pages(browser: Browser) -> Iterator[Open]:
    """Opens browsers of their own; fails the test on any script error."""
    contexts, troubles = [], []

    def make(**options: Any) -> Page:
        options.setdefault("viewport", {"width": 1280, "height": 760})
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "console",
            lambda said: "Content Security" in said.text and troubles.append(said.text),
        )
        page.on("dialog", lambda dialog: dialog.accept())
        return page

    yield make
    for context in contexts:
        context.close()
    assert not troubles


def sign_in(page: Page, stack: Running, user: Seed, *, at: str = "/account/") -> Page:
    page.goto(f"{stack['http']}{at}")
    page.get_by_label("User name").fill(user["username"])
    page.get_by_label("Password").fill(user["password"])
    page.get_by_role("button", name="Sign in").click()
    return page


def heading(page: Page) -> Any:
    return page.get_by_role("heading", name="Change the password")


def change_password(page: Page, old: str, new: str) -> None:
    page.get_by_label("Present password").fill(old)
    page.get_by_label("New password, 8 characters or more").fill(new)
    page.get_by_label("New password again").fill(new)
    page.get_by_role("button", name="Change the password").click()


def make_token(page: Page, name: str, kind: str) -> str:
    page.get_by_label("Name of a new one").fill(name)
    page.get_by_label(kind).check()
    page.get_by_role("button", name="Make it").click()
    secret: str = page.locator("#secret").input_value()
    return secret


def closed(socket: ClientConnection) -> int | None:
    """Read until the server closes the socket; return the code."""
    with suppress(ConnectionClosed):
        while True:
            socket.recv(timeout=20)
    return socket.close_code


class TestLogin:
    @pytest.mark.parametrize("look", ["light", "dark", "phone"])
    def test_page_fits(self, stack: Running, pages: Open, look: str) -> None:
        page = pages(
            color_scheme="dark" if look == "dark" else "light",
            **({"viewport": PHONE} if look == "phone" else {}),
        )
        page.goto(f"{stack['http']}/login/?signed-out")

        expect(page.get_by_role("status").filter(has_text="signed out")).to_be_visible()
        expect(page.get_by_label("User name")).to_be_focused()
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
        shoot(page, f"login-{look}")

    def test_locks_after_wrong_passwords_and_says_for_how_long(
        self, stack: Running, pages: Open
    ) -> None:
        page = pages()
        nobody = {"username": "nobody-at-all", "password": "wrong"}
        for _ in range(4):
            sign_in(page, stack, nobody)
            expect(page.get_by_role("alert")).to_contain_text("not right")
        sign_in(page, stack, nobody)

        expect(page.get_by_role("alert")).to_contain_text("Try again in 15 min")
        shoot(page, "locked")


class TestAccount:
    @pytest.mark.parametrize("look", ["light", "dark", "phone"])
    def test_page_fits(self, stack: Running, other: Seed, pages: Open, look: str) -> None:
        page = pages(
            color_scheme="dark" if look == "dark" else "light",
            **({"viewport": PHONE} if look == "phone" else {}),
        )
        sign_in(page, stack, user_of(other))

        expect(heading(page)).to_be_visible()
        make_token(page, f"Screen in the hall, {look}", "wallboard")
        expect(page.get_by_role("heading", name="The address of")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
        ARTIFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTIFACTS / f"account-{look}.png", full_page=True)

    def test_changes_the_password_here_and_signs_out_the_other_browser(
        self, stack: Running, other: Seed, pages: Open
    ) -> None:
        user = user_of(other, all_sites=False)
        here, there = pages(), pages()
        for page in (here, there):
            expect(heading(sign_in(page, stack, user))).to_be_visible()

        change_password(here, "wrong", ANOTHER)
        expect(here.get_by_role("alert")).to_be_visible()
        change_password(here, user["password"], ANOTHER)

        try:
            expect(here.get_by_text("The password is changed.")).to_be_visible()
            there.reload()
            expect(there.get_by_role("button", name="Sign in")).to_be_visible()
            sign_in(there, stack, {**user, "password": ANOTHER})
            expect(heading(there)).to_be_visible()
        finally:
            change_password(here, ANOTHER, user["password"])

    def test_keeps_the_board_in_another_tab_of_the_browser_that_changed_it(
        self, stack: Running, other: Seed, pages: Open
    ) -> None:
        user = user_of(other, all_sites=False)
        board, away = live(sign_in(pages(), stack, user, at="/")), pages()
        live(sign_in(away, stack, user, at="/"))
        account = board.context.new_page()
        account.goto(f"{stack['http']}/account/")

        change_password(account, user["password"], ANOTHER)

        try:
            expect(account.get_by_text("The password is changed.")).to_be_visible()
            expect(away.locator("#state-word")).to_have_text("Signed out", timeout=LIVE_MS)
            expect(board.locator("#state-word")).to_have_text("Live", timeout=LIVE_MS)
            expect(board.locator("#notice")).to_be_hidden()
            assert board.evaluate("window.neverReloaded")
        finally:
            change_password(account, ANOTHER, user["password"])

    def test_makes_and_revokes_a_token_whose_socket_ends(
        self, stack: Running, acme: Seed, pages: Open
    ) -> None:
        page = sign_in(pages(), stack, user_of(acme))
        token = make_token(page, "Script of the night", "may do what you may")
        headers = {"Authorization": f"Token {token}"}
        page.get_by_role("link", name="Done").click()
        assert token not in page.content()

        with connect(stack["ws"], additional_headers=headers) as socket:
            assert json.loads(socket.recv(timeout=20))["type"] == "hello"
            page.get_by_role("button", name="Revoke Script of the night").click()
            expect(page.get_by_text("The token is revoked.")).to_be_visible()
            assert closed(socket) == 4401
        account = httpx.get(f"{stack['http']}/api/v1/auth/me/", headers=headers)
        assert account.status_code == 401

    def test_signs_out_everywhere(self, stack: Running, acme: Seed, pages: Open) -> None:
        user = user_of(acme, all_sites=False)
        here, there = sign_in(pages(), stack, user), sign_in(pages(), stack, user)
        expect(heading(there)).to_be_visible()

        here.get_by_role("button", name="Sign out everywhere").click()

        expect(here.get_by_text("You are signed out.")).to_be_visible()
        there.reload()
        expect(there.get_by_role("button", name="Sign in")).to_be_visible()


class TestWallboard:
    def test_follows_the_feed_by_its_read_only_token_until_that_is_revoked(
        self, stack: Running, acme: Seed, other: Seed, pages: Open
    ) -> None:
        account = sign_in(pages(), stack, user_of(acme))
        address = make_token(account, "Wall", "wallboard")
        path, _, token = address.partition("#token=")
        assert path == f"{stack['http']}/?wall=1"
        wall = pages()
        wall.route("**/app.js", lambda route: route.abort())  # only what is asked for below
        wall.goto(path)
        assert wall.locator("body").get_attribute("data-wall") == "true"
        assert acme["name"] not in wall.content()
        version = httpx.get(f"{stack['http']}/version").json()["version"]
        assert wall.locator("body").get_attribute("data-version") == version

        wall.evaluate(FOLLOW, [token])
        eventually(lambda: wall.evaluate("states.includes('live')"), seconds=20)
        writer = Api(stack, user_of(acme, may="ticket:write"))
        stranger = Api(stack, user_of(other, may="ticket:write"))
        strange = stranger.create(other["sites"][0])
        ticket = writer.create(acme["sites"][0])

        came = "id => told.some((each) => each.ticket_id === id)"
        eventually(lambda: wall.evaluate(came, ticket["id"]), seconds=20)
        assert not wall.evaluate(came, strange["id"])
        headers = {"Authorization": f"Token {token}"}
        change = f"{stack['http']}/api/v1/tickets/{ticket['id']}/status/"
        refused = httpx.post(change, headers=headers, json={"status": "IN_PROGRESS"})
        assert refused.status_code == 403
        account.goto(f"{stack['http']}/account/")
        account.get_by_role("button", name="Revoke Wall", exact=True).click()
        eventually(lambda: wall.evaluate("states.includes('signed-out')"), seconds=20)
