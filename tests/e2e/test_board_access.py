"""The page for those who do not see it as others do: axe, and what is said to screen readers."""

from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.board import (
    HOSTILE,
    LIVE_MS,
    PHONE,
    Api,
    Seed,
    admin_of,
    change_all,
    end_session,
    live,
    row,
    user_of,
)
from tests.e2e.running import Running

Open = Callable[..., Page]
AXE = Path(__file__).resolve().parents[2] / "node_modules/axe-core/axe.min.js"
SCHEMES = ["light", "dark"]
EVERY_MS, TIMER_MS = 10_000, 50  # as digest.js has it; what its timer may be early
RECORD_TEXTS = """
window.said = [];
new MutationObserver(() => window.said.push(performance.now()))
  .observe(document.getElementById("digest"), { childList: true });
"""


def violations(page: Page) -> list[tuple[Any, ...]]:
    """What axe finds, but for what is minor."""
    page.evaluate(AXE.read_text())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        (violation["id"], [(node["html"], node["failureSummary"]) for node in violation["nodes"]])
        for violation in found["violations"]
        if violation["impact"] != "minor"
    ]


@pytest.fixture
def one_of_each(acme: Seed, api: Api) -> Seed:
    """Tickets of every priority and of several statuses; returns one of them."""
    site = acme["sites"][0]
    text = f"{HOSTILE} {uuid4().hex[:10]}"
    made = [api.create(site, text, level) for level in ("LOW", "MEDIUM", "HIGH", "CRITICAL")]
    for ticket, status in zip(made, ("IN_PROGRESS", "ON_HOLD"), strict=False):
        api.move_on(ticket, status)
    for level in ("LOW", "CRITICAL"):
        api.post("noc/findings/", {"title": HOSTILE, "severity": level, "site_id": site["id"]})
    return made[0]


class TestAxe:
    @pytest.mark.parametrize("scheme", SCHEMES)
    def test_finds_nothing_on_the_board(
        self, scheme: str, acme: Seed, one_of_each: Seed, sign_in: Open
    ) -> None:
        page = live(sign_in(admin_of(acme), color_scheme=scheme))
        expect(page.locator("#rows tr").first).to_be_visible()
        assert violations(page) == []

        page.locator("#filters summary").filter(has_text="Status").click()
        expect(page.get_by_role("checkbox", name="On hold")).to_be_visible()
        page.get_by_role("checkbox", name="On hold").check()
        assert violations(page) == []
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Clear all").click()

        page.locator("#saved-views > summary").click()
        expect(page.get_by_role("textbox", name="Name of the view")).to_be_visible()
        assert violations(page) == []
        page.keyboard.press("Escape")

        page.get_by_role("button", name="Keys").click()
        assert violations(page) == []
        page.keyboard.press("Escape")

        page.get_by_role("link", name="Findings").click()
        expect(page.locator("#sightings-view tbody tr").first).to_be_visible()
        assert violations(page) == []

    @pytest.mark.parametrize("scheme", SCHEMES)
    def test_finds_nothing_on_the_panel(
        self, scheme: str, acme: Seed, one_of_each: Seed, sign_in: Open
    ) -> None:
        path = f"/?ticket={one_of_each['id']}"
        page = live(sign_in(admin_of(acme), path=path, color_scheme=scheme))
        expect(page.locator(".timeline li").first).to_be_visible(timeout=LIVE_MS)
        page.get_by_text("Who received it").first.click()

        assert violations(page) == []

    @pytest.mark.parametrize("scheme", SCHEMES)
    def test_finds_nothing_on_a_phone(
        self, scheme: str, acme: Seed, one_of_each: Seed, sign_in: Open
    ) -> None:
        word = one_of_each["description"].split()[-1]
        phone = {"viewport": PHONE, "is_mobile": True, "has_touch": True, "color_scheme": scheme}
        page = live(sign_in(user_of(acme), path=f"/?priority=LOW&q={word}", **phone))
        ticket = row(page, one_of_each)
        expect(ticket).to_be_visible()
        assert violations(page) == []

        ticket.locator("td.description").tap()

        expect(page.locator(".timeline li").first).to_be_visible(timeout=LIVE_MS)
        assert violations(page) == []

    @pytest.mark.parametrize("scheme", SCHEMES)
    def test_finds_nothing_on_the_login(
        self, scheme: str, stack: Running, browser: Browser
    ) -> None:
        page = browser.new_page(color_scheme=scheme)
        page.goto(f"{stack['http']}/")
        expect(page.get_by_label("Password")).to_be_visible()

        assert violations(page) == []
        page.close()

    @pytest.mark.parametrize("scheme", SCHEMES)
    def test_finds_nothing_on_what_is_done_to_tickets_and_refused(
        self, scheme: str, acme: Seed, api: Api, sign_in: Open, word: str
    ) -> None:
        tickets = [api.create(acme["sites"][0], word, level) for level in ("HIGH", "CRITICAL")]
        operator = user_of(acme, may="ticket:write")
        page = live(sign_in(operator, path=f"/?q={word}", color_scheme=scheme))
        row(page, tickets[0]).locator("[data-menu]").click()
        expect(page.locator("#sheet")).to_be_visible()
        assert violations(page) == []
        page.locator("#sheet").get_by_role("button", name="Add a note …").click()
        assert violations(page) == []
        page.keyboard.press("Escape")

        page.locator("thead input[type=checkbox]").check()
        page.locator("#bulk").get_by_role("button", name="Assign …").click()
        expect(page.locator("#sheet [data-member]").nth(1)).to_be_visible()
        assert violations(page) == []
        page.keyboard.press("Escape")
        page.locator("#bulk").get_by_role("button", name="Priority …").click()
        for ticket in tickets:
            api.move_on(ticket, "IN_PROGRESS")
            moved = row(page, ticket)
            expect(moved).to_have_attribute("data-status", "IN_PROGRESS", timeout=LIVE_MS)
        page.locator("#sheet [data-choice=LOW]").click()
        expect(page.locator("tr.refusal-line")).to_have_count(2, timeout=LIVE_MS)
        expect(page.locator(".toast[data-kind=refused]")).to_be_visible()
        assert violations(page) == []

    @pytest.mark.parametrize("scheme", SCHEMES)
    def test_finds_nothing_on_the_alarms_and_once_signed_out(
        self, scheme: str, acme: Seed, one_of_each: Seed, sign_in: Open
    ) -> None:
        page = live(sign_in(user_of(acme), color_scheme=scheme))
        page.locator("#alarms .alarm-state").click()
        expect(page.locator("[data-level=CRITICAL] select")).to_be_visible()
        assert violations(page) == []
        page.keyboard.press("Escape")

        end_session(page)

        assert violations(page) == []

    def test_finds_nothing_on_the_wall(
        self, acme: Seed, one_of_each: Seed, sign_in: Open, stack: Running
    ) -> None:
        page = live(sign_in(user_of(acme)))
        page.goto(f"{stack['http']}/?wall=1")
        live(page)
        expect(page.locator("#wall .tile").first).to_be_visible()

        assert violations(page) == []


class TestMarks:
    def test_of_each_level_and_status_have_a_shape_of_their_own_and_a_word(
        self, acme: Seed, one_of_each: Seed, sign_in: Open
    ) -> None:
        page = live(sign_in(user_of(acme)))
        for kind, words in (("level", 4), ("status", 4)):
            counters = page.locator(f".counter:has([class*='{kind}-'])")
            expect(counters).to_have_count(words)
            drawn = counters.locator(".shape").evaluate_all(
                """all => all.map(shape => {
                    const { clipPath, borderRadius, borderTopWidth, backgroundImage, width } =
                        getComputedStyle(shape);
                    return [clipPath, borderRadius, borderTopWidth, backgroundImage !== "none",
                            parseFloat(width) > 4 && shape.checkVisibility()].join();
                })"""
            )
            assert len(set(drawn)) == words
            assert all(look.endswith("true") for look in drawn)
            assert all(counters.nth(each).inner_text().strip() for each in range(words))


class TestLiveRegion:
    def test_says_counts_politely_and_a_critical_ticket_at_once(
        self, acme: Seed, api: Api, sign_in: Open
    ) -> None:
        site = acme["sites"][0]
        page = live(sign_in(user_of(acme)))
        urgent, polite = page.locator("#digest-urgent"), page.locator("#digest")
        expect(urgent).to_have_attribute("aria-live", "assertive")
        expect(polite).to_have_attribute("aria-live", "polite")
        expect(polite).to_be_empty()

        first = api.create(site, priority="CRITICAL")
        api.create(site, priority="CRITICAL")
        api.create(site)

        expect(urgent).to_contain_text(first["ticket_no"], timeout=LIVE_MS)
        expect(polite).to_contain_text("3 new tickets, 2 critical", timeout=LIVE_MS)
        expect(urgent).to_contain_text(first["ticket_no"])  # once for the burst

    def test_says_nothing_of_what_the_filter_hides(
        self, acme: Seed, api: Api, sign_in: Open
    ) -> None:
        site = acme["sites"][0]
        page = live(sign_in(user_of(acme), path="/?priority=LOW"))
        shown = page.locator("#digest")

        api.create(site, priority="CRITICAL")
        api.create(site, priority="LOW")

        expect(shown).to_contain_text("1 new ticket", timeout=LIVE_MS)
        expect(page.locator("#digest-urgent")).to_be_empty()

    def test_lets_ten_seconds_pass_between_two_texts(
        self, acme: Seed, api: Api, sign_in: Open, stack: Running, word: str
    ) -> None:
        api.create(acme["sites"][0], word)
        page = live(sign_in(user_of(acme), path=f"/?q={word}"))
        page.evaluate(RECORD_TEXTS)
        statuses, end = cycle(["IN_PROGRESS", "RESOLVED"]), monotonic() + 60

        while len(page.evaluate("window.said")) < 2:
            assert monotonic() < end
            change_all(stack, word, "status = %s", next(statuses))
            page.wait_for_timeout(200)  # the pace of the changes

        first, second = page.evaluate("window.said")[:2]
        assert second - first >= EVERY_MS - TIMER_MS
