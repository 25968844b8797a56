"""The page of the operators in real browsers, against a running instance."""

import os
import signal
from collections.abc import Callable

import httpx
import psycopg
from playwright.sync_api import Browser, Page, expect

from tests.e2e.board import HOSTILE, LIVE_MS, PHONE, Api, Seed, live, row, shoot, user_of
from tests.e2e.running import Running, eventually
from tests.e2e.wiretap import Wiretap

Open = Callable[..., Page]


class TestBoard:
    def test_shows_a_change_to_every_operator_of_the_tenant_and_to_nobody_else(
        self, stack: Running, acme: Seed, other: Seed, api: Api, sign_in: Open
    ) -> None:
        ticket = api.create(acme["sites"][0])
        operator, admin = user_of(acme), next(u for u in acme["users"] if u["sites"] == "*")
        first, second = live(sign_in(operator)), live(sign_in(admin, color_scheme="dark"))
        stranger = live(sign_in(user_of(other)))
        for page in (first, second):
            expect(row(page, ticket)).to_have_attribute("data-status", "NEW")

        api.move_on(ticket, "IN_PROGRESS")

        for page in (first, second):
            expect(row(page, ticket).locator("td.status")).to_have_text(
                "In progress", timeout=LIVE_MS
            )
            assert page.evaluate("window.neverReloaded")
        shoot(first, "dashboard-light")
        shoot(second, "dashboard-dark")
        # What comes to the stranger after it shows that it never came.
        own = Api(stack, user_of(other, may="ticket:write")).create(other["sites"][0])
        expect(row(stranger, own)).to_have_count(1, timeout=LIVE_MS)
        expect(row(stranger, ticket)).to_have_count(0)

    def test_shows_what_is_opened_and_lets_go_of_what_is_closed(
        self, acme: Seed, api: Api, sign_in: Open
    ) -> None:
        page = live(sign_in(user_of(acme)))

        ticket = api.create(acme["sites"][0], priority="CRITICAL")

        expect(row(page, ticket).locator("td.priority")).to_have_text("Critical", timeout=LIVE_MS)
        for status in ("IN_PROGRESS", "RESOLVED", "CLOSED"):
            api.move_on(ticket, status)
        expect(row(page, ticket)).to_have_count(0, timeout=LIVE_MS)

    def test_shows_hostile_text_as_text(self, acme: Seed, api: Api, sign_in: Open) -> None:
        page = live(sign_in(user_of(acme)))

        loaded_later = api.create(acme["sites"][0], HOSTILE)

        cell = row(page, loaded_later).locator("td.description")
        expect(cell).to_have_text(HOSTILE, timeout=LIVE_MS)
        assert cell.locator("*").count() == 0
        page.reload()  # the same from the snapshot
        live(page)
        expect(row(page, loaded_later).locator("td.description")).to_have_text(HOSTILE)
        assert page.title().endswith("Acme Retail · NOC")

    def test_shows_an_operator_of_one_site_that_site_only(
        self, acme: Seed, api: Api, sign_in: Open
    ) -> None:
        narrow = user_of(acme, all_sites=False)
        seen = [site for site in acme["sites"] if site["id"] in narrow["sites"]]
        hidden = [site for site in acme["sites"] if site["id"] not in narrow["sites"]]
        page = live(sign_in(narrow))

        out_of_scope = api.create(hidden[0])
        in_scope = api.create(seen[0])

        expect(row(page, in_scope)).to_have_count(1, timeout=LIVE_MS)
        expect(row(page, out_of_scope)).to_have_count(0)

    def test_fits_a_phone(self, acme: Seed, api: Api, sign_in: Open) -> None:
        ticket = api.create(acme["sites"][0], HOSTILE)
        page = live(sign_in(user_of(acme), is_mobile=True, has_touch=True))
        page.set_viewport_size(PHONE)

        expect(row(page, ticket)).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        shoot(page, "dashboard-phone")


class TestWebsocket:
    def test_of_the_page_speaks_the_protocol_in_both_directions(
        self, acme: Seed, api: Api, sign_in: Open, wiretap: Wiretap
    ) -> None:
        before = wiretap.frames
        page = live(sign_in(user_of(acme)))
        ticket = api.create(acme["sites"][0])
        expect(row(page, ticket)).to_have_count(1, timeout=LIVE_MS)

        with page.expect_event("websocket") as opened:
            page.reload()
        with opened.value.expect_event("framesent"):  # an ack, at the latest a pong
            api.move_on(ticket, "IN_PROGRESS")

        assert wiretap.frames - before >= 6  # hello, synced, event; hello, synced, and one of ours
        wiretap.check()


class TestStateLine:
    def test_says_stale_while_the_server_is_away_and_catches_up_by_itself(
        self, acme: Seed, api: Api, sign_in: Open, stack: Running
    ) -> None:
        ticket = api.create(acme["sites"][0])
        page = live(sign_in(user_of(acme)))
        expect(row(page, ticket)).to_have_count(1)
        web = stack.state()["pids"]["web"]

        os.kill(web, signal.SIGKILL)
        expect(page.locator("#state-word")).to_contain_text("Stale since", timeout=LIVE_MS)
        expect(page.locator("#state-age")).to_contain_text("no connection")
        shoot(page, "dashboard-stale")
        with psycopg.connect(stack["database_url"]) as database:
            database.execute(
                "UPDATE helpdesk_ticket SET status = 'IN_PROGRESS' WHERE id = %s", [ticket["id"]]
            )

        expect(page.locator("#state")).to_have_attribute("data-state", "live", timeout=90_000)
        expect(row(page, ticket)).to_have_attribute("data-status", "IN_PROGRESS", timeout=LIVE_MS)
        assert page.evaluate("window.neverReloaded")
        eventually(lambda: stack.state()["pids"]["web"] not in (None, web), seconds=60)


class TestDoor:
    def test_sends_strangers_to_the_login(self, stack: Running, browser: Browser) -> None:
        page = browser.new_page()
        page.goto(f"{stack['http']}/")

        expect(page.get_by_label("Password")).to_be_visible()
        shoot(page, "login")
        page.close()

    def test_refuses_a_wrong_password(self, acme: Seed, sign_in: Open) -> None:
        page = sign_in(user_of(acme) | {"password": "wrong"})

        expect(page.get_by_role("alert")).to_contain_text("not right")

    def test_tells_who_may_not_watch(self, acme: Seed, sign_in: Open) -> None:
        blind = next(user for user in acme["users"] if "noc:view" not in user["capabilities"])

        page = sign_in(blind)

        expect(page.get_by_role("alert")).to_contain_text("may not watch")
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("Password")).to_be_visible()

    def test_lets_out(self, acme: Seed, sign_in: Open) -> None:
        page = live(sign_in(user_of(acme)))

        page.get_by_role("button", name="Sign out").click()

        expect(page.get_by_label("Password")).to_be_visible()

    def test_allows_no_script_from_elsewhere(self, stack: Running) -> None:
        policy = httpx.get(f"{stack['http']}/login/").headers["Content-Security-Policy"]

        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
