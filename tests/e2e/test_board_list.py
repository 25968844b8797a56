"""The list of the board: how honest it is, how still it stands, what it tells of an absence."""

import os
import re
import signal
from collections.abc import Callable

import psycopg
import pytest
from playwright.sync_api import Page, expect

from tests.e2e.board import (
    LIVE_MS,
    PHONE,
    Api,
    Gate,
    Seed,
    admin_of,
    change_all,
    end_session,
    failed,
    is_grey,
    live,
    lost,
    open_many,
    replayed,
    row,
    shoot,
    shown_ids,
    user_of,
)
from tests.e2e.running import Running, eventually

Open = Callable[..., Page]
AWAY = "#away .away"


class TestStateLine:
    def test_says_how_old_the_last_event_is(
        self, acme: Seed, api: Api, sign_in: Open, word: str
    ) -> None:
        page = live(sign_in(user_of(acme)))

        ticket = api.create(acme["sites"][0], word)

        expect(row(page, ticket)).to_have_count(1, timeout=LIVE_MS)
        expect(page.locator("#state-age")).to_have_text(re.compile(r"^last event \d s ago$"))
        expect(page.locator("body")).to_have_attribute("data-feed", "trusted")

    def test_says_signed_out_and_turns_the_page_grey_when_the_session_has_ended(
        self, acme: Seed, api: Api, sign_in: Open, word: str
    ) -> None:
        page = live(sign_in(user_of(acme), path=f"/?q={word}"))
        ticket = api.create(acme["sites"][0], word)
        expect(row(page, ticket)).to_have_count(1, timeout=LIVE_MS)

        assert not is_grey(page)

        end_session(page)

        expect(page.locator("#state-age")).to_contain_text("as of")
        expect(page.locator("#notice")).to_contain_text("does not change any more")
        expect(page.locator("#notice a")).to_have_text("Sign in again")
        assert is_grey(page)
        for readable in (".bar", "#notice"):  # they say what is the matter
            assert page.locator(readable).evaluate(
                """part => Number(getComputedStyle(part).zIndex) >
                   Number(getComputedStyle(document.body, "::after").zIndex)"""
            )
        page.locator("#notice a").click(trial=True)
        shoot(page, "signed-out")

    def test_stays_grey_after_an_outage_until_it_has_caught_up(
        self, acme: Seed, api: Api, sign_in: Open, word: str
    ) -> None:
        page = live(sign_in(user_of(acme), path=f"/?q={word}"))
        gate = Gate(page)
        live(page)
        assert not is_grey(page)

        gate.holds = True
        gate.cut()

        ticket = api.create(acme["sites"][0], word)
        expect(row(page, ticket)).to_have_count(1, timeout=LIVE_MS)  # not yet all that happened
        expect(page.locator("#state")).to_have_attribute("data-state", "catching-up")
        expect(page.locator("#state-word")).to_have_text(
            re.compile(r"^Catching up, stale since \d\d:\d\d:\d\d ")
        )
        assert is_grey(page)
        expect(page).to_have_title(re.compile("^Catching up, stale since .*NOC$"))
        expect(page.locator("link[rel=icon]")).to_have_attribute("data-look", "stale")
        shoot(page, "catching-up")
        page.set_viewport_size(PHONE)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        word_box = page.locator("#state-word").bounding_box()
        state_box = page.locator("#state").bounding_box()
        assert word_box["x"] + word_box["width"] <= state_box["x"] + state_box["width"]
        shoot(page, "catching-up-phone")
        gate.let_through()
        live(page)
        expect(page.locator("#state-word")).to_have_text("Live")
        assert not is_grey(page)
        expect(page).not_to_have_title(re.compile("stale"))

    def test_leaves_an_open_menu_over_the_grey_list(
        self, acme: Seed, api: Api, sign_in: Open, word: str
    ) -> None:
        tickets = [api.create(acme["sites"][0], word) for _ in range(12)]
        page = live(sign_in(user_of(acme), path=f"/?q={word}"))
        expect(page.locator("tr[data-ticket]")).to_have_count(12)
        end_session(page)

        page.locator("#filters summary").filter(has_text="Status").click()
        page.get_by_role("checkbox", name="On hold").check()

        expect(page.locator("#empty")).to_have_text("No open ticket matches.")
        page.get_by_role("checkbox", name="On hold").uncheck()
        expect(row(page, tickets[0])).to_be_visible()
        shoot(page, "signed-out-menu")

    @pytest.mark.parametrize("width", [PHONE["width"], 900])
    def test_leaves_the_panel_and_what_is_typed_in_it_in_their_place(
        self, acme: Seed, api: Api, sign_in: Open, word: str, width: int
    ) -> None:
        ticket = api.create(acme["sites"][0], word)
        page = live(
            sign_in(
                user_of(acme, may="ticket:write"),
                path=f"/?q={word}&ticket={ticket['id']}",
                viewport={**PHONE, "width": width},
            )
        )
        panel = page.locator("#panel")
        panel.get_by_label("Comment").fill("half a sentence")
        expect(panel.locator(".timeline li").first).to_be_visible(timeout=LIVE_MS)
        before = panel.bounding_box()

        end_session(page)

        assert panel.bounding_box() == before
        expect(panel.get_by_label("Comment")).to_be_in_viewport(ratio=1)
        expect(panel.get_by_label("Comment")).to_have_value("half a sentence")
        panel.get_by_role("button", name="Status").click()
        expect(page.locator("#sheet [data-choice=ON_HOLD]")).to_be_visible()
        page.locator("#sheet [data-choice=ON_HOLD]").click(trial=True)
        assert is_grey(page)
        shoot(page, f"signed-out-panel-{width}")

    def test_says_that_the_tickets_cannot_be_loaded(self, acme: Seed, sign_in: Open) -> None:
        page = live(sign_in(user_of(acme)))
        page.route("**/noc/snapshot/**", lambda route: route.fulfill(status=503, body=""))

        page.reload()

        expect(page.locator("#notice")).to_contain_text("could not be loaded", timeout=LIVE_MS)
        expect(page.locator("#state-word")).to_have_text("Loading")
        page.unroute_all()
        live(page)
        expect(page.locator("#notice")).to_be_hidden()


class TestEventThatDoesNotTellAll:
    @pytest.mark.parametrize("turn", [failed, replayed])
    def test_leaves_no_row_out(
        self, acme: Seed, api: Api, sign_in: Open, word: str, turn: Callable[[Seed], Seed]
    ) -> None:
        page = live(sign_in(user_of(acme), path=f"/?q={word}"))
        alarms = page.locator("#alarms")
        alarms.locator(".alarm-state").click()
        page.locator("[name=view-only]").check()
        page.keyboard.press("Escape")
        gate = Gate(page)
        live(page)
        gate.turned = {"ticket_created": turn}

        ticket = api.create(acme["sites"][0], word, "CRITICAL")

        expect(row(page, ticket)).to_have_count(1, timeout=LIVE_MS)
        live(page)
        if turn is replayed:  # it is not new, whenever it comes
            gate.turned = {}
            new = api.create(acme["sites"][0], word, "CRITICAL")["ticket_no"]
            words = re.compile(f"^Critical: {new},")
            expect(alarms).to_have_attribute("data-rang-text", words, timeout=LIVE_MS)
            assert alarms.get_attribute("data-rang") == "1"


class TestList:
    def test_changes_a_row_in_place_while_it_is_looked_at(
        self, acme: Seed, api: Api, sign_in: Open, word: str
    ) -> None:
        low, high = (api.create(acme["sites"][0], word, level) for level in ("LOW", "HIGH"))
        page = live(sign_in(user_of(acme), path=f"/?q={word}"))
        expect(page.locator("tr[data-ticket]")).to_have_count(2)
        assert shown_ids(page) == [high["id"], low["id"]]
        row(page, low).hover()
        page.evaluate(
            "id => window.kept = document.querySelector(`[data-ticket='${id}']`)", low["id"]
        )

        api.patch(f"tickets/{low['id']}/", {"priority": "CRITICAL"})

        expect(row(page, low)).to_have_attribute("data-priority", "CRITICAL", timeout=LIVE_MS)
        assert shown_ids(page) == [high["id"], low["id"]]
        page.mouse.move(5, 5)
        expect(page.locator("tr[data-ticket]").first).to_have_attribute(
            "data-ticket", str(low["id"])
        )
        assert page.evaluate("kept === document.querySelector('tr[data-ticket]')")

    def test_flashes_a_change_once_and_not_again_when_it_is_looked_at_later(
        self, acme: Seed, api: Api, sign_in: Open, word: str
    ) -> None:
        ticket = api.create(acme["sites"][0], word)
        page = live(sign_in(user_of(acme), path=f"/?q={word}"))
        expect(row(page, ticket)).to_have_count(1)
        cell = row(page, ticket).locator("td.priority")
        api.patch(f"tickets/{ticket['id']}/", {"priority": "CRITICAL"})
        expect(cell).to_have_attribute("data-flash", re.compile("^[ab]$"), timeout=LIVE_MS)
        expect(row(page, ticket)).to_have_attribute("data-flash", re.compile("^[ab]$"))
        assert cell.evaluate("cell => cell.getAnimations().length") == 1
        eventually(lambda: cell.evaluate("cell => cell.getAnimations().length") == 0, seconds=10)
        page.evaluate("flashes = []; addEventListener('animationstart', (e) => flashes.push(e))")

        page.get_by_role("link", name="Charts").click()
        expect(row(page, ticket)).to_be_hidden()
        page.get_by_role("link", name="Tickets").click()

        expect(row(page, ticket)).to_be_visible()
        expect(page.locator("#rows [data-flash]")).to_have_count(0)
        page.evaluate("new Promise((then) => requestAnimationFrame(() => setTimeout(then)))")
        assert page.evaluate("flashes.length") == 0

    def test_ends_a_flash_by_itself(self, acme: Seed, api: Api, sign_in: Open, word: str) -> None:
        page = live(sign_in(user_of(acme), path=f"/?q={word}"))
        ticket = api.create(acme["sites"][0], word)
        expect(row(page, ticket)).to_have_attribute(
            "data-flash", re.compile("^[ab]$"), timeout=LIVE_MS
        )

        expect(page.locator("#rows [data-flash]")).to_have_count(0, timeout=LIVE_MS)

    def test_lets_new_rows_wait_while_the_pointer_is_on_it(
        self, acme: Seed, api: Api, sign_in: Open, word: str
    ) -> None:
        site = acme["sites"][0]
        here = api.create(site, word)
        page = live(sign_in(user_of(acme), path=f"/?q={word}"))
        row(page, here).hover()

        new = [api.create(site, word, level) for level in ("CRITICAL", *["LOW"] * 11)]

        expect(page.locator("#held")).to_have_text("12 new, 1 critical", timeout=LIVE_MS)
        assert shown_ids(page) == [here["id"]]
        shoot(page, "new-rows-waiting")
        api.move_on(new[1], "CLOSED")  # one leaves again before it was let in
        expect(page.locator("#held")).to_have_text("11 new, 1 critical", timeout=LIVE_MS)

        page.locator("#held").click()

        expect(page.locator("tr[data-ticket]")).to_have_count(12)
        assert shown_ids(page)[0] == new[0]["id"]
        expect(page.locator("#held")).to_have_count(0)

    def test_lets_them_in_by_itself_when_the_pointer_leaves(
        self, acme: Seed, api: Api, sign_in: Open, word: str
    ) -> None:
        here = api.create(acme["sites"][0], word)
        page = live(sign_in(user_of(acme), path=f"/?q={word}"))
        row(page, here).hover()
        new = api.create(acme["sites"][0], word)
        expect(page.locator("#held")).to_have_text("1 new", timeout=LIVE_MS)

        page.mouse.move(5, 5)

        expect(row(page, new)).to_have_count(1)
        expect(page.locator("#held")).to_have_count(0)

    def test_keeps_the_place_of_a_row_that_leaves_while_it_is_held(
        self, acme: Seed, api: Api, sign_in: Open, word: str
    ) -> None:
        closed, here = (api.create(acme["sites"][0], word, level) for level in ("HIGH", "LOW"))
        page = live(sign_in(user_of(acme), path=f"/?q={word}"))
        row(page, here).hover()

        api.move_on(closed, "CLOSED")

        expect(row(page, closed)).to_have_class("leaving", timeout=LIVE_MS)
        page.wait_for_function("!document.querySelector('#counters [data-none=false]')")
        assert shown_ids(page) == [closed["id"], here["id"]]
        page.mouse.move(5, 5)
        expect(row(page, closed)).to_have_count(0, timeout=LIVE_MS)

    def test_stands_still_for_a_keyboard_in_it_and_for_marks_and_takes_a_filter_at_once(
        self, acme: Seed, api: Api, sign_in: Open, word: str
    ) -> None:
        here = api.create(acme["sites"][0], word)
        page = live(sign_in(user_of(acme, may="ticket:write"), path=f"/?q={word}"))
        expect(row(page, here)).to_have_count(1)
        page.keyboard.press("Tab")
        page.evaluate("document.querySelector('tr[data-ticket] [data-open]').focus()")

        other = api.create(acme["sites"][0], word)
        expect(page.locator("#held")).to_have_text("1 new", timeout=LIVE_MS)
        expect(row(page, here).locator("[data-open]")).to_be_focused()
        page.evaluate("document.activeElement.blur()")
        expect(row(page, other)).to_have_count(1)

        row(page, here).locator("[data-pick]").check()
        page.mouse.move(5, 5)
        third = api.create(acme["sites"][0], word, "CRITICAL")
        expect(page.locator("#held")).to_have_text("1 new, 1 critical", timeout=LIVE_MS)
        page.locator("[data-counter=CRITICAL]").click()
        expect(row(page, third)).to_have_count(1)
        assert shown_ids(page) == [third["id"]]
        expect(page.locator("#bulk")).to_contain_text("1 marked")
        expect(page.locator("#bulk")).to_contain_text("1 not on this page")

    def test_keeps_a_keyboard_in_the_row_whose_button_it_used_up(
        self, acme: Seed, api: Api, sign_in: Open, word: str
    ) -> None:
        here = api.create(acme["sites"][0], word)
        page = live(sign_in(user_of(acme, may="ticket:write"), path=f"/?q={word}"))
        page.mouse.move(5, 5)
        row(page, here).locator("[data-open]").focus()
        page.keyboard.press("Tab")
        expect(row(page, here).locator("[data-acknowledge]")).to_be_focused()

        page.keyboard.press("Enter")

        expect(row(page, here).locator(".ack")).to_be_visible()
        expect(row(page, here).locator("[data-acknowledge]")).to_have_count(0)
        expect(row(page, here).locator("[data-menu]")).to_be_focused()
        api.create(acme["sites"][0], word)
        expect(page.locator("#held")).to_have_text("1 new", timeout=LIVE_MS)
        expect(row(page, here).locator("[data-menu]")).to_be_focused()

    def test_does_not_wait_for_a_finger_that_touched_it(
        self, acme: Seed, api: Api, sign_in: Open, word: str
    ) -> None:
        here = api.create(acme["sites"][0], word)
        page = live(
            sign_in(
                user_of(acme), path=f"/?q={word}", viewport=PHONE, is_mobile=True, has_touch=True
            )
        )
        row(page, here).locator("td.description").tap()

        new = api.create(acme["sites"][0], word)

        expect(row(page, new)).to_have_count(1, timeout=LIVE_MS)
        page.get_by_role("button", name="Close the ticket").tap()  # it covers a phone
        expect(row(page, new)).to_be_visible()
        shoot(page, "list-phone")

    def test_draws_three_hundred_rows_at_most_and_turns_pages(
        self, acme: Seed, sign_in: Open, stack: Running, word: str
    ) -> None:
        open_many(stack, acme["sites"][0], word, 320)
        page = live(sign_in(user_of(acme), path=f"/?q={word}"))

        expect(page.locator("#pager")).to_contain_text("1 to 300 of 320", timeout=LIVE_MS)
        assert len(shown_ids(page)) == 300
        page.get_by_role("button", name="Next 300").click()
        expect(page.locator("tr[data-ticket]")).to_have_count(20)
        expect(page.locator("#pager")).to_contain_text("301 to 320 of 320")
        expect(page.locator("[data-counter=LOW] b")).to_have_text("320")
        page.mouse.move(5, 5)
        change_all(stack, word, "status = 'CLOSED'")
        expect(page.locator("#empty")).to_have_text("No open ticket matches.", timeout=LIVE_MS)

    def test_has_the_unacknowledged_first(
        self, acme: Seed, api: Api, sign_in: Open, word: str
    ) -> None:
        low, known = api.create(acme["sites"][0], word, "LOW"), api.create(acme["sites"][0], word)
        page = live(sign_in(user_of(acme), path=f"/?q={word}"))
        expect(row(page, low)).to_have_count(1)
        assert shown_ids(page) == [known["id"], low["id"]]

        api.post(f"tickets/{known['id']}/acknowledge/", {})

        expect(row(page, known).locator(".ack")).to_have_count(1, timeout=LIVE_MS)
        page.wait_for_function(
            "id => document.querySelector('tr[data-ticket]').dataset.ticket === id",
            arg=str(low["id"]),
        )


class TestAwayList:
    def test_tells_what_changed_while_the_server_was_away(
        self, acme: Seed, api: Api, sign_in: Open, stack: Running, word: str
    ) -> None:
        site = acme["sites"][0]
        resolved, closed, same = (
            api.create(site, word, level) for level in ("CRITICAL", "HIGH", "LOW")
        )
        page = live(sign_in(user_of(acme), path=f"/?q={word}"))
        expect(row(page, same)).to_have_count(1)
        web = stack.state()["pids"]["web"]

        os.kill(web, signal.SIGKILL)
        expect(page.locator("#state-word")).to_contain_text("Stale since", timeout=LIVE_MS)
        shoot(page, "stale")
        with psycopg.connect(stack["database_url"]) as database:
            change = "UPDATE helpdesk_ticket SET status = %s WHERE id = %s"
            database.execute(change, ["RESOLVED", resolved["id"]])
            database.execute(change, ["CLOSED", closed["id"]])
        open_many(stack, site, word, 1)

        live_again(page)
        away = page.locator(AWAY)
        expect(away).to_contain_text("1 opened, 1 changed, 1 gone", timeout=LIVE_MS)
        expect(away.locator(f"[data-away='{resolved['id']}']")).to_contain_text("New → Resolved")
        expect(away.locator(f"[data-away='{closed['id']}']")).to_contain_text("New → Closed")
        expect(away.locator(f"[data-away='{same['id']}']")).to_have_count(0)
        expect(away.locator("li").first).to_contain_text("Critical")
        shoot(page, "away")
        away.locator(f"[data-away='{resolved['id']}'] button").click()
        expect(row(page, resolved)).to_have_attribute("data-opened", "")
        away.get_by_role("button", name="Dismiss").click()
        expect(away).to_have_count(0)
        assert page.evaluate("window.neverReloaded")
        eventually(lambda: stack.state()["pids"]["web"] not in (None, web), seconds=60)

    def test_tells_what_changed_while_the_network_was_cut(
        self, acme: Seed, api: Api, sign_in: Open, word: str
    ) -> None:
        ticket = api.create(acme["sites"][0], word)
        page = live(sign_in(user_of(acme), path=f"/?q={word}"))
        expect(row(page, ticket)).to_have_count(1)

        page.context.set_offline(True)
        expect(page.locator("#state-word")).to_contain_text("Stale since", timeout=90_000)
        api.post(f"tickets/{ticket['id']}/acknowledge/", {})
        api.patch(f"tickets/{ticket['id']}/", {"priority": "LOW"})
        page.context.set_offline(False)

        live_again(page)
        expect(page.locator(f"{AWAY} [data-away='{ticket['id']}']")).to_contain_text(
            "High → Low, acknowledged by", timeout=LIVE_MS
        )

    @pytest.mark.parametrize("reset", [False, True], ids=["events", "snapshot"])
    def test_tells_what_was_seen_meanwhile(
        self, acme: Seed, api: Api, sign_in: Open, word: str, reset: bool
    ) -> None:
        page = live(sign_in(user_of(acme), path=f"/?q={word}"))
        gate = Gate(page)
        live(page)
        gate.holds = True
        if reset:
            gate.turned = {"finding_created": lost, "anomaly_detected": lost}
        gate.cut()
        expect(page.locator("#state")).to_have_attribute("data-state", "catching-up")

        seen = {"site_id": acme["sites"][0]["id"], "severity": "CRITICAL"}
        finding = api.post("noc/findings/", seen | {"title": word})
        figures = {"metric": word, "observed": 93.5, "expected": 12}
        anomaly = api.post("noc/anomalies/", seen | figures)
        page.wait_for_function("end => Date.now() > end", arg=page.evaluate("Date.now() + 1000"))
        if reset:
            with page.expect_response("**/noc/snapshot/**"):
                gate.reset()
        else:
            expect(page.locator("#activity")).to_contain_text(f"anomaly: {word}", timeout=LIVE_MS)
        gate.let_through()

        live(page)
        away = page.locator(AWAY)
        found = away.locator(f"[data-away='finding-{finding['id']}']")
        expect(found).to_contain_text(word, timeout=LIVE_MS)
        told = away.locator(f"[data-away='anomaly-{anomaly['id']}']")
        expect(told).to_contain_text(f"{word} is 93.5, expected 12")
        expect(away.locator("p")).to_contain_text(re.compile(r"\d finding.*, \d anomal"))
        shoot(page, "away-sightings")
        found.locator("button").click()
        expect(page.locator(f"tr[data-sighting='{finding['id']}']")).to_be_visible()

    def test_draws_two_hundred_of_more(
        self, acme: Seed, sign_in: Open, stack: Running, word: str
    ) -> None:
        page = live(sign_in(user_of(acme), path=f"/?q={word}"))
        os.kill(stack.state()["pids"]["web"], signal.SIGKILL)
        expect(page.locator("#state-word")).to_contain_text("Stale since", timeout=LIVE_MS)

        open_many(stack, acme["sites"][0], word, 230)

        live_again(page)
        expect(page.locator(AWAY)).to_contain_text("and 30 more", timeout=LIVE_MS)
        assert page.locator(f"{AWAY} [data-away]").count() == 200


def live_again(page: Page) -> None:
    expect(page.locator("#state")).to_have_attribute("data-state", "live", timeout=90_000)


class TestWidth:
    @pytest.mark.parametrize("opened", [False, True], ids=["list", "panel"])
    def test_never_cuts_the_number_of_a_ticket(
        self, acme: Seed, api: Api, sign_in: Open, word: str, opened: bool
    ) -> None:
        ticket = api.create(acme["sites"][0], word)
        beside = f"&ticket={ticket['id']}" if opened else ""
        page = live(sign_in(user_of(acme, may="ticket:write"), path=f"/?q={word}{beside}"))
        cell = row(page, ticket).locator("td.ticket_no")
        expect(cell).to_be_visible()
        if opened:
            expect(page.locator("#panel h2")).to_be_visible()

        assert cell.evaluate("cell => cell.scrollWidth <= cell.clientWidth")
        shoot(page, f"width-{'panel' if opened else 'list'}")

    def test_of_a_phone_has_room_for_the_whole_bar(self, acme: Seed, sign_in: Open) -> None:
        page = live(sign_in(admin_of(acme), viewport=PHONE, is_mobile=True, has_touch=True))
        page.reload()  # now sound needs a click, which takes most room
        live(page)
        expect(page.locator("#state-age")).to_contain_text("event")

        boxes = page.locator(".bar > :not([hidden])").evaluate_all(
            """all => all.map((each) => [each.id || each.className, each.getBoundingClientRect()])
                .filter(([, box]) => box.width)
                .map(([name, { left, right, top, bottom }]) => [name, left, right, top, bottom])"""
        )

        shoot(page, "bar-phone")
        assert "user muted" in [name for name, *_ in boxes]
        for name, left, right, top, bottom in boxes:
            assert 0 <= left <= right <= PHONE["width"], name
            assert 0 <= top <= bottom <= page.locator(".bar").bounding_box()["height"], name
            for another, *other in boxes:
                beside = right <= other[0] or other[1] <= left
                apart = bottom <= other[2] or other[3] <= top
                assert name == another or beside or apart, (name, another)
        age = page.locator("#state-age")
        assert age.evaluate("text => text.scrollWidth <= text.clientWidth")
