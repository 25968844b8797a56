"""The page by the keyboard alone."""

from collections.abc import Callable
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.board import LIVE_MS, Api, Seed, live, row, shoot, user_of

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
