"""
The page with many tickets and many events at once, in a real browser.

What does not depend on how fast the machine is: rows, counts, draws per frame, and that a second
burst leaves nothing behind that the first had not. Times are measured by ``./noc bench page``.
"""

from collections.abc import Callable

from playwright.sync_api import CDPSession, Page, expect

from tests.e2e.board import Api, Seed, change_all, live, open_many, shown_ids, user_of
from tests.e2e.running import Running

Open = Callable[..., Page]
TICKETS, ROUNDS = 2_000, 2  # a round is one event for each
ARRIVE_MS = 120_000
SPARE_NODES = 100  # what the same rows need more for other words
# Elements, texts and comments of the document.
NODES = """(() => {
  const nodes = document.createTreeWalker(document);
  let count = 0;
  while (nodes.nextNode()) count += 1;
  return count;
})()"""
# One draw of the list is one call of the observer; frames are counted by a callback in each.
COUNT_DRAWS = """
window.most = 0;
window.rows = 0;
let draws = 0;
new MutationObserver(() => {
  draws += 1;
  window.most = Math.max(window.most, draws);
  window.rows = Math.max(window.rows, document.querySelectorAll("tr[data-ticket]").length);
}).observe(document.getElementById("list-view"),
           { childList: true, characterData: true, subtree: true });
const frame = () => { draws = 0; requestAnimationFrame(frame); };
frame();
"""


class TestVolume:
    def test_two_bursts_leave_no_more_than_one(
        self, acme: Seed, api: Api, sign_in: Open, stack: Running, word: str
    ) -> None:
        open_many(stack, acme["sites"][0], word, TICKETS)
        page = live(sign_in(user_of(acme), path=f"/?q={word}"))
        expect(page.locator("#pager")).to_contain_text("of 2,000", timeout=ARRIVE_MS)
        cdp = page.context.new_cdp_session(page)
        page.evaluate(COUNT_DRAWS)

        burst(page, stack, word, "first")
        after_one, nodes = counters(cdp), page.evaluate(NODES)
        burst(page, stack, word, "second")
        after_two = counters(cdp)

        assert page.evaluate("window.rows") == 300
        assert page.evaluate("window.most") == 1
        assert after_two["jsEventListeners"] <= after_one["jsEventListeners"]
        # Markers that lit leaves behind make every removal beside them slower.
        assert page.evaluate(NODES) <= nodes + SPARE_NODES
        counts = api.get("tickets/counts/", q=word)
        assert counts["total"] == TICKETS
        shown = page.locator("[data-counter=all] b")
        expect(shown).to_have_text(f"{TICKETS:,}")
        expect(page.locator("[data-counter=IN_PROGRESS] b")).to_have_text(f"{TICKETS:,}")
        expect(page.locator("#counts-note")).to_have_count(0, timeout=ARRIVE_MS)
        assert page.evaluate("window.neverReloaded")

        change_all(stack, word, "status = 'CLOSED'")
        expect(page.locator("#empty")).to_be_visible(timeout=ARRIVE_MS)


def burst(page: Page, stack: Running, word: str, name: str) -> None:
    """Change every ticket some times over, and wait until the page has all of it."""
    for number in range(ROUNDS):
        change_all(stack, word, "description = %s", f"{word} {name} {number}")
    status = {"first": "RESOLVED", "second": "IN_PROGRESS"}[name]
    change_all(stack, word, "status = %s", status)
    count = page.locator(f"[data-counter={status}] b")
    expect(count).to_have_text(f"{TICKETS:,}", timeout=ARRIVE_MS)
    page.wait_for_function(
        """([text, status]) => [...document.querySelectorAll("tr[data-ticket]")].every(
             row => row.dataset.status === status &&
                    row.querySelector("td.description").textContent === text)""",
        arg=[f"{word} {name} {ROUNDS - 1}", status],
        timeout=ARRIVE_MS,
    )
    assert len(shown_ids(page)) == 300


def counters(cdp: CDPSession) -> dict[str, int]:
    """What the page holds of the browser, after a full collection."""
    cdp.send("HeapProfiler.collectGarbage")
    found: dict[str, int] = cdp.send("Memory.getDOMCounters")
    return found
