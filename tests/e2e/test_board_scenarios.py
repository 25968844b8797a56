"""What goes wrong in an operator's day, in real browsers against a running instance."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.board import (
    HOSTILE,
    LIVE_MS,
    PHONE,
    Api,
    Seed,
    admin_of,
    change_all,
    is_grey,
    live,
    open_many,
    row,
    shoot,
    shown_ids,
    user_of,
)
from tests.e2e.conftest import CHROMIUM_OPTIONS, NO_FLOODS
from tests.e2e.running import Running, eventually
from tests.e2e.wiretap import Wiretap
from tests.tcp_proxy import TcpProxy

Open = Callable[..., Page]
BACK_MS = 90_000  # until a page is live again whose server was away
AWAY = "#away .away"
# Long words without a place to break, marks that turn the direction, a sign that looks like NUL, a
# control character, and signs of several code points.
UGLY = f"{HOSTILE} {'W' * 70} \u2067\u05d0\u202d\u2400\x07 👩\u200d👩\u200d👧 \U0001f600"


@pytest.fixture
def operator(acme: Seed) -> Seed:
    return user_of(acme, may="ticket:write")


def live_again(page: Page) -> None:
    expect(page.locator("#state")).to_have_attribute("data-state", "live", timeout=BACK_MS)
    assert page.evaluate("window.neverReloaded")


def stale(page: Page) -> None:
    """Wait until the page says since when, and is grey."""
    expect(page.locator("#state-word")).to_contain_text("Stale since", timeout=BACK_MS)
    expect(page.locator("body")).to_have_attribute("data-feed", "stale")
    assert is_grey(page)


def heard(page: Page) -> list[str]:
    """Load the page anew; what its websockets receive from then on comes into the list."""
    frames: list[str] = []
    page.on("websocket", lambda socket: socket.on("framereceived", lambda f: frames.append(str(f))))
    page.reload()
    live(page)
    return frames


def events_told(api: Api) -> int:
    return sum(api.get("noc/stats/", minutes=60)["events"]["ticket"])


class TestSideBySide:
    def test_what_one_operator_does_another_sees_and_a_stranger_nothing_of_it(
        self,
        acme: Seed,
        other: Seed,
        api: Api,
        sign_in: Open,
        operator: Seed,
        word: str,
        stack: Running,
    ) -> None:
        ticket = api.create(acme["sites"][0], word)
        mine = live(sign_in(operator, path=f"/?q={word}"))
        theirs = live(sign_in(admin_of(acme), path=f"/?q={word}", color_scheme="dark"))
        stranger = live(sign_in(user_of(other)))
        frames = heard(stranger)
        expect(row(theirs, ticket)).to_have_count(1)
        theirs.evaluate("window.kept = document.querySelector('tr[data-ticket]')")
        title, counters = stranger.title(), stranger.locator("#counters b").all_inner_texts()
        strange = Api(stack, user_of(other, may="ticket:write"))
        told, strange_told = events_told(api), events_told(strange)

        row(mine, ticket).locator("[data-acknowledge]").click()
        expect(row(theirs, ticket).locator(".ack")).to_be_visible(timeout=LIVE_MS)
        row(mine, ticket).locator("[data-menu]").click()
        mine.locator("#sheet [data-choice=IN_PROGRESS]").click()
        expect(row(theirs, ticket)).to_have_attribute("data-status", "IN_PROGRESS", timeout=LIVE_MS)
        row(mine, ticket).locator("[data-open]").click()
        mine.locator("#comment").fill(f"{word} is the fan")
        mine.locator(".comment-box button").click()

        expect(theirs.locator("#activity")).to_contain_text(f"{word} is the fan", timeout=LIVE_MS)
        assert theirs.evaluate("kept === document.querySelector('tr[data-ticket]')")
        assert theirs.evaluate("window.neverReloaded")
        shoot(mine, "scenario-side-by-side-who-acts")
        shoot(theirs, "scenario-side-by-side-who-sees")
        shoot(stranger, "scenario-side-by-side-stranger")
        eventually(lambda: events_told(api) >= told + 3, seconds=150)
        assert stranger.title() == title
        assert stranger.locator("#counters b").all_inner_texts() == counters
        assert events_told(strange) == strange_told
        # What comes to the stranger after it shows that it never came.
        own = strange.create(other["sites"][0])
        expect(row(stranger, own)).to_have_count(1, timeout=LIVE_MS)
        everything = "\n".join([*frames, stranger.content()])
        for trace in (word, f'"ticket_id": {ticket["id"]},', f'data-ticket="{ticket["id"]}"'):
            assert trace not in everything
        assert own["ticket_no"] in everything


class TestNetwork:
    def test_that_holds_everything_and_closes_nothing_is_found_out(
        self, acme: Seed, api: Api, browser: Browser, operator: Seed, word: str, stack: Running
    ) -> None:
        ticket = api.create(acme["sites"][0], word)
        with behind_proxy(browser, stack, operator, f"/?q={word}") as (page, proxy):
            expect(row(page, ticket)).to_have_count(1)

            proxy.lose()
            api.patch(f"tickets/{ticket['id']}/", {"priority": "CRITICAL"})

            # It is suspected by its silence, and the new connection tells what was missed.
            expect(row(page, ticket)).to_have_attribute(
                "data-priority", "CRITICAL", timeout=BACK_MS
            )
            live_again(page)

    def test_that_is_cut_leaves_a_grey_page_with_its_time_and_is_made_up_for(
        self, acme: Seed, api: Api, sign_in: Open, operator: Seed, word: str
    ) -> None:
        ticket = api.create(acme["sites"][0], word)
        page = live(sign_in(operator, path=f"/?q={word}"))
        row(page, ticket).locator("[data-open]").click()
        page.locator("#comment").fill("half a sen")

        page.context.set_offline(True)
        stale(page)
        shoot(page, "scenario-network-cut")
        api.move_on(ticket, "IN_PROGRESS")
        page.context.set_offline(False)

        live_again(page)
        told = page.locator(f"{AWAY} [data-away='{ticket['id']}']")
        expect(told).to_contain_text("New → In progress", timeout=LIVE_MS)
        expect(page.locator("#comment")).to_have_value("half a sen")
        assert not is_grey(page)
        shoot(page, "scenario-network-back")


@contextmanager
def behind_proxy(
    browser: Browser, stack: Running, user: Seed, path: str
) -> Iterator[tuple[Page, TcpProxy]]:
    """A browser of its own whose connections to the instance go through a proxy; signed in."""
    address = urlsplit(stack["http"])
    assert address.port is not None
    proxy = TcpProxy(address.port)
    rule = f"MAP {address.hostname}:{address.port} 127.0.0.1:{proxy.port}"
    chromium = browser.browser_type.launch(
        executable_path=os.environ["NOC_CHROMIUM"],
        args=[*CHROMIUM_OPTIONS, f"--host-resolver-rules={rule}"],
    )
    try:
        tap = Wiretap(chromium)
        context = chromium.new_context()
        context.add_init_script(NO_FLOODS)
        page = context.new_page()
        page.goto(f"{stack['http']}{path}")
        page.get_by_label("User name").fill(user["username"])
        page.get_by_label("Password").fill(user["password"])
        page.get_by_role("button", name="Sign in").click()
        yield live(page), proxy
        tap.check()
    finally:
        chromium.close()
        proxy.close()


class TestServer:
    def test_that_drains_and_comes_back_is_followed_without_a_reload(
        self, acme: Seed, api: Api, sign_in: Open, operator: Seed, word: str, stack: Running
    ) -> None:
        ticket = api.create(acme["sites"][0], word)
        page = live(sign_in(operator, path=f"/?q={word}"))
        row(page, ticket).locator("[data-menu]").click()
        page.locator("#sheet").get_by_role("button", name="Add a note …").click()
        page.keyboard.type("half a sen")
        web = stack.state()["pids"]["web"]

        os.kill(web, signal.SIGTERM)
        eventually(lambda: stack.state()["pids"]["web"] not in (None, web), seconds=60)
        with psycopg.connect(stack["database_url"]) as database:
            database.execute(
                "UPDATE helpdesk_ticket SET priority = 'CRITICAL' WHERE id = %s", [ticket["id"]]
            )

        expect(row(page, ticket)).to_have_attribute("data-priority", "CRITICAL", timeout=BACK_MS)
        live_again(page)
        page.keyboard.type("tence")
        expect(page.locator("#sheet").get_by_role("textbox")).to_have_value("half a sentence")
        page.keyboard.press("Control+Enter")
        expect(page.locator(".toast[data-kind=done]").last).to_contain_text(
            "given a note", timeout=LIVE_MS
        )
        shoot(page, "scenario-server-drained")


class TestRedis:
    def test_that_stands_still_stops_neither_changes_nor_saves(
        self, acme: Seed, api: Api, sign_in: Open, operator: Seed, word: str, stack: Running
    ) -> None:
        ticket = api.create(acme["sites"][0], word)
        page = live(sign_in(operator, path=f"/?q={word}"))
        expect(row(page, ticket)).to_have_count(1)
        redis = stack.state()["pids"]["redis"]

        os.kill(redis, signal.SIGSTOP)
        try:
            row(page, ticket).locator("[data-acknowledge]").click()
            expect(page.locator(".toast[data-kind=done]").last).to_contain_text(
                "acknowledged", timeout=BACK_MS
            )
            api.patch(f"tickets/{ticket['id']}/", {"priority": "LOW"})
            expect(row(page, ticket)).to_have_attribute("data-priority", "LOW", timeout=BACK_MS)
            shoot(page, "scenario-redis-stopped")
        finally:
            os.kill(redis, signal.SIGCONT)

        api.move_on(ticket, "ON_HOLD")
        expect(row(page, ticket)).to_have_attribute("data-status", "ON_HOLD", timeout=BACK_MS)
        live_again(page)


class TestSession:
    def test_that_was_ended_by_somebody_freezes_the_page_and_keeps_what_was_typed(
        self, acme: Seed, api: Api, sign_in: Open, operator: Seed, word: str, stack: Running
    ) -> None:
        ticket = api.create(acme["sites"][0], word)
        page = live(sign_in(operator, path=f"/?q={word}"))
        row(page, ticket).locator("[data-open]").click()
        page.locator("#comment").fill("half a sentence")
        (key,) = [c["value"] for c in page.context.cookies() if c["name"] == "sessionid"]

        with psycopg.connect(stack["database_url"]) as database:
            database.execute("DELETE FROM django_session WHERE session_key = %s", [key])

        expect(page.locator("#state-word")).to_have_text("Signed out", timeout=BACK_MS)
        expect(page.locator("body")).to_have_attribute("data-feed", "stale")
        assert page.title().startswith("Signed out")
        witness = live(sign_in(operator, path=f"/?q={word}"))
        api.move_on(ticket, "RESOLVED")
        expect(row(witness, ticket)).to_have_attribute("data-status", "RESOLVED", timeout=LIVE_MS)
        expect(row(page, ticket)).to_have_attribute("data-status", "NEW")
        expect(page.locator("#state-age")).to_contain_text("as of")
        expect(page.locator("#comment")).to_have_value("half a sentence")
        page.locator(".comment-box button").click()
        expect(page.locator(".comment-box .refusal")).to_contain_text(
            "session has ended", timeout=LIVE_MS
        )
        expect(page.locator("#comment")).to_have_value("half a sentence")
        shoot(page, "scenario-session-ended")


class TestBackground:
    def test_page_draws_nothing_until_it_is_looked_at_and_then_once(
        self, acme: Seed, api: Api, sign_in: Open, operator: Seed, word: str, stack: Running
    ) -> None:
        tickets = open_many(stack, acme["sites"][0], word, 50)
        page = live(sign_in(operator, path=f"/?q={word}"))
        expect(page.locator("tr[data-ticket]")).to_have_count(50, timeout=LIVE_MS)
        look(page, hidden=True)
        page.evaluate(DRAWS)

        for number in range(1, 11):
            change_all(stack, word, "description = %s", f"{word} round {number}")
        marked = api.create(acme["sites"][0], f"{word} last", "CRITICAL")
        # What goes on beside the list tells that all of it has come.
        expect(page.locator("#activity")).to_contain_text(
            f"{marked['ticket_no']} opened", timeout=LIVE_MS
        )
        assert page.evaluate("window.draws") == 0

        look(page, hidden=False)

        expect(row(page, marked)).to_have_count(1, timeout=LIVE_MS)
        assert shown_ids(page)[0] == marked["id"]
        for ticket in tickets:
            expect(row(page, {"id": ticket}).locator("td.description")).to_have_text(
                f"{word} round 10"
            )
        assert page.evaluate("window.draws") <= 5  # of 501 events; the ages are drawn anew too
        assert page.evaluate("window.neverReloaded")


DRAWS = """
window.draws = 0;
new MutationObserver(() => { window.draws += 1; })
  .observe(document.getElementById("list-view"),
           { childList: true, characterData: true, subtree: true });
"""


def look(page: Page, *, hidden: bool) -> None:
    """Say to the page that nobody sees it: a headless browser shows all of its pages."""
    page.evaluate(
        """hidden => {
          Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


class TestFlood:
    def test_of_5000_events_moves_nothing_under_who_reads(
        self, acme: Seed, api: Api, sign_in: Open, operator: Seed, word: str, stack: Running
    ) -> None:
        site = acme["sites"][0]
        open_many(stack, site, word, 400)
        page = live(sign_in(operator, path=f"/?q={word}"))
        expect(page.locator("tr[data-ticket]")).to_have_count(300, timeout=LIVE_MS)
        page.wait_for_function("document.querySelector('#pager').textContent.includes('of 400')")
        page.evaluate("scrollTo(0, 3000)")
        page.wait_for_function("scrollY === 3000")
        page.evaluate("window.kept = [...document.querySelectorAll('tr[data-ticket]')]")
        before, top = shown_ids(page), page.evaluate(TOP)

        for number in range(1, 13):
            change_all(stack, word, "description = %s", f"{word} round {number}")
        new = open_many(stack, site, word, 200)

        expect(page.locator("#held")).to_have_text("200 new", timeout=BACK_MS)
        page.wait_for_function(
            "text => kept.every(row => row.querySelector('td.description').textContent === text)",
            arg=f"{word} round 12",
            timeout=LIVE_MS,
        )
        assert page.evaluate(TOP) == pytest.approx(top, abs=1)  # pixels
        assert shown_ids(page) == before
        assert page.evaluate(
            "[...document.querySelectorAll('tr[data-ticket]')].every((row, n) => row === kept[n])"
        )
        shoot(page, "scenario-5000-events")

        page.locator("#held").click()

        expect(row(page, {"id": new[-1]})).to_have_count(1, timeout=LIVE_MS)
        assert set(shown_ids(page)[:200]) == set(new)
        assert len(shown_ids(page)) == 300
        assert page.evaluate("scrollY") == 0
        counts = api.get("tickets/counts/", q=word)
        assert counts["total"] == 600
        expect(page.locator("[data-counter=all] b")).to_have_text("600", timeout=LIVE_MS)
        expect(page.locator("[data-counter=NEW] b")).to_have_text("600")
        expect(page.locator("#counts-note")).to_have_count(0, timeout=BACK_MS)
        shoot(page, "scenario-5000-events-let-in")
        page.mouse.move(5, 5)
        change_all(stack, word, "status = 'CLOSED'")
        expect(page.locator("#empty")).to_be_visible(timeout=LIVE_MS)


# Where the row stands that is read.
TOP = "kept[150].getBoundingClientRect().top"


@pytest.fixture
def ugly_names(stack: Running, acme: Seed, operator: Seed) -> Iterator[dict[str, str]]:
    """Everything that has a name is called what nobody should be called; put back at the end."""
    names: list[tuple[str, str, Any, str]] = [
        ("auth_user", "first_name", ("username", operator["username"]), f"U {UGLY}"[:150]),
        ("tenancy_site", "name", ("id", acme["sites"][0]["id"]), f"S {UGLY}"[:100]),
        ("tenancy_tenant", "name", ("id", acme["id"]), f"T {UGLY}"[:100]),
    ]
    given: dict[str, str] = {}
    was: list[tuple[str, list[Any]]] = []
    with psycopg.connect(stack["database_url"], autocommit=True) as database:
        try:
            for table, field, (key, value), name in names:
                where = f"{key} = %s"
                (old,) = database.execute(
                    f"SELECT {field} FROM {table} WHERE {where}", [value]
                ).fetchall()[0]
                change = f"UPDATE {table} SET {field} = %s WHERE {where}"
                was.append((change, [old, value]))
                database.execute(change, [name, value])
                given[table] = name
            yield given
        finally:
            for change, values in was:
                database.execute(change, values)


class TestHostileText:
    def test_is_text_in_every_field_that_reaches_the_page(
        self,
        acme: Seed,
        api: Api,
        sign_in: Open,
        operator: Seed,
        word: str,
        ugly_names: dict[str, str],
    ) -> None:
        site = acme["sites"][0]
        page = live(sign_in(operator, path=f"/?q={word}"))
        ticket = api.create(site, f"{word} {UGLY}", "CRITICAL")
        expect(row(page, ticket).locator("td.description")).to_have_text(
            shown(f"{word} {UGLY}"), timeout=LIVE_MS
        )
        row(page, ticket).locator("[data-open]").click()
        api.post(f"tickets/{ticket['id']}/comments/", {"text": f"comment {UGLY}"})
        api.patch(f"tickets/{ticket['id']}/", {"assigned_to_id": api.get("auth/me/")["user"]["id"]})
        api.post(f"tickets/{ticket['id']}/acknowledge/", {})
        api.post(f"tickets/{ticket['id']}/status/", {"status": "ON_HOLD", "note": f"why {UGLY}"})
        seen = {"site_id": site["id"], "severity": "CRITICAL"}
        api.post("noc/findings/", {**seen, "title": f"{word} finding {UGLY}"[:200]})
        anomaly = {"metric": f"{word} metric {UGLY}"[:200], "observed": 1e9, "expected": 1}
        api.post("noc/anomalies/", {**seen, **anomaly})
        view = api.post(
            "noc/views/", {"name": f"{word} {UGLY}"[:100], "query": f"q={word}", "shared": False}
        )

        activity, panel = page.locator("#activity"), page.locator("#panel")
        expect(activity).to_contain_text(f"metric {HOSTILE}", timeout=LIVE_MS)
        expect(activity).to_contain_text(f"finding: {word} finding {HOSTILE}")
        expect(activity).to_contain_text(f"comment {HOSTILE}")
        expect(activity).to_contain_text(f"acknowledged by U {HOSTILE}")
        expect(panel.locator(".timeline")).to_contain_text(f"comment {HOSTILE}", timeout=LIVE_MS)
        expect(panel.locator(".timeline")).to_contain_text(f"why {HOSTILE}", timeout=LIVE_MS)
        expect(panel.locator(".facts")).to_contain_text(f"S {HOSTILE}")
        expect(row(page, ticket).locator("td.site_name")).to_contain_text(f"S {HOSTILE}")
        expect(row(page, ticket).locator("td.assigned_to")).to_contain_text(f"U {HOSTILE}")
        is_clean(page, ugly_names)
        shoot(page, "scenario-hostile-panel")

        page.reload()  # the same from the snapshot and the timeline
        live(page)
        expect(panel.locator(".timeline")).to_contain_text(f"why {HOSTILE}", timeout=LIVE_MS)
        expect(panel.locator(".related")).to_contain_text(f"finding {HOSTILE}")
        expect(panel.locator(".related")).to_contain_text(f"metric {HOSTILE}")
        page.locator("#saved summary").click()
        expect(page.locator("#saved")).to_contain_text(f"{word} <script>", timeout=LIVE_MS)
        shoot(page, "scenario-hostile-view")
        page.keyboard.press("Escape")
        is_clean(page, ugly_names)
        for path, place, text in (
            ("/?kind=finding", "tr[data-sighting]", f"{word} finding {HOSTILE}"),
            ("/?kind=anomaly", "tr[data-sighting]", f"{word} metric {HOSTILE}"),
            ("/?view=sites", f".tile[data-site='{site['id']}']", f"S {HOSTILE}"),
            ("/?view=charts", ".chart", "Tickets"),
        ):
            page.goto(page.url.partition("?")[0] + path[1:])
            live(page)
            expect(page.locator(place).first).to_contain_text(text, timeout=LIVE_MS)
            is_clean(page, ugly_names)
            shoot(page, f"scenario-hostile-{path.rpartition('=')[2]}")
        page.set_viewport_size(PHONE)
        page.goto(page.url.partition("?")[0] + f"?q={word}")
        live(page)
        expect(row(page, ticket)).to_contain_text(f"S {HOSTILE}", timeout=LIVE_MS)
        status, age = (
            row(page, ticket).locator(f"td.{name}").bounding_box() for name in ("status", "age")
        )
        assert status is not None
        assert age is not None
        assert status["x"] + status["width"] <= age["x"]
        is_clean(page, ugly_names)
        shoot(page, "scenario-hostile-phone")
        page.evaluate(
            """id => fetch(`/api/v1/noc/views/${id}/`, {method: "DELETE", headers:
               {"X-CSRFToken": document.querySelector("[name=csrfmiddlewaretoken]").value}})""",
            view["id"],
        )

    def test_is_not_cut_within_a_sign(
        self, acme: Seed, api: Api, sign_in: Open, operator: Seed, word: str
    ) -> None:
        text = f"{word} ".ljust(199, "x") + "\U0001f600\U0001f600"
        ticket = api.create(acme["sites"][0], text)
        page = live(sign_in(operator, path=f"/?q={word}"))
        cell = row(page, ticket).locator("td.description")
        expect(cell).to_have_text(text[:200])

        # The answer to a write has the whole text, and the page cuts it as the server does.
        row(page, ticket).locator("[data-menu]").click()
        page.locator("#sheet [data-choice=IN_PROGRESS]").click()

        expect(page.locator(".toast[data-kind=done]").last).to_contain_text(
            "set to In progress", timeout=LIVE_MS
        )
        expect(cell).to_have_text(text[:200])


def shown(text: str) -> str:
    """What a row shows of a description."""
    return text[:200]


def is_clean(page: Page, names: dict[str, str]) -> None:
    """Nothing of the text became markup, title and width are as they should be."""
    assert page.locator("img[src=x]").count() == 0
    assert page.evaluate("[...document.scripts].every(s => s.src || s.type === 'importmap')"), (
        "a script without an address"
    )
    assert "owned" not in page.title().replace(names["tenancy_tenant"], "")
    assert page.title().endswith(" · NOC")
    assert page.locator("#state").evaluate(
        "e => document.getElementById('state-word').getBoundingClientRect().right"
        " <= e.getBoundingClientRect().right + 1"
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url
