"""Acting on tickets from the list, while another operator looks and while others are faster."""

import re
from collections.abc import Callable

import psycopg
import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.board import HOSTILE, LIVE_MS, PHONE, Api, Seed, admin_of, live, row, shoot, user_of
from tests.e2e.running import Running

Open = Callable[..., Page]


@pytest.fixture
def operator(acme: Seed) -> Seed:
    return user_of(acme, may="ticket:write")


def sheet(page: Page) -> Locator:
    return page.locator("#sheet")


def menu_of(page: Page, ticket: Seed) -> Locator:
    row(page, ticket).locator("[data-menu]").click()
    expect(sheet(page)).to_be_visible()
    return sheet(page)


def done(page: Page, words: str) -> None:
    """Wait until the page tells that it was done."""
    expect(page.locator(".toast[data-kind=done]").last).to_contain_text(words, timeout=LIVE_MS)


def refusal(page: Page, ticket: Seed) -> Locator:
    return page.locator(f"tr[data-refusal='{ticket['id']}']")


class TestOneTicket:
    def test_is_acknowledged_at_once_and_seen_by_another_operator(
        self, acme: Seed, api: Api, sign_in: Open, operator: Seed, word: str
    ) -> None:
        ticket = api.create(acme["sites"][0], word)
        mine = live(sign_in(operator, path=f"/?q={word}"))
        theirs = live(sign_in(admin_of(acme), path=f"/?q={word}"))
        expect(row(theirs, ticket)).to_have_attribute("data-unacknowledged", "")
        held: list[Route] = []
        mine.route("**/tickets/bulk/", lambda route: held.append(route), times=1)

        row(mine, ticket).locator("[data-acknowledge]").click()

        expect(row(mine, ticket).locator(".ack")).to_be_visible()  # before any answer
        expect(row(mine, ticket)).to_have_attribute("data-pending", "")
        held[0].continue_()
        for page in (mine, theirs):
            expect(row(page, ticket).locator(".ack")).to_be_visible(timeout=LIVE_MS)
        expect(row(theirs, ticket).locator(".ack")).to_have_attribute(
            "title", f"Acknowledged by {api.get('auth/me/')['user']['name']}"
        )
        done(mine, f"{ticket['ticket_no']} acknowledged")
        expect(mine.locator("[data-counter=unacknowledged] b")).to_have_text("0")

        mine.locator(".toast").get_by_role("button", name="Undo").click()

        for page in (mine, theirs):
            expect(row(page, ticket).locator(".ack")).to_have_count(0, timeout=LIVE_MS)

    def test_is_offered_only_what_may_follow(
        self, acme: Seed, api: Api, sign_in: Open, operator: Seed, word: str
    ) -> None:
        ticket = api.create(acme["sites"][0], word)
        api.move_on(ticket, "RESOLVED")
        page = live(sign_in(operator, path=f"/?q={word}"))

        menu = menu_of(page, ticket)

        offered = menu.locator("[data-choice]").evaluate_all(
            "all => all.map(e => e.dataset.choice)"
        )
        assert offered[:4] == ["NEW", "IN_PROGRESS", "ON_HOLD", "CLOSED"]
        shoot(page, "row-menu")
        page.keyboard.press("Escape")
        expect(sheet(page)).to_be_hidden()
        expect(row(page, ticket).locator("[data-menu]")).to_be_focused()

    def test_goes_on_hold_with_its_reason(
        self, acme: Seed, api: Api, sign_in: Open, operator: Seed, word: str
    ) -> None:
        ticket = api.create(acme["sites"][0], word)
        page = live(sign_in(operator, path=f"/?q={word}"))
        menu_of(page, ticket).locator("[data-choice=ON_HOLD]").click()
        sheet(page).get_by_role("button", name="Set to On hold").click()
        expect(sheet(page)).to_be_visible()  # without a reason it stays

        sheet(page).get_by_label("Reason").fill(HOSTILE)
        page.keyboard.press("Control+Enter")

        expect(row(page, ticket)).to_have_attribute("data-status", "ON_HOLD")
        done(page, "set to On hold")
        assert api.get(f"tickets/{ticket['id']}/comments/")["results"][0]["text"] == HOSTILE

    def test_is_assigned_to_me_or_to_whom_is_searched(
        self, acme: Seed, api: Api, sign_in: Open, operator: Seed, word: str
    ) -> None:
        ticket = api.create(acme["sites"][0], word)
        page = live(sign_in(operator, path=f"/?q={word}"))
        me = api.get("auth/me/")["user"]["name"]
        other = next(m for m in api.get("members/")["results"] if m["name"] != me)

        menu_of(page, ticket).get_by_role("button", name="Assign …").click()
        expect(sheet(page).locator("[data-member]").first).to_contain_text(me)
        sheet(page).get_by_label("Search members").fill(other["name"].lower())
        expect(sheet(page).locator("[data-member]")).to_have_count(1)
        page.keyboard.press("Enter")

        expect(row(page, ticket).locator("td.assigned_to")).to_have_text(other["name"])
        done(page, f"assigned to {other['name']}")
        menu_of(page, ticket).get_by_role("button", name="Assign to me").click()
        expect(row(page, ticket).locator("td.assigned_to")).to_have_text(me)

    def test_keeps_its_menu_usable_when_another_operator_is_faster(
        self, acme: Seed, api: Api, sign_in: Open, operator: Seed, word: str
    ) -> None:
        ticket = api.create(acme["sites"][0], word)
        page = live(sign_in(operator, path=f"/?q={word}"))
        menu = menu_of(page, ticket)
        acknowledge = menu.get_by_role("button", name="Acknowledge", exact=True)
        expect(acknowledge).to_be_focused()

        api.post(f"tickets/{ticket['id']}/acknowledge/", {})
        expect(row(page, ticket).locator(".ack")).to_be_visible(timeout=LIVE_MS)
        expect(acknowledge).to_be_focused()
        expect(menu.get_by_text("Take back")).to_have_count(0)  # nothing turns into its contrary
        page.keyboard.press("Enter")
        done(page, f"Nothing to do: {ticket['ticket_no']} is acknowledged by")

        row(page, ticket).locator("[data-pick]").check()
        menu_of(page, ticket).locator("[data-choice=IN_PROGRESS]").focus()
        api.move_on(ticket, "IN_PROGRESS")
        expect(menu.locator("[data-choice=IN_PROGRESS]")).to_have_count(0, timeout=LIVE_MS)
        expect(menu.locator("button:focus")).to_have_count(1)
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("Escape")
        expect(menu).to_be_hidden()
        expect(page.locator("#bulk")).to_contain_text("1 marked")  # it did one thing

    def test_keeps_its_open_menu_and_what_is_typed_through_a_hundred_changes(
        self, acme: Seed, api: Api, sign_in: Open, operator: Seed, word: str, stack: Running
    ) -> None:
        ticket, other = (api.create(acme["sites"][0], word) for _ in range(2))
        page = live(sign_in(operator, path=f"/?q={word}"))
        menu_of(page, ticket).get_by_role("button", name="Add a note …").click()
        page.keyboard.type("half a sen")
        page.evaluate("window.area = document.activeElement")

        with psycopg.connect(stack["database_url"], autocommit=True) as database:
            for n in range(100):
                each = (ticket, other)[n % 2]["id"]
                priority = ("LOW", "CRITICAL")[n // 2 % 2]
                database.execute(
                    "UPDATE helpdesk_ticket SET priority = %s, description = %s WHERE id = %s",
                    [priority, f"{word} {n}", each],
                )

        expect(row(page, other).locator("td.description")).to_have_text(
            f"{word} 99", timeout=LIVE_MS
        )
        page.keyboard.type("tence")
        assert page.evaluate("area === document.activeElement && area.value") == "half a sentence"
        page.keyboard.press("Control+Enter")
        done(page, "given a note")
        notes = api.get(f"tickets/{ticket['id']}/comments/")["results"]
        assert [note["text"] for note in notes] == ["half a sentence"]


class TestConflict:
    def test_says_who_was_first_and_keeps_what_was_typed(
        self, acme: Seed, api: Api, sign_in: Open, operator: Seed, word: str
    ) -> None:
        ticket = api.create(acme["sites"][0], word)
        page = live(sign_in(operator, path=f"/?q={word}"))
        menu_of(page, ticket).locator("[data-choice=RESOLVED]").click()
        sheet(page).get_by_role("textbox").fill("replaced the fan")
        api.patch(f"tickets/{ticket['id']}/", {"priority": "CRITICAL"})
        expect(row(page, ticket)).to_have_attribute("data-priority", "CRITICAL", timeout=LIVE_MS)

        sheet(page).get_by_role("button", name="Set to Resolved").click()

        line = refusal(page, ticket)
        me = api.get("auth/me/")["user"]["name"]
        expect(line).to_contain_text(f"Changed by {me}", timeout=LIVE_MS)
        expect(line).to_contain_text(" s ago: now New")
        expect(line).to_contain_text("replaced the fan")
        expect(row(page, ticket)).to_have_attribute("data-status", "NEW")
        shoot(page, "conflict")
        row(page, ticket).locator("[data-acknowledge]").click()
        done(page, "acknowledged")
        expect(line).to_contain_text("replaced the fan")
        line.get_by_role("button", name="Do it anyway").click()
        expect(row(page, ticket)).to_have_attribute("data-status", "RESOLVED")
        expect(line).to_have_count(0)
        done(page, "set to Resolved")
        notes = api.get(f"tickets/{ticket['id']}/comments/")["results"]
        assert [note["text"] for note in notes] == ["replaced the fan"]

    def test_is_read_out_once_while_its_age_is_counted(
        self, acme: Seed, api: Api, sign_in: Open, operator: Seed, word: str
    ) -> None:
        ticket = api.create(acme["sites"][0], word)
        page = live(sign_in(operator, path=f"/?q={word}"))
        menu_of(page, ticket)
        api.move_on(ticket, "ON_HOLD")
        expect(row(page, ticket)).to_have_attribute("data-status", "ON_HOLD", timeout=LIVE_MS)
        sheet(page).locator("[data-choice=IN_PROGRESS]").click()
        line = refusal(page, ticket)
        alert = line.get_by_role("alert")
        expect(alert).to_contain_text("Changed by", timeout=LIVE_MS)
        said = alert.text_content()
        page.evaluate(
            """alert => {
                window.heard = [];
                const listen = (all) => heard.push(...all.map(({ target }) => target.textContent));
                new MutationObserver(listen).observe(alert, {
                    subtree: true, childList: true, characterData: true,
                });
            }""",
            alert.element_handle(),
        )

        for _ in range(3):
            shown = line.locator(".words").inner_text()
            assert re.search(r"^Changed by .+ \d+ s ago: now On hold, ", shown)
            expect(line.locator(".words")).not_to_have_text(shown)

        assert page.evaluate("heard") == []
        assert alert.text_content() == said

    def test_can_be_left(
        self, acme: Seed, api: Api, sign_in: Open, operator: Seed, word: str
    ) -> None:
        ticket = api.create(acme["sites"][0], word)
        page = live(sign_in(operator, path=f"/?q={word}"))
        menu_of(page, ticket)
        api.move_on(ticket, "ON_HOLD")
        expect(row(page, ticket)).to_have_attribute("data-status", "ON_HOLD", timeout=LIVE_MS)
        sheet(page).locator("[data-choice=IN_PROGRESS]").click()
        expect(refusal(page, ticket)).to_contain_text("now On hold", timeout=LIVE_MS)

        refusal(page, ticket).get_by_role("button", name="Leave it").click()

        expect(refusal(page, ticket)).to_have_count(0)
        expect(row(page, ticket)).to_have_attribute("data-status", "ON_HOLD")

    def test_over_a_closed_ticket_lets_the_note_be_kept(
        self, acme: Seed, api: Api, sign_in: Open, operator: Seed, word: str
    ) -> None:
        ticket = api.create(acme["sites"][0], word)
        page = live(sign_in(operator, path=f"/?q={word}"))
        menu_of(page, ticket).locator("[data-choice=RESOLVED]").click()
        sheet(page).get_by_role("textbox").fill("replaced the fan")
        api.move_on(ticket, "CLOSED")
        expect(row(page, ticket)).to_have_attribute("data-status", "CLOSED", timeout=LIVE_MS)

        page.keyboard.press("Control+Enter")

        keep = page.get_by_role("button", name="Keep as a note")
        expect(keep).to_be_visible(timeout=LIVE_MS)
        expect(row(page, ticket)).to_have_count(0, timeout=LIVE_MS)  # and now it is said above
        expect(page.locator("#bulk")).to_contain_text("cannot be set to Resolved any more")
        keep.click()
        done(page, "given a note")


class TestOnesOwnWrites:
    def test_wait_for_each_other_and_are_no_conflict(
        self, acme: Seed, api: Api, sign_in: Open, operator: Seed, word: str
    ) -> None:
        ticket = api.create(acme["sites"][0], word)
        page = live(sign_in(operator, path=f"/?q={word}"))
        asked: list[Route] = []

        def hold_the_first(route: Route) -> None:
            asked.append(route)
            if len(asked) > 1:
                route.continue_()

        page.route("**/tickets/bulk/", hold_the_first)
        page.keyboard.press("j")
        page.keyboard.press("s")
        expect(sheet(page).locator("[data-member]").first).to_contain_text("me")
        page.keyboard.press("Enter")

        page.keyboard.press("a")

        expect(row(page, ticket).locator(".ack")).to_be_visible()  # before any answer
        assert [route.request.post_data_json["action"] for route in asked] == ["assign"]
        asked[0].continue_()
        done(page, f"{ticket['ticket_no']} acknowledged")
        expect(refusal(page, ticket)).to_have_count(0)
        now = api.get(f"tickets/{ticket['id']}/", include="acknowledgement")
        me = api.get("auth/me/")["user"]["name"]
        assert (now["assigned_to"], now["acknowledged_by"]) == (me, me)


class TestManyTickets:
    def test_are_acknowledged_together_and_resolved_with_one_note(
        self, acme: Seed, api: Api, sign_in: Open, operator: Seed, word: str
    ) -> None:
        tickets = [api.create(acme["sites"][0], word) for _ in range(4)]
        mine = live(sign_in(operator, path=f"/?q={word}", color_scheme="dark"))
        theirs = live(sign_in(admin_of(acme), path=f"/?q={word}"))
        expect(mine.locator("tr[data-ticket]")).to_have_count(4)
        before = mine.locator("tr[data-ticket]").first.bounding_box()
        mine.locator("[data-pick]").first.click()
        mine.locator("[data-pick]").last.click(modifiers=["Shift"])
        expect(mine.locator("#bulk")).to_contain_text("4 marked")
        assert mine.locator("tr[data-ticket]").first.bounding_box() == before
        shoot(mine, "bulk-bar")

        mine.locator("#bulk").get_by_role("button", name="Acknowledge").click()

        done(mine, "4 tickets acknowledged")
        expect(mine.locator(".toast")).to_have_count(1)
        expect(theirs.locator(".ack")).to_have_count(4, timeout=LIVE_MS)
        mine.locator("#bulk").get_by_role("button", name="Status …").click()
        sheet(mine).locator("[data-choice=RESOLVED]").click()
        sheet(mine).get_by_role("textbox").fill("one cause")
        sheet(mine).get_by_role("button", name="Set to Resolved").click()
        expect(theirs.locator("tr[data-status=RESOLVED]")).to_have_count(4, timeout=LIVE_MS)
        for ticket in tickets:
            notes = api.get(f"tickets/{ticket['id']}/comments/")["results"]
            assert [note["text"] for note in notes] == ["one cause"]
        mine.locator("#bulk").get_by_role("button", name="Clear").click()
        expect(mine.locator("#bulk")).to_have_text("")

    def test_are_judged_one_by_one(
        self, acme: Seed, api: Api, sign_in: Open, operator: Seed, word: str
    ) -> None:
        first, second, free = (api.create(acme["sites"][0], word) for _ in range(3))
        page = live(sign_in(operator, path=f"/?q={word}"))
        expect(page.locator("tr[data-ticket]")).to_have_count(3)
        page.locator("thead input[type=checkbox]").check()
        page.locator("#bulk").get_by_role("button", name="Priority …").click()
        for ticket in (first, second):
            api.move_on(ticket, "IN_PROGRESS")
            expect(row(page, ticket)).to_have_attribute(
                "data-status", "IN_PROGRESS", timeout=LIVE_MS
            )

        sheet(page).locator("[data-choice=CRITICAL]").click()

        expect(row(page, free)).to_have_attribute("data-priority", "CRITICAL")
        refused = page.locator(".toast[data-kind=refused]")
        expect(refused).to_contain_text("2 tickets were changed by others", timeout=LIVE_MS)
        for ticket in (first, second):
            expect(row(page, ticket)).to_have_attribute("data-priority", "HIGH")
            expect(refusal(page, ticket)).to_contain_text("Changed by")
        shoot(page, "conflict-many")
        refused.get_by_role("button", name="Do it anyway").click()
        for ticket in (first, second):
            expect(row(page, ticket)).to_have_attribute(
                "data-priority", "CRITICAL", timeout=LIVE_MS
            )
        expect(page.locator("tr.refusal-line")).to_have_count(0)

    def test_can_be_acted_on_from_a_phone(
        self, acme: Seed, api: Api, sign_in: Open, operator: Seed, word: str
    ) -> None:
        ticket = api.create(acme["sites"][0], word)
        page = live(
            sign_in(operator, path=f"/?q={word}", viewport=PHONE, is_mobile=True, has_touch=True)
        )
        row(page, ticket).locator("[data-pick]").tap()
        expect(page.locator("#bulk")).to_contain_text("1 marked")
        shoot(page, "bulk-bar-phone")
        row(page, ticket).locator("[data-menu]").tap()
        shoot(page, "row-menu-phone")
        sheet(page).locator("[data-choice=IN_PROGRESS]").tap()
        expect(row(page, ticket)).to_have_attribute("data-status", "IN_PROGRESS")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


class TestRights:
    def test_are_asked_for_again_when_nobody_answered(
        self, acme: Seed, api: Api, sign_in: Open, operator: Seed, word: str
    ) -> None:
        ticket = api.create(acme["sites"][0], word)
        page = live(sign_in(operator, path=f"/?q={word}"))
        asked: list[str] = []

        def fail(route: Route) -> None:
            asked.append(route.request.url)
            route.fulfill(status=503)

        page.route("**/auth/me/", fail, times=1)

        page.reload()

        expect(row(live(page), ticket).locator("[data-acknowledge]")).to_be_visible()
        assert len(asked) == 1


class TestRefusals:
    def test_of_a_server_that_is_away_lose_nothing(
        self, acme: Seed, api: Api, sign_in: Open, operator: Seed, word: str
    ) -> None:
        ticket = api.create(acme["sites"][0], word)
        page = live(sign_in(operator, path=f"/?q={word}"))
        page.route("**/tickets/bulk/", lambda route: route.abort())
        menu_of(page, ticket).get_by_role("button", name="Add a note …").click()
        page.keyboard.type("called the carrier")
        page.keyboard.press("Control+Enter")
        toast = page.locator(".toast[data-kind=refused]")
        expect(toast).to_contain_text("The server does not answer", timeout=LIVE_MS)
        shoot(page, "refused")
        page.unroute_all()

        toast.get_by_role("button", name="Try again").click()

        done(page, "given a note")
        notes = api.get(f"tickets/{ticket['id']}/comments/")["results"]
        assert [note["text"] for note in notes] == ["called the carrier"]
