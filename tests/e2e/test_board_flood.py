"""Flood mode, in a real browser: many new tickets of one site are one line, and none is lost."""

import re
from collections.abc import Callable, Iterator

import psycopg
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.board import LIVE_MS, PHONE, Api, Seed, live, row, shoot, user_of
from tests.e2e.running import Running

Open = Callable[..., Page]
MANY = 13


class Site:
    """A site with no tickets but those of the test."""

    def __init__(self, stack: Running, tenant: Seed) -> None:
        self._stack = stack
        self.user = user_of(tenant)
        self.api = Api(stack, user_of(tenant, may="ticket:write"))
        _, self.site, self._elsewhere = tenant["sites"]
        self.group = f"site:{self.site['id']}"
        self.made: list[Seed] = []

    def flood(self, count: int = MANY) -> list[Seed]:
        made = [
            self.api.create(self.site, f"No carrier {each}", "LOW" if each % 3 else "MEDIUM")
            for each in range(count)
        ]
        self.made += made
        return made

    def elsewhere(self) -> Seed:
        """A ticket that is in no flood."""
        return self.api.create(self._elsewhere, priority="HIGH")

    def forget(self) -> None:
        """Let them be of yesterday, and taken."""
        with psycopg.connect(self._stack["database_url"]) as database:
            database.execute(
                "UPDATE helpdesk_ticket SET status = 'IN_PROGRESS',"
                " created_at = created_at - interval '1 day' WHERE site_id = %s",
                [self.site["id"]],
            )


@pytest.fixture
def site(stack: Running, seed: Seed) -> Iterator[Site]:
    site = Site(stack, seed["tenants"][2])
    site.forget()
    yield site
    site.forget()


def line(page: Page, site: Site) -> Locator:
    return page.locator(f"tr[data-group='{site.group}']")


def banner(page: Page, site: Site) -> Locator:
    return page.locator(f"[data-flood='{site.group}']")


class TestFlood:
    def test_makes_one_line_of_many_and_rings_once(self, site: Site, sign_in: Open) -> None:
        page = live(sign_in(site.user, floods=True))
        page.locator("#alarms .alarm-state").click()
        page.locator("[data-level=LOW] select").select_option("once")
        page.locator("[data-level=MEDIUM] select").select_option("once")
        page.keyboard.press("Escape")
        tickets = site.flood()

        expect(line(page, site)).to_contain_text(f"{MANY} new", timeout=LIVE_MS)
        expect(line(page, site).locator(".count").first).to_contain_text("Medium 5")
        expect(line(page, site).locator(".count").last).to_contain_text("Low 8")
        expect(row(page, tickets[0])).to_have_count(0)
        expect(banner(page, site)).to_contain_text(f"{MANY} new at {site.site['name']} in 10 min")
        alarms = page.locator("#alarms")
        site.elsewhere()
        expect(alarms).to_have_attribute("data-rang-sound", "HIGH", timeout=LIVE_MS)
        rang = int(alarms.get_attribute("data-rang") or 0)

        more = site.flood(3)
        witness = site.elsewhere()

        # Had the three rung, they would have before it, or with it.
        expect(alarms).to_have_attribute(
            "data-rang-text", re.compile(f"^High: {witness['ticket_no']}"), timeout=LIVE_MS
        )
        assert int(alarms.get_attribute("data-rang") or 0) == rang + 1

        expect(line(page, site)).to_contain_text(f"{MANY + 3} new", timeout=LIVE_MS)
        expect(banner(page, site)).to_contain_text(f"Acknowledge all {MANY + 3}")
        shoot(page, "flood-closed")
        line(page, site).get_by_role("button").click()
        for ticket in tickets + more:
            expect(row(page, ticket)).to_have_count(1)
        shoot(page, "flood-opened")

    def test_is_known_from_the_start_and_fits_dark_and_phone(
        self, site: Site, sign_in: Open
    ) -> None:
        site.flood()
        page = live(sign_in(site.user, floods=True, color_scheme="dark"))
        expect(line(page, site)).to_contain_text(f"{MANY} new")
        shoot(page, "flood-dark")

        page.set_viewport_size(PHONE)

        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        shoot(page, "flood-phone")

    def test_is_acknowledged_in_one_go(self, site: Site, sign_in: Open) -> None:
        tickets = site.flood()
        page = live(sign_in(site.user, floods=True))

        banner(page, site).locator("[data-acknowledge]").click()

        expect(banner(page, site)).to_contain_text("all acknowledged", timeout=LIVE_MS)
        expect(line(page, site)).to_have_count(0)
        query = {"include": "acknowledgement"}
        for ticket in tickets:
            seen = site.api.get(f"tickets/{ticket['id']}/", **query)
            assert seen["acknowledged_at"] is not None

    def test_ends_when_the_rate_falls(self, site: Site, sign_in: Open) -> None:
        site.flood()
        page = live(sign_in(site.user, floods=True))
        page.clock.install()
        page.reload()
        live(page)
        expect(line(page, site)).to_have_count(1)

        page.clock.fast_forward(11 * 60_000)

        expect(banner(page, site)).to_have_count(0)
        expect(row(page, site.made[0])).to_have_count(1, timeout=LIVE_MS)

    def test_can_be_turned_off(self, site: Site, sign_in: Open) -> None:
        site.flood()
        page = live(sign_in(site.user, floods=True))
        expect(line(page, site)).to_have_count(1)
        page.locator("#alarms .alarm-state").click()

        page.locator("[name=floods]").uncheck()

        expect(banner(page, site)).to_have_count(0)
        page.keyboard.press("Escape")
        expect(row(page, site.made[0])).to_have_count(1, timeout=LIVE_MS)
        page.reload()
        live(page)
        expect(row(page, site.made[0])).to_have_count(1)
