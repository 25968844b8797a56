"""The wallboard, in a real browser: with a session, and with nothing but a read-only token."""

import json
import os
import re
import signal
from collections.abc import Callable, Iterator

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.e2e.board import LIVE_MS, Api, Gate, Seed, change_all, live, shoot, user_of
from tests.e2e.running import Running, eventually
from tests.e2e.wiretap import Wiretap

Open = Callable[..., Page]
HD = {"width": 1920, "height": 1080}
MINUTE_MS = 60_000


def wall(page: Page, stack: Running) -> Page:
    """The wallboard by the session of the page."""
    live(page)
    page.goto(f"{stack['http']}/?wall=1")
    return live(page)


def wall_row(page: Page, ticket: Seed) -> str:
    return f"#wall [data-ticket='{ticket['id']}']"


@pytest.fixture
def borealis(seed: Seed) -> Seed:
    tenant: Seed = seed["tenants"][1]
    return tenant


@pytest.fixture
def tickets(stack: Running, borealis: Seed) -> Iterator[list[Seed]]:
    api = Api(stack, user_of(borealis, may="ticket:write"))
    made = [
        api.create(borealis["sites"][each % 2], f"Turbine {each} does not answer", priority)
        for each, priority in enumerate(["CRITICAL", "CRITICAL", "HIGH", "MEDIUM", "LOW", "LOW"])
    ]
    yield made
    change_all(stack, "Turbine", "status = 'CLOSED'")  # else those of all tests are a flood


class TestWall:
    def test_shows_the_worst_by_a_session_without_any_control(
        self, borealis: Seed, tickets: list[Seed], sign_in: Open, stack: Running
    ) -> None:
        page = wall(sign_in(user_of(borealis), viewport=HD), stack)
        assert "wall=1" in page.url
        expect(page.locator(wall_row(page, tickets[0]))).to_contain_text("Turbine 0")
        expect(page.locator("#wall [data-level=CRITICAL] b")).not_to_have_text("0")
        expect(page.locator(".tile").first).to_contain_text("open")
        assert page.locator(":is(button, a, input):visible").count() == 0
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
        shoot(page, "wall")
        number = int(page.locator("#wall [data-level=HIGH] b").inner_text())

        api = Api(stack, user_of(borealis, may="ticket:write"))
        api.move_on(tickets[2], "IN_PROGRESS")

        count = page.locator("#wall [data-level=HIGH] b")
        expect(count).to_have_text(str(number - 1), timeout=LIVE_MS)

    def test_shifts_its_picture_and_hides_the_pointer(
        self, borealis: Seed, sign_in: Open, stack: Running
    ) -> None:
        page = wall(sign_in(user_of(borealis)), stack)
        page.clock.install()
        page.reload()
        page.locator("#wall").wait_for()
        page.clock.fast_forward(MINUTE_MS)
        expect(page.locator("body")).to_have_attribute("data-shift", "1")
        expect(page.locator("body")).to_have_attribute("data-idle", "true")
        assert page.evaluate("getComputedStyle(document.body).cursor") == "none"

        page.mouse.move(100, 100)

        expect(page.locator("body")).not_to_have_attribute("data-idle", "true")

    def test_cannot_be_taken_for_current_when_it_is_stale(
        self, borealis: Seed, tickets: list[Seed], sign_in: Open, stack: Running
    ) -> None:
        page = wall(sign_in(user_of(borealis), viewport=HD), stack)
        web = stack.state()["pids"]["web"]

        os.kill(web, signal.SIGKILL)

        expect(page.locator("#wall .untrusted")).to_contain_text("Stale since", timeout=LIVE_MS)
        shoot(page, "wall-stale")
        expect(page.locator("#state")).to_have_attribute("data-state", "live", timeout=90_000)
        expect(page.locator("#wall .untrusted")).to_have_count(0)
        eventually(lambda: stack.state()["pids"]["web"] not in (None, web), seconds=60)

    def test_stays_so_until_it_has_caught_up(
        self, borealis: Seed, tickets: list[Seed], sign_in: Open, stack: Running
    ) -> None:
        page = wall(sign_in(user_of(borealis), viewport=HD), stack)
        gate = Gate(page)
        live(page)

        gate.holds = True
        gate.cut()

        expect(page.locator("#state")).to_have_attribute("data-state", "catching-up")
        words = re.compile(r"Catching up, stale since \d\d:\d\d:\d\d .*being made current")
        expect(page.locator("#wall .untrusted")).to_contain_text(words)
        expect(page.locator("body")).to_have_attribute("data-feed", "stale")
        shoot(page, "wall-catching-up")
        gate.let_through()
        live(page)
        expect(page.locator("#wall .untrusted")).to_have_count(0)


class TestToken:
    def test_is_all_that_a_wall_needs_until_it_is_revoked(
        self,
        borealis: Seed,
        tickets: list[Seed],
        browser: Browser,
        stack: Running,
        wiretap: Wiretap,
    ) -> None:
        headers = {"Authorization": f"Token {user_of(borealis)['token']}"}
        devices = f"{stack['http']}/api/v1/auth/devices/"
        body = {"name": "wall", "read_only": True}
        made = httpx.post(devices, headers=headers, json=body).json()
        context = browser.new_context(viewport=HD)
        page = context.new_page()

        page.goto(f"{stack['http']}/?wall=1#token={made['token']}")

        live(page)
        assert "token" not in page.url
        assert "sessionid" not in [cookie["name"] for cookie in context.cookies()]
        expect(page.locator(".tenant")).to_have_text(borealis["name"])
        expect(page.locator(wall_row(page, tickets[0]))).to_contain_text("Turbine 0")
        page.reload()  # the browser kept it
        live(page)
        shoot(page, "wall-token")

        httpx.delete(f"{devices}{made['id']}/", headers=headers).raise_for_status()

        expect(page.locator("#wall .untrusted")).to_contain_text("Token revoked", timeout=LIVE_MS)
        shoot(page, "wall-token-revoked")
        context.close()

    def test_or_a_sign_in_is_asked_for(
        self, borealis: Seed, browser: Browser, stack: Running, wiretap: Wiretap
    ) -> None:
        context = browser.new_context(viewport=HD)
        page = context.new_page()
        page.goto(f"{stack['http']}/?wall=1")
        expect(page.locator("#wall .untrusted")).to_contain_text("address")
        shoot(page, "wall-without-sign-in")

        page.locator("#wall").get_by_role("link", name="Sign in").click()
        user = user_of(borealis)
        page.get_by_label("User name").fill(user["username"])
        page.get_by_label("Password").fill(user["password"])
        page.get_by_role("button", name="Sign in").click()

        live(page)
        assert page.url.endswith("/?wall=1")
        context.close()


class TestNewVersion:
    def answer(self, version: str) -> Callable[[Route], None]:
        return lambda route: route.fulfill(
            content_type="application/json", body=json.dumps({"version": version})
        )

    def test_is_loaded_by_a_wall_once(self, borealis: Seed, sign_in: Open, stack: Running) -> None:
        page = wall(sign_in(user_of(borealis)), stack)
        page.clock.install()
        page.reload()
        live(page)
        page.context.route("**/version", self.answer("another"))

        with page.expect_event("load"):
            page.clock.fast_forward(2 * MINUTE_MS)
            page.clock.run_for(5_000)

        live(page)
        page.clock.fast_forward(2 * MINUTE_MS)
        expect(page.locator("body")).to_have_attribute("data-new-version", "another")
        assert page.evaluate("window.neverReloaded")

    def test_is_told_to_operators(self, borealis: Seed, sign_in: Open) -> None:
        page = live(sign_in(user_of(borealis)))
        page.clock.install()
        page.reload()
        live(page)
        page.context.route("**/version", self.answer("another"))

        page.clock.fast_forward(2 * MINUTE_MS)

        expect(page.locator("#new-version")).to_contain_text("A new version", timeout=LIVE_MS)
        shoot(page, "new-version")
        assert page.evaluate("window.neverReloaded")
        page.context.unroute_all()
        page.locator("#new-version").get_by_role("button").click()
        page.wait_for_function("!window.neverReloaded")
        live(page)
        expect(page.locator("#new-version")).to_be_hidden()
