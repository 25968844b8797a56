"""The page by the keyboard alone."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.board import LIVE_MS, Api, Seed, live, open_many, row, shoot, user_of
from tests.e2e.running import Running

Open = Callable[..., Page]


@pytest.fixture
def tickets(acme: Seed, api: Api) -> list[Seed]:
    """Three tickets of one word, as the list shows them: the newest last changed first."""
    word = uuid4().hex[:12]
    return [api.create(acme["sites"][0], word) for _ in range(3)][::-1]


@pytest.fixture
def page(acme: Seed, tickets: list[Seed], sign_in: Open) -> Page:
    page: Page = live(
        sign_in(user_of(acme, may="ticket:write"), path=f"/?q={tickets[0]['description']}")
    )
    expect(page.locator("#rows tr")).to_have_count(3)
    return page


def cursor(page: Page) -> str | None:
    return page.locator("#rows tr[data-cursor]").get_attribute("data-ticket")


class TestKeys:
    def test_move_open_mark_and_close(self, page: Page, tickets: list[Seed]) -> None:
        ids = [each.get_attribute("data-ticket") for each in page.locator("#rows tr").all()]
        page.keyboard.press("j")
        page.keyboard.press("j")
        assert cursor(page) == ids[1]
        page.keyboard.press("j")
        page.keyboard.press("j")  # there is none below the last
        assert cursor(page) == ids[2]
        page.keyboard.press("k")
        assert cursor(page) == ids[1]

        page.keyboard.press("x")
        mark = page.locator("#rows [data-pick]:checked")
        expect(mark).to_have_count(1)
        page.keyboard.press("o")
        expect(page.locator("#panel")).to_be_visible()
        page.keyboard.press("Escape")
        expect(page.locator("#panel")).to_be_hidden()
        expect(mark).to_have_count(1)
        page.keyboard.press("Escape")
        expect(mark).to_have_count(0)

    def test_open_by_enter(self, page: Page) -> None:
        page.keyboard.press("j")
        page.keyboard.press("Enter")

        expect(page.locator("#panel")).to_be_visible()

    def test_are_text_while_somebody_types(self, page: Page, tickets: list[Seed]) -> None:
        page.keyboard.press("/")
        box = page.get_by_role("searchbox", name="Find tickets")
        expect(box).to_be_focused()

        box.press_sequentially("jx?")

        expect(box).to_have_value(f"{tickets[0]['description']}jx?")
        expect(page.locator("[data-cursor]")).to_have_count(0)
        expect(page.locator("dialog[open]")).to_have_count(0)

    def test_leave_the_browsers_own_keys_alone(self, page: Page) -> None:
        page.keyboard.press("Control+j")
        page.keyboard.press("Alt+j")

        expect(page.locator("[data-cursor]")).to_have_count(0)

    def test_do_nothing_in_a_menu(self, page: Page) -> None:
        page.locator("#filters summary").filter(has_text="Status").click()

        page.keyboard.press("j")

        expect(page.locator("[data-cursor]")).to_have_count(0)

    def test_are_listed_and_turned_off(self, page: Page) -> None:
        page.keyboard.press("?")
        dialog = page.get_by_role("dialog", name="Keys")
        expect(dialog).to_contain_text("Acknowledge")
        shoot(page, "help")
        dialog.get_by_label("Single keys are on").uncheck()
        dialog.get_by_role("button", name="Close").click()

        page.keyboard.press("j")
        expect(page.locator("[data-cursor]")).to_have_count(0)
        page.reload()
        live(page).keyboard.press("?")
        expect(dialog).to_be_hidden()
        page.get_by_role("button", name="Keys").click()  # the way back needs no key
        dialog.get_by_label("Single keys are on").check()
        page.keyboard.press("Escape")
        page.keyboard.press("j")
        expect(page.locator("[data-cursor]")).to_have_count(1)

    def test_scroll_to_the_row(self, acme: Seed, api: Api, sign_in: Open) -> None:
        word = uuid4().hex[:12]
        made = [api.create(acme["sites"][0], word) for _ in range(30)]
        page = live(
            sign_in(user_of(acme), path=f"/?q={word}", viewport={"width": 1280, "height": 400})
        )
        expect(page.locator("#rows tr")).to_have_count(len(made))

        for _ in made:
            page.keyboard.press("j")
        expect(page.locator("#rows tr").last).to_be_in_viewport(ratio=1)
        for _ in made:
            page.keyboard.press("k")

        expect(page.locator("#rows tr").first).to_be_in_viewport(ratio=1)
        expect(row(page, made[-1])).to_have_attribute("data-cursor", "", timeout=LIVE_MS)

    def test_turn_the_page_of_the_list(
        self, acme: Seed, stack: Running, sign_in: Open, word: str
    ) -> None:
        open_many(stack, acme["sites"][0], word, 302)
        page = live(sign_in(user_of(acme), path=f"/?q={word}"))
        expect(page.locator("#pager")).to_contain_text("1 to 300 of 302", timeout=LIVE_MS)
        page.keyboard.press("k")  # from nowhere: the last that is drawn
        last = cursor(page)

        page.keyboard.press("j")

        expect(page.locator("#pager")).to_contain_text("301 to 302 of 302")
        assert cursor(page) == page.locator("#rows tr").first.get_attribute("data-ticket")
        page.keyboard.press("k")
        expect(page.locator("#pager")).to_contain_text("1 to 300 of 302")
        assert cursor(page) == last


class TestActions:
    """The keys that change tickets, as the server has them afterwards."""

    def test_acknowledge_the_one_at_the_cursor(self, page: Page, api: Api) -> None:
        page.keyboard.press("j")
        ticket = cursor(page)

        page.keyboard.press("a")

        expect(page.locator(f"tr[data-ticket='{ticket}'] .ack")).to_be_visible()
        expect(page.locator(".toast[data-kind=done]")).to_contain_text(
            "acknowledged", timeout=LIVE_MS
        )
        assert api.get(f"tickets/{ticket}/", include="acknowledgement")["acknowledged_at"]

    def test_resolve_the_marked_ones(self, page: Page, api: Api, tickets: list[Seed]) -> None:
        for key in "jxjx":
            page.keyboard.press(key)
        marked = page.locator("#rows tr:has([data-pick]:checked)")
        expect(marked).to_have_count(2)
        ids = [each.get_attribute("data-ticket") for each in marked.all()]

        page.keyboard.press("r")
        page.locator("#sheet").get_by_label("Note").fill("Fan replaced")
        page.keyboard.press("Control+Enter")

        expect(page.locator(".toast[data-kind=done]")).to_contain_text("2 tickets", timeout=LIVE_MS)
        for ticket in tickets:
            status = api.get(f"tickets/{ticket['id']}/")["status"]
            assert (status == "RESOLVED") is (str(ticket["id"]) in ids)

    def test_do_nothing_to_a_ticket_that_is_not_shown(
        self, page: Page, api: Api, tickets: list[Seed]
    ) -> None:
        writes: list[str] = []
        page.on("request", lambda request: request.method == "POST" and writes.append(request.url))
        page.keyboard.press("j")
        ticket = cursor(page)
        everything = page.url

        def press_all() -> None:
            for key in "axorsn":
                page.keyboard.press(key)
                expect(page.locator("#sheet, #panel").filter(visible=True)).to_have_count(0)
            page.evaluate("new Promise(requestAnimationFrame)")
            assert "marked" not in page.locator("#bulk").inner_text()

        page.get_by_role("link", name="Charts").click()
        press_all()
        page.get_by_role("link", name="Findings").click()
        press_all()
        page.get_by_role("link", name="Tickets").click()
        page.get_by_role("searchbox", name="Find tickets").fill(f"{tickets[0]['description']}none")
        expect(page.locator("#empty")).to_be_visible()
        page.evaluate("document.activeElement.blur()")
        press_all()

        assert not [url for url in writes if "tickets" in url]
        page.goto(everything)
        expect(live(page).locator(f"#rows tr[data-ticket='{ticket}']")).to_have_attribute(
            "data-unacknowledged", ""
        )
        assert not api.get(f"tickets/{ticket}/", include="acknowledgement")["acknowledged_at"]

    def test_act_again_when_the_ticket_is_shown_again(self, page: Page) -> None:
        page.keyboard.press("j")
        ticket = cursor(page)
        page.get_by_role("link", name="Charts").click()
        expect(page.locator("#charts-view")).to_be_visible()
        page.get_by_role("link", name="Tickets").click()

        page.keyboard.press("a")

        expect(page.locator(f"tr[data-ticket='{ticket}'] .ack")).to_be_visible()

    def test_assign_and_note_ask_for_what_they_need(self, page: Page, api: Api) -> None:
        me = api.get("auth/me/")["user"]["name"]
        page.keyboard.press("j")
        ticket = cursor(page)

        page.keyboard.press("s")
        expect(page.locator("#sheet [data-member]").first).to_contain_text("me")
        page.keyboard.press("Enter")
        expect(page.locator(f"tr[data-ticket='{ticket}'] .assigned_to")).to_have_text(me)
        page.keyboard.press("n")
        page.locator("#sheet textarea").fill("jkasrn")  # text, no keys
        page.keyboard.press("Control+Enter")

        expect(page.locator(".toast[data-kind=done]").last).to_contain_text(
            "note", timeout=LIVE_MS, ignore_case=True
        )
        assert api.get(f"tickets/{ticket}/")["assigned_to"] == me
        notes = api.get(f"tickets/{ticket}/comments/")["results"]
        assert [note["text"] for note in notes] == ["jkasrn"]
