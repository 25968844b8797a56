"""The interactive documentation in a real browser, under the site's content security policy."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.running import Running

ARTIFACTS = Path(__file__).resolve().parents[2] / "test-artifacts"


@pytest.fixture
def context(browser: Browser, stack: Running) -> Any:
    made = browser.new_context(base_url=stack["http"])
    yield made
    made.close()


def opened(context: BrowserContext) -> tuple[Page, list[str]]:
    """Return the page, and what its console and its network complain of."""
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda failed: complaints.append(failed.url))
    page.on(
        "request",
        lambda asked: (
            None
            if asked.url.startswith((str(context_url(context)), "data:", "blob:"))
            else complaints.append(asked.url)
        ),
    )
    page.goto("/api/docs/")
    expect(page.locator("#operations-tickets-tickets_list")).to_be_visible(timeout=30_000)
    return page, complaints


def context_url(context: BrowserContext) -> str:
    url: str = context._impl_obj._options["baseURL"]  # type: ignore[attr-defined]
    return url


def sign_in(context: BrowserContext, user: dict[str, Any]) -> None:
    page = context.new_page()
    page.goto("/login/")
    page.fill("#id_username", user["username"])
    page.fill("#id_password", user["password"])
    page.click("button")
    page.wait_for_url("**/")
    page.close()


class TestThePage:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_shows_the_operations_and_breaks_no_policy(
        self, browser: Browser, stack: Running, scheme: Any
    ) -> None:
        context = browser.new_context(base_url=stack["http"], color_scheme=scheme)
        page, complaints = opened(context)
        ARTIFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTIFACTS / f"api-docs-{scheme}.png")
        page.locator("#operations-tickets-tickets_create .opblock-summary-control").click()
        expect(page.get_by_role("button", name="Try it out")).to_be_visible()
        page.locator("#operations-tickets-tickets_create").screenshot(
            path=ARTIFACTS / f"api-docs-{scheme}-operation.png"
        )
        page.set_viewport_size({"width": 390, "height": 844})
        page.screenshot(path=ARTIFACTS / f"api-docs-{scheme}-phone.png")

        assert complaints == []
        assert page.evaluate(
            "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        )
        context.close()


class TestTryItOut:
    def test_writes_as_who_is_signed_in(
        self, context: BrowserContext, acme: dict[str, Any]
    ) -> None:
        operator = next(user for user in acme["users"] if "ticket:write" in user["capabilities"])
        sign_in(context, operator)
        page, complaints = opened(context)
        operation = page.locator("#operations-tickets-tickets_create")
        operation.locator(".opblock-summary-control").click()
        operation.get_by_role("button", name="Try it out").click()
        body = f'{{"site_id": {acme["sites"][0]["id"]}, "description": "Tried out"}}'
        operation.locator("textarea").fill(body)
        operation.get_by_role("button", name="Execute").click()

        live = operation.locator(".live-responses-table .response-col_status").last
        expect(live).to_contain_text("201", timeout=15_000)
        operation.screenshot(path=ARTIFACTS / "api-docs-tried-out.png")
        assert complaints == []
