"""What the page's modules import from npm, in a real browser under the page's own policy."""

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.running import Running

HEAR = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => {
  window.violations.push(`${event.violatedDirective} ${event.blockedURI}`);
});
"""
USE = """async () => {
  const { html, render } = await import("lit/html.js");
  const { repeat } = await import("lit/directives/repeat.js");
  const { LitElement } = await import("lit");
  const { default: uPlot } = await import("uplot");
  const place = document.createElement("div");
  document.body.append(place);
  const show = (names) => render(
    html`<ul>${repeat(names, (name) => name, (name) => html`<li>${name}</li>`)}</ul>`, place);
  show(["a", "<b>"]);
  const kept = place.querySelector("li");
  show(["<b>", "a"]);
  const chart = new uPlot({ width: 300, height: 200, series: [{}, {}] }, [[1, 2], [3, 4]], place);
  await new Promise(requestAnimationFrame);
  return {
    items: [...place.querySelectorAll("li")].map((item) => item.textContent),
    moved: place.querySelectorAll("li")[1] === kept,
    width: chart.root.querySelector("canvas").width > 0,
    element: typeof LitElement,
    warnings: [...(globalThis.litIssuedWarnings ?? [])].length,
    violations: window.violations,
  };
}"""
INJECT = """async () => {
  const heard = new Promise((resolve) =>
    document.addEventListener("securitypolicyviolation", (event) => resolve(event.blockedURI)));
  const script = document.createElement("script");
  script.textContent = "window.injected = true";
  document.body.append(script);
  return [await heard, window.injected ?? false];
}"""


@pytest.fixture
def page(browser: Browser, stack: Running, acme: dict[str, Any]) -> Iterator[Page]:
    """The board of a signed-in user; ``window.violations`` has what broke the policy."""
    user = acme["users"][0]
    with browser.new_context(base_url=stack["http"]) as context:
        page = context.new_page()
        page.add_init_script(HEAR)
        page.goto("/login/")
        page.get_by_label("User name").fill(user["username"])
        page.get_by_label("Password").fill(user["password"])
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{stack['http']}/")
        yield page


class TestPackages:
    def test_are_imported_by_their_names_and_work_under_the_policy(self, page: Page) -> None:
        assert page.evaluate(USE) == {
            "items": ["<b>", "a"],
            "moved": True,
            "width": True,
            "element": "function",
            "warnings": 0,
            "violations": [],
        }

    def test_are_fetched_from_this_host_alone(self, page: Page, stack: Running) -> None:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))

        page.reload()  # the page imports most of them itself
        page.evaluate(USE)

        assert f"{stack['http']}/static/npm/lit-html/lit-html.js" in asked
        assert [url for url in asked if not url.startswith(f"{stack['http']}/")] == []

    def test_are_asked_for_again_by_what_the_browser_has(self, stack: Running) -> None:
        url = f"{stack['http']}/static/npm/lit-html/lit-html.js"

        first = httpx.get(url)
        again = httpx.get(url, headers={"If-None-Match": first.headers["ETag"]})

        assert first.headers["Content-Type"].startswith("text/javascript")
        assert "max-age=0" in first.headers["Cache-Control"]
        assert again.status_code == 304


class TestPolicy:
    def test_allows_the_import_map_and_nothing_else_inline(self, page: Page) -> None:
        assert page.evaluate(INJECT) == ["inline", False]

    def test_has_a_nonce_only_where_there_is_an_import_map_and_a_fresh_one_each_time(
        self, page: Page, stack: Running
    ) -> None:
        policies = []
        for _ in range(2):
            answer = page.goto("/")
            assert answer is not None
            policies.append(answer.headers["content-security-policy"])

        nonces = [re.findall(r"script-src 'self' 'nonce-([\w-]+)'", policy) for policy in policies]
        assert [len(found) for found in nonces] == [1, 1]
        assert nonces[0] != nonces[1]
        login = httpx.get(f"{stack['http']}/login/").headers["Content-Security-Policy"]
        assert "nonce" not in login
