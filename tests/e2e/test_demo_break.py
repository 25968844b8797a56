"""The page that breaks a demo on purpose: what is seen of each fault, and that all comes."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.e2e.board import LIVE_MS, PHONE, Api, Seed, admin_of, shoot, user_of
from tests.e2e.running import NOC, Running, eventually

BACK_MS = 60_000  # a worker starts in some seconds, on a loaded machine in more


@pytest.fixture(scope="module")
def breakable(new_data_folder: Callable[[str], Path]) -> Iterator[Running]:
    """An instance as `./noc demo` starts it."""
    running = Running(new_data_folder("breakable"), "--breakable")
    try:
        yield running.wait_ready()
    finally:
        running.end()


@pytest.fixture(scope="module")
def tenant(breakable: Running) -> Seed:
    seeded: Seed = json.loads(breakable.manage("seed_demo", "--json").stdout)["tenants"][0]
    return seeded


@pytest.fixture
def write(breakable: Running, tenant: Seed) -> Callable[[int], None]:
    """Makes tickets, each of which is an event."""
    api = Api(breakable, user_of(tenant, may="ticket:write"))

    def create(count: int) -> None:
        for number in range(count):
            api.create(tenant["sites"][0], f"written while it is broken, {number}")

    return create


@pytest.fixture
def open_page(browser: Browser, breakable: Running, tenant: Seed) -> Iterator[Callable[..., Page]]:
    contexts, troubles = [], []

    def enter(user: Seed | None = None, **options: Any) -> Page:
        user = user or admin_of(tenant)
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 760}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on(
            "console",
            lambda message: "Security Policy" in message.text and troubles.append(message.text),
        )
        page.goto(f"{breakable['http']}/demo/")
        page.get_by_label("User name").fill(user["username"])
        page.get_by_label("Password").fill(user["password"])
        page.get_by_role("button", name="Sign in").click()
        return page

    yield enter
    for context in contexts:
        context.close()
    assert not troubles


@pytest.fixture
def page(open_page: Callable[..., Page]) -> Page:
    return live(open_page())


def live(page: Page) -> Page:
    expect(page.locator("#feed-state")).to_have_text("Live", timeout=LIVE_MS)
    return page


def press(page: Page, fault: str) -> None:
    page.locator(f"[data-fault='{fault}'] button").click()


def card(page: Page, fault: str) -> Locator:
    return page.locator(f"[data-fault='{fault}']")


def arrived(page: Page) -> int:
    """How many events came to the page; fails when a number is missing among them."""
    text = page.locator("#contiguous").inner_text()
    if text == "No event yet.":
        return 0
    found = re.fullmatch(r"([\d,]+) events, numbers ([\d,]+) to ([\d,]+), no hole\.", text)
    assert found is not None, text
    count, first, last = (int(number.replace(",", "")) for number in found.groups())
    assert count == last - first + 1
    return count


def expect_more(page: Page, before: int, count: int) -> None:
    eventually(lambda: arrived(page) == before + count, seconds=BACK_MS / 1000)


class TestPage:
    def test_shows_the_backlog_of_a_stopped_worker_and_how_it_falls(
        self, page: Page, write: Callable[[int], None], breakable: Running
    ) -> None:
        before = arrived(page)
        worker = psutil.Process(breakable.state()["pids"]["worker"])

        press(page, "stop-worker")
        expect(card(page, "stop-worker")).to_have_attribute("data-on", "true")
        assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
        write(25)

        expect(page.locator("#pending")).to_have_text("25", timeout=LIVE_MS)
        expect(page.locator(".behind")).to_have_attribute("data-behind", "25")
        shoot(page, "break-worker-stopped")
        assert arrived(page) == before
        press(page, "stop-worker")
        expect(page.locator("#pending")).to_have_text("0", timeout=BACK_MS)
        expect(page.locator("#caught")).to_contain_text("25 → 0 in", timeout=LIVE_MS)
        expect_more(page, before, 25)
        expect(card(page, "stop-worker")).to_contain_text("Runs", timeout=BACK_MS)
        shoot(page, "break-light")

    @pytest.mark.parametrize("fault", ["freeze-redis", "kill-redis", "stop-beat"])
    def test_gets_events_while_it_is_on(
        self, page: Page, write: Callable[[int], None], fault: str
    ) -> None:
        before = arrived(page)
        press(page, fault)
        expect(card(page, fault)).to_have_attribute("data-on", "true")

        write(5)

        expect_more(page, before, 5)
        expect(card(page, fault)).to_have_attribute("data-on", "true")
        press(page, fault)
        expect(card(page, fault)).to_contain_text("Runs", timeout=BACK_MS)

    @pytest.mark.parametrize("fault", ["cut-sockets", "kill-web"])
    def test_comes_back_live_and_misses_nothing(
        self, page: Page, write: Callable[[int], None], fault: str, breakable: Running
    ) -> None:
        write(1)
        expect_more(page, 0, 1)

        press(page, fault)

        expect(page.locator("#returns")).to_have_text("1", timeout=BACK_MS)
        live(page)
        eventually(lambda: "web" in breakable.state()["pids"], seconds=20)
        write(3)
        expect_more(page, 1, 3)

    def test_is_seen_in_the_dark_and_on_a_phone(self, open_page: Callable[..., Page]) -> None:
        dark = live(open_page(color_scheme="dark"))
        expect(card(dark, "stop-worker")).to_contain_text("Runs")
        shoot(dark, "break-dark")
        phone = live(open_page(viewport=PHONE))
        expect(card(phone, "stop-worker")).to_contain_text("Runs")
        assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
        phone.screenshot(path="test-artifacts/break-phone.png", full_page=True)

    def test_is_led_to_from_the_board(self, page: Page) -> None:
        page.get_by_role("link", name="To the board").click()
        page.get_by_role("link", name="Break it").click()
        live(page)


class TestWhoMay:
    def test_refuses_who_does_not_run_a_tenant(
        self, open_page: Callable[..., Page], tenant: Seed, breakable: Running
    ) -> None:
        page = open_page(user_of(tenant))

        expect(page.get_by_role("alert")).to_contain_text("Only an account that runs a tenant")
        page.goto(breakable["http"])
        expect(page.locator("#state")).to_be_visible()
        expect(page.get_by_role("link", name="Break it")).to_have_count(0)

    def test_refuses_a_request_from_elsewhere(self, breakable: Running, page: Page) -> None:
        cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
        url = f"{breakable['http']}/demo/faults/stop-worker"

        forged = httpx.post(url, json={"on": True}, cookies={"sessionid": cookies["sessionid"]})
        nobody = httpx.post(url, json={"on": True})

        assert (forged.status_code, nobody.status_code) == (403, 403)
        assert "worker" in breakable.state()["pids"]

    def test_is_not_there_in_a_plain_instance(self, stack: Running) -> None:
        for path in ("demo/", "demo/state", "demo/faults/stop-worker"):
            assert httpx.get(f"{stack['http']}/{path}").status_code == 404


def test_the_option_is_not_advertised() -> None:
    helped = subprocess.run([NOC, "up", "--help"], capture_output=True, text=True, check=True)

    assert "breakable" not in helped.stdout
