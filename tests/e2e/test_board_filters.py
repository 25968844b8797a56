"""What operators choose to see: filters in the address, saved views, findings and anomalies."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, Route, expect

from tests.e2e.board import (
    HOSTILE,
    LIVE_MS,
    PHONE,
    Api,
    Gate,
    Seed,
    admin_of,
    change_all,
    failed,
    live,
    lost,
    new_word,
    replayed,
    row,
    shoot,
    user_of,
)
from tests.e2e.running import Running

Open = Callable[..., Page]


def find(page: Page, text: str) -> None:
    page.get_by_role("searchbox", name="Find tickets").fill(text)


def menu(page: Page, name: str) -> None:
    page.locator("#filters summary").filter(has_text=name).click()


class TestFilterBar:
    def test_keeps_the_filter_in_the_address_for_whoever_opens_it(
        self, acme: Seed, api: Api, sign_in: Open
    ) -> None:
        mine = new_word()
        here, there = acme["sites"][0], acme["sites"][1]
        seen = api.create(here, f"{mine} one", "CRITICAL")
        others = [api.create(here, f"{mine} two", "LOW"), api.create(there, f"{mine} three")]
        page = live(sign_in(user_of(acme)))

        find(page, mine)
        menu(page, "Priority")
        page.get_by_role("checkbox", name="Critical").check()
        page.keyboard.press("Escape")
        menu(page, "Site")
        page.get_by_role("checkbox", name=here["name"]).check()
        shoot(page, "filters")
        page.keyboard.press("Escape")
        menu(page, "Assigned to")
        page.get_by_role("radio", name="Nobody").check()

        expect(row(page, seen)).to_have_count(1)
        expect(page.locator("#rows tr")).to_have_count(1)
        assert f"priority=CRITICAL&site={here['id']}&assignee=-&q={mine}" in page.url
        link = page.url.split("/", 3)[3]
        page.reload()
        colleague = live(sign_in(admin_of(acme), path=f"/{link}"))
        for each in (live(page), colleague):
            expect(row(each, seen)).to_have_count(1)
            for other in others:
                expect(row(each, other)).to_have_count(0)
            expect(each.locator(".chip")).to_have_count(4)

    def test_takes_parts_away_by_their_chips(self, acme: Seed, api: Api, sign_in: Open) -> None:
        mine = new_word()
        high, low = (api.create(acme["sites"][0], mine, level) for level in ("HIGH", "LOW"))
        page = live(sign_in(user_of(acme), path=f"/?q={mine}&priority=HIGH&status=NEW"))
        expect(row(page, high)).to_have_count(1)
        expect(row(page, low)).to_have_count(0)

        page.get_by_role("button", name="Remove filter Priority: High").click()
        expect(row(page, low)).to_have_count(1)
        page.get_by_role("button", name="Clear all").click()

        expect(page.locator(".chip")).to_have_count(0)
        expect(page.get_by_role("searchbox", name="Find tickets")).to_have_value("")
        assert "?" not in page.url

    def test_lets_the_browser_go_back_over_choices_and_counts_typing_as_one(
        self, acme: Seed, api: Api, sign_in: Open
    ) -> None:
        mine = new_word()
        ticket = api.create(acme["sites"][0], mine, "LOW")
        page = live(sign_in(user_of(acme), path=f"/?q={mine[:4]}"))
        box = page.get_by_role("searchbox", name="Find tickets")
        length = page.evaluate("history.length")

        for end in range(5, len(mine) + 1):
            box.fill(mine[:end])
            page.wait_for_url(f"**/?q={mine[:end]}")
        assert page.evaluate("history.length") == length + 1
        menu(page, "Priority")
        page.get_by_role("checkbox", name="High").check()
        expect(row(page, ticket)).to_have_count(0)
        assert page.evaluate("history.length") == length + 2

        page.go_back()
        expect(row(page, ticket)).to_have_count(1)
        expect(box).to_have_value(mine)
        page.go_back()
        expect(box).to_have_value(mine[:4])
        page.go_forward()
        expect(box).to_have_value(mine)
        assert page.evaluate("window.neverReloaded")

    def test_follows_the_tickets_live(self, acme: Seed, api: Api, sign_in: Open) -> None:
        mine = new_word()
        page = live(sign_in(user_of(acme), path=f"/?q={mine}&status=NEW"))

        ticket = api.create(acme["sites"][0], mine)
        expect(row(page, ticket)).to_have_count(1, timeout=LIVE_MS)
        api.move_on(ticket, "IN_PROGRESS")

        expect(row(page, ticket)).to_have_count(0, timeout=LIVE_MS)

    def test_keeps_an_open_menu_open_while_rows_change(
        self, acme: Seed, api: Api, sign_in: Open
    ) -> None:
        page = live(sign_in(user_of(acme)))
        menu(page, "Status")

        ticket = api.create(acme["sites"][0])

        expect(row(page, ticket)).to_have_count(1, timeout=LIVE_MS)
        box = page.get_by_role("checkbox", name="On hold")
        expect(box).to_be_visible()
        page.keyboard.press("Escape")
        expect(box).to_be_hidden()
        expect(page.locator("#filters summary").filter(has_text="Status")).to_be_focused()

    def test_fits_a_phone(self, acme: Seed, sign_in: Open) -> None:
        page = sign_in(user_of(acme), path="/?priority=HIGH&q=x", is_mobile=True, has_touch=True)
        page.set_viewport_size(PHONE)
        live(page)

        menu(page, "Status")

        expect(page.get_by_role("checkbox", name="On hold")).to_be_in_viewport()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        shoot(page, "filters-phone")


class TestSavedViews:
    def open(self, page: Page) -> None:
        page.locator("#saved-views > summary").click()
        expect(page.get_by_role("textbox", name="Name of the view")).to_be_visible()

    def save(self, page: Page, name: str, *, shared: bool = False) -> None:
        self.open(page)
        page.get_by_role("textbox", name="Name of the view").fill(name)
        page.get_by_label("Shared with everybody").set_checked(shared)
        page.locator("#saved-views").get_by_role("button", name="Save", exact=True).click()
        expect(page.locator("#saved-views .view").filter(has_text=name)).to_have_count(1)

    def test_are_ones_own_unless_shared(self, acme: Seed, sign_in: Open) -> None:
        own, shared = new_word(), new_word()
        page = live(sign_in(user_of(acme), path="/?priority=CRITICAL&status=NEW"))
        self.save(page, own)
        page.keyboard.press("Escape")
        self.save(page, shared, shared=True)
        shoot(page, "saved-views")

        colleague = live(sign_in(admin_of(acme)))
        self.open(colleague)
        there = colleague.locator("#saved-views .view")
        expect(there.filter(has_text=shared)).to_have_count(1)
        expect(there.filter(has_text=own)).to_have_count(0)
        there.filter(has_text=shared).click()

        expect(colleague.locator(".chip")).to_have_count(2)
        colleague.wait_for_url("**/?status=NEW&priority=CRITICAL")

    def test_are_renamed_and_removed(self, acme: Seed, sign_in: Open) -> None:
        before, after = new_word(), new_word()
        page = live(sign_in(user_of(acme), path="/?priority=LOW"))
        self.save(page, before)

        page.get_by_role("button", name=f"Rename {before}").click()
        page.get_by_role("textbox", name="New name").fill(after)
        page.keyboard.press("Enter")
        entry = page.locator("#saved-views .view").filter(has_text=after)
        expect(entry).to_have_count(1)
        expect(page.locator("#saved-views .view").filter(has_text=before)).to_have_count(0)

        page.get_by_role("button", name=f"Delete {after}", exact=True).click()
        page.get_by_role("button", name=f"Really delete {after}").click()
        expect(entry).to_have_count(0)

    def test_one_of_them_is_what_the_bare_address_shows(
        self, acme: Seed, sign_in: Open, stack: Running
    ) -> None:
        name = new_word()
        page = live(sign_in(user_of(acme), path="/?priority=HIGH&priority=LOW"))
        self.save(page, name)
        page.get_by_role("button", name=f"Show {name} first in this browser").click()

        page.goto(f"{stack['http']}/")
        expect(live(page).locator(".chip")).to_have_count(2)
        page.get_by_role("button", name="Clear all").click()
        page.reload()  # what was cleared stays cleared

        expect(live(page).locator(".chip")).to_have_count(0)

    def test_refuse_a_name_twice_and_say_so(self, acme: Seed, sign_in: Open) -> None:
        name = new_word()
        page = live(sign_in(user_of(acme)))
        self.save(page, name)

        page.get_by_role("textbox", name="Name of the view").fill(name)
        page.locator("#saved-views").get_by_role("button", name="Save", exact=True).click()

        expect(page.locator("#saved-views [role=alert]")).to_contain_text("choose another name")

    def test_say_what_to_do_when_the_session_has_ended(self, acme: Seed, sign_in: Open) -> None:
        page = live(sign_in(user_of(acme)))
        self.open(page)
        page.get_by_role("textbox", name="Name of the view").fill(new_word())
        page.context.clear_cookies(name="sessionid")

        page.locator("#saved-views").get_by_role("button", name="Save", exact=True).click()

        expect(page.locator("#saved-views [role=alert]")).to_contain_text("sign in in another tab")

    def test_show_a_hostile_name_as_text(self, acme: Seed, sign_in: Open) -> None:
        name = f"{new_word()}{HOSTILE}"[:100]
        page = live(sign_in(user_of(acme)))

        self.save(page, name)

        entry = page.locator("#saved-views .view").filter(has_text=name[:11])
        assert entry.locator("img, script").count() == 0
        expect(entry).to_contain_text("<img src=x")


def sixty_findings(api: Api, tenant: Seed) -> str:
    """Record more than one page of findings; return the word that only their titles say."""
    word, site = new_word(), tenant["sites"][0]
    for number in range(60):
        api.post("noc/findings/", {"title": f"{word} {number}", "site_id": site["id"]})
    return word


class TestSightings:
    def test_come_live_on_top_and_are_there_after_a_reload(
        self, acme: Seed, api: Api, stack: Running, sign_in: Open
    ) -> None:
        mine, site = new_word(), acme["sites"][0]
        page = live(sign_in(user_of(acme), path=f"/?kind=finding&q={mine}"))
        expect(page.locator("#sightings-view .empty")).to_have_text("No finding matches.")
        expect(page.locator("#list-view")).to_be_hidden()
        found = {"title": f"{mine} {HOSTILE}", "severity": "CRITICAL", "site_id": site["id"]}

        first = api.post("noc/findings/", found)
        second = api.post("noc/findings/", found | {"severity": "LOW"})
        api.post("noc/findings/", found | {"title": "another"})

        rows = page.locator("#sightings-view tbody tr")
        expect(rows).to_have_count(2, timeout=LIVE_MS)
        expect(rows.nth(0)).to_have_attribute("data-sighting", str(second["id"]))
        expect(rows.nth(1).locator("td.severity")).to_have_text("Critical")
        page.reload()
        expect(live(page).locator(f"tr[data-sighting='{first['id']}']")).to_have_count(1)
        expect(rows).to_have_count(2)
        assert rows.locator("td.title img, td.title script").count() == 0
        expect(rows.nth(1).locator("td.title")).to_have_text(found["title"])
        shoot(page, "findings")

    def test_wait_while_the_pointer_is_on_them(self, acme: Seed, api: Api, sign_in: Open) -> None:
        mine, site = new_word(), acme["sites"][0]
        seen = {"metric": mine, "observed": 93.5, "expected": 12, "site_id": site["id"]}
        api.post("noc/anomalies/", seen)
        page = live(sign_in(user_of(acme), path=f"/?kind=anomaly&q={mine}"))
        rows = page.locator("#sightings-view tbody tr")
        expect(rows).to_have_count(1)
        rows.nth(0).hover()

        api.post("noc/anomalies/", seen | {"observed": 95})

        button = page.get_by_role("button", name="1 new")
        expect(button).to_be_visible(timeout=LIVE_MS)
        expect(rows).to_have_count(1)
        button.click()
        expect(rows).to_have_count(2)
        expect(rows.nth(0)).to_contain_text("95")
        expect(rows.nth(1)).to_contain_text("93.5")
        shoot(page, "anomalies")

    def test_load_more_and_never_draw_more_than_300(
        self, acme: Seed, api: Api, sign_in: Open
    ) -> None:
        mine = sixty_findings(api, acme)
        page = live(sign_in(user_of(acme), path=f"/?kind=finding&q={mine}"))
        rows = page.locator("#sightings-view tbody tr")
        expect(rows).to_have_count(50)

        page.get_by_role("button", name="Load more").click()

        expect(rows).to_have_count(60)
        expect(rows.nth(59)).to_contain_text(f"{mine} 0")
        expect(page.get_by_role("button", name="Load more")).to_have_count(0)

    def test_stay_where_they_are_when_the_page_begins_anew(
        self, acme: Seed, api: Api, sign_in: Open
    ) -> None:
        mine = sixty_findings(api, acme)
        page = live(sign_in(user_of(acme), path=f"/?kind=finding&q={mine}"))
        gate = Gate(page)
        live(page)
        rows = page.locator("#sightings-view tbody tr")
        expect(rows).to_have_count(50)
        page.get_by_role("button", name="Load more").click()
        expect(rows).to_have_count(60)
        page.evaluate("scrollTo(0, 0)")
        rows.nth(0).hover()
        gate.turned = {"finding_created": lost}

        api.post("noc/findings/", {"title": f"{mine} 60", "site_id": acme["sites"][0]["id"]})
        gate.reset()

        button = page.get_by_role("button", name="1 new")
        expect(button).to_be_visible(timeout=LIVE_MS)
        expect(rows).to_have_count(60)
        expect(rows.nth(0)).to_contain_text(f"{mine} 59")
        button.click()
        expect(rows).to_have_count(61)
        expect(rows.nth(0)).to_contain_text(f"{mine} 60")

    @pytest.mark.parametrize("turn", [failed, replayed])
    def test_are_there_though_their_event_failed_or_was_sent_again(
        self, acme: Seed, api: Api, sign_in: Open, turn: Callable[[Seed], Seed]
    ) -> None:
        mine, site = new_word(), acme["sites"][0]
        page = live(sign_in(user_of(acme), path=f"/?kind=finding&q={mine}"))
        gate = Gate(page)
        live(page)
        expect(page.locator("#sightings-view .empty")).to_have_text("No finding matches.")
        gate.turned = {"finding_created": turn}

        found = api.post("noc/findings/", {"title": mine, "site_id": site["id"]})

        shown = page.locator(f"tr[data-sighting='{found['id']}']")
        expect(shown).to_have_count(1, timeout=LIVE_MS)

    def test_are_chosen_by_the_views_of_the_page(self, acme: Seed, sign_in: Open) -> None:
        page = live(sign_in(user_of(acme)))
        views = page.get_by_role("navigation", name="What is shown")

        views.get_by_role("link", name="Anomalies").click()
        expect(page.locator("#sightings-view")).to_be_visible()
        expect(page.locator("#list-view")).to_be_hidden()
        expect(views.locator("[aria-current=page]")).to_have_text("Anomalies")
        page.go_back()

        expect(page.locator("#list-view")).to_be_visible()
        expect(views.locator("[aria-current=page]")).to_have_text("Tickets")


class TestCounters:
    def test_say_so_when_the_server_counts_more_than_the_list_holds(
        self, acme: Seed, api: Api, sign_in: Open, word: str
    ) -> None:
        def one_more(route: Route) -> None:
            answer = route.fetch()
            counts = answer.json()
            counts["total"] += 1
            counts["by_status"]["NEW"] = counts["by_status"].get("NEW", 0) + 1
            route.fulfill(response=answer, json=counts)

        ticket = api.create(acme["sites"][0], word)
        page = live(sign_in(user_of(acme), path=f"/?q={word}"))
        expect(row(page, ticket)).to_have_count(1)
        expect(page.locator("[data-counter=all] b")).to_have_text("1")
        expect(page.locator("#counts-note")).to_have_count(0, timeout=LIVE_MS)
        page.route("**/tickets/counts/*", one_more)

        api.patch(f"tickets/{ticket['id']}/", {"priority": "LOW"})

        doubt = page.locator("#counts-note")
        expect(doubt).to_have_text("1 not in the list: reload the page", timeout=LIVE_MS)
        expect(page.locator("[data-counter=all] b")).to_have_text("2")  # the server's word


class TestClock:
    def test_has_a_zone_and_turns_every_time_of_the_page(
        self, acme: Seed, api: Api, sign_in: Open
    ) -> None:
        ticket = api.create(acme["sites"][0])
        page = live(sign_in(user_of(acme), timezone_id="Asia/Tokyo"))
        age = row(page, ticket).locator("td.age")
        expect(page.locator("#time")).to_contain_text("GMT+9")
        expect(age).to_have_attribute("title", re.compile(r"GMT\+9$"))
        api.move_on(ticket, "IN_PROGRESS")
        told = page.locator("#activity time").first
        expect(told).to_have_attribute("title", re.compile(r"GMT\+9$"))

        page.get_by_role("button", name="UTC").click()

        expect(page.locator("#time")).to_contain_text("UTC")
        for time in (age, told):
            expect(time).to_have_attribute("title", re.compile(r"UTC$"))
        shoot(page, "utc")
        page.reload()
        expect(live(page).locator("#time")).to_contain_text("UTC")


class TestActivity:
    def test_tells_when_it_happened_and_not_when_it_came(
        self, acme: Seed, api: Api, sign_in: Open, stack: Running, word: str
    ) -> None:
        ticket = api.create(acme["sites"][0], word)
        page = live(sign_in(user_of(acme), path=f"/?q={word}", timezone_id="UTC"))

        change_all(stack, word, "priority = 'LOW', updated_at = '2026-01-02T03:04:05Z'")

        told = page.locator("#activity li").filter(has_text=f"{ticket['ticket_no']} edited")
        expect(told.locator("time")).to_have_text("03:04:05", timeout=LIVE_MS)
        expect(told.locator("time")).to_have_attribute("datetime", "2026-01-02T03:04:05.000Z")
