"""What rings, in real browsers: their sound is real, and what was played is told by ``#alarms``."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import psycopg
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.board import (
    ARTIFACTS,
    LIVE_MS,
    PHONE,
    Api,
    Seed,
    change_all,
    live,
    new_word,
    open_many,
    row,
    shoot,
    user_of,
)
from tests.e2e.running import Running, eventually

Open = Callable[..., Page]
MINUTE_MS = 60_000
HOLDS_SOUND = """async () => {
  const { held } = await navigator.locks.query();
  return held.some(({ name }) => name.includes("sound"));
}"""


@pytest.fixture
def cobalt(seed: Seed) -> Seed:
    """A tenant where no other test opens critical tickets while these run."""
    tenant: Seed = seed["tenants"][2]
    return tenant


class Desk:
    """An operator's tenant, whose critical tickets are those of the test."""

    def __init__(self, stack: Running, tenant: Seed) -> None:
        self._stack = stack
        self.user = user_of(tenant)
        self.api = Api(stack, user_of(tenant, may="ticket:write"))
        self._site = tenant["sites"][0]
        self._made: list[Seed] = []

    def take_all(self) -> None:
        """Begin work on what other tests have left: it would ring on each page that is opened."""
        with psycopg.connect(self._stack["database_url"]) as database:
            database.execute(
                "UPDATE helpdesk_ticket SET status = 'IN_PROGRESS'"
                " WHERE status = 'NEW' AND tenant_id ="
                " (SELECT tenant_id FROM tenancy_site WHERE id = %s)",
                [self._site["id"]],
            )

    def open(self, priority: str = "CRITICAL") -> Seed:
        ticket = self.api.create(self._site, priority=priority)
        self._made.append(ticket)
        return ticket

    def raise_at_once(self, tickets: list[Seed]) -> None:
        """One transaction: their events come together."""
        self._raise(tickets, "SELECT")

    def raise_unheard(self, tickets: list[Seed]) -> None:
        """Without an event, as after a restore: only a snapshot shows it."""
        self._raise(tickets, "SELECT outbox_mute('a test')")

    def _raise(self, tickets: list[Seed], first: str) -> None:
        ids = [ticket["id"] for ticket in tickets]
        with psycopg.connect(self._stack["database_url"]) as database:
            database.execute(first)
            database.execute(
                "UPDATE helpdesk_ticket SET priority = 'CRITICAL' WHERE id = ANY(%s)", [ids]
            )

    def open_many(self, count: int, priority: str) -> None:
        """Open them as another program does it. They stay unacknowledged."""
        word = new_word()
        open_many(self._stack, self._site, word, count)
        change_all(self._stack, word, "priority = %s", priority)

    def find(self, severity: str) -> None:
        """Record a finding, as the monitoring does it."""
        with psycopg.connect(self._stack["database_url"]) as database:
            database.execute(
                "INSERT INTO noc_finding (tenant_id, site_id, title, severity)"
                " SELECT tenant_id, id, 'Loop', %s FROM tenancy_site WHERE id = %s",
                [severity, self._site["id"]],
            )

    def take(self, ticket: Seed) -> None:
        """Begin work: it is not new any more."""
        self.api.move_on(ticket, "IN_PROGRESS")
        self._made.remove(ticket)

    def clear(self) -> None:
        for ticket in list(self._made):
            self.take(ticket)


@pytest.fixture
def desk(stack: Running, cobalt: Seed) -> Iterator[Desk]:
    desk = Desk(stack, cobalt)
    desk.take_all()
    yield desk
    desk.clear()


def alarms(page: Page) -> Locator:
    return page.locator("#alarms")


def audible(page: Page) -> Page:
    """The page after the click that browsers ask for."""
    page.locator(".brand").click()
    expect(alarms(page)).to_have_attribute("data-state", "on")
    return page


def sign_in_again(page: Page, user: Seed) -> None:
    page.get_by_label("User name").fill(user["username"])
    page.get_by_label("Password").fill(user["password"])
    page.get_by_role("button", name="Sign in").click()


def settings(page: Page) -> Locator:
    popover = page.locator("#alarm-settings")
    if not popover.is_visible():
        page.locator(".alarm-state").click()
    expect(popover).to_be_visible()
    return popover


def cut(page: Page) -> None:
    """Take the network away. It comes back by ``set_offline(False)``."""
    page.context.set_offline(True)
    page.evaluate("dispatchEvent(new Event('pagehide'))")  # let go of the websocket, as if it broke
    expect(page.locator("#state")).to_have_attribute("data-state", "stale")


def rang(page: Page) -> int:
    return int(alarms(page).get_attribute("data-rang") or 0)


def sounded(page: Page) -> int:
    return int(alarms(page).get_attribute("data-sounded") or 0)


class TestSound:
    def test_waits_for_a_click_and_says_so(self, desk: Desk, sign_in: Open) -> None:
        first = live(sign_in(desk.user))
        page = first.context.new_page()
        first.close()
        page.goto(first.url)
        live(page)
        expect(alarms(page)).to_have_attribute("data-state", "blocked")
        expect(alarms(page)).to_contain_text("Sound needs a click")
        shoot(page, "alarms-blocked")

        audible(page)

        for level in ("CRITICAL", "HIGH", "MEDIUM", "LOW"):
            settings(page).locator(f"[data-level={level}] [data-test]").click()
            expect(alarms(page)).to_have_attribute("data-sounded-figure", level)
        assert sounded(page) == 4

    def test_that_waited_for_the_click_is_made_then(self, desk: Desk, sign_in: Open) -> None:
        first = live(sign_in(desk.user))
        settings(first).locator("[data-level=HIGH] input[type=checkbox]").check()
        page = first.context.new_page()
        first.close()
        page.goto(first.url)
        live(page)
        expect(alarms(page)).to_have_attribute("data-state", "blocked")
        desk.open("HIGH")
        expect(alarms(page)).to_have_attribute("data-rang", "1", timeout=LIVE_MS)
        expect(alarms(page)).to_have_attribute("data-rang-sound", "")

        audible(page)

        expect(alarms(page)).to_have_attribute("data-sounded", "1")
        expect(alarms(page)).to_have_attribute("data-sounded-figure", "HIGH")
        assert rang(page) == 2

    def test_is_made_once_for_a_burst_and_ends_with_the_acknowledgement(
        self, desk: Desk, sign_in: Open
    ) -> None:
        quiet = [desk.open("MEDIUM") for _ in range(3)]
        page = audible(live(sign_in(desk.user)))
        assert rang(page) == 0

        desk.raise_at_once(quiet)

        expect(alarms(page)).to_have_attribute("data-sounded", "1", timeout=LIVE_MS)
        expect(alarms(page)).to_have_attribute("data-rang-text", "3 new tickets, 3 critical")
        expect(alarms(page)).to_have_attribute("data-sounded-figure", "CRITICAL")
        expect(settings(page).locator("[data-repeating]")).to_have_count(3)
        for ticket in quiet:
            desk.take(ticket)
        expect(settings(page).locator("[data-repeating]")).to_have_count(0, timeout=LIVE_MS)
        assert rang(page) == 1

    def test_repeats_until_it_is_acknowledged(self, desk: Desk, sign_in: Open) -> None:
        page = sign_in(desk.user)
        live(page)
        page.clock.install()
        page.reload()
        audible(live(page))
        ticket = desk.open()
        expect(alarms(page)).to_have_attribute("data-sounded", "1", timeout=LIVE_MS)

        page.clock.fast_forward(2 * MINUTE_MS)

        expect(alarms(page)).to_have_attribute("data-rang-reason", "again", timeout=60_000)
        expect(alarms(page)).to_have_attribute(
            "data-rang-text", re.compile(f"Not acknowledged: .*{ticket['ticket_no']}")
        )
        expect(alarms(page)).to_have_attribute("data-sounded", "2", timeout=LIVE_MS)

    def test_comes_from_one_tab_only(self, desk: Desk, sign_in: Open) -> None:
        first = audible(live(sign_in(desk.user)))
        second = first.context.new_page()
        second.goto(first.url)
        live(second)
        second.locator(".brand").click()
        expect(alarms(second)).to_have_attribute("data-state", "elsewhere")

        desk.open()

        for page in (first, second):
            expect(alarms(page)).to_have_attribute("data-rang", "1", timeout=LIVE_MS)
        expect(alarms(first)).to_have_attribute("data-sounded", "1")
        assert sounded(second) == 0
        first.close()
        expect(alarms(second)).to_have_attribute("data-state", "on")
        desk.open()
        expect(alarms(second)).to_have_attribute("data-sounded", "1", timeout=LIVE_MS)

    def test_is_left_to_another_tab_when_the_page_has_ended(
        self, desk: Desk, sign_in: Open
    ) -> None:
        first = audible(live(sign_in(desk.user)))
        second = first.context.new_page()
        second.goto(first.url)
        live(second)

        with first.expect_response("**/auth/me/"):  # whether it goes on with another session
            second.get_by_role("button", name="Sign out").click()
        expect(first.locator("#state")).to_have_attribute("data-state", "signed-out")
        expect(alarms(first)).to_have_attribute("data-state", "ended")
        expect(first.locator(".alarm-state")).to_have_text("No sound: signed out")
        sign_in_again(second, desk.user)

        audible(live(second))
        desk.open()
        expect(alarms(second)).to_have_attribute("data-sounded", "1", timeout=LIVE_MS)
        assert sounded(first) == 0

    def test_is_made_once_for_all_that_the_browser_did_not_know(
        self, desk: Desk, sign_in: Open
    ) -> None:
        for _ in range(3):
            desk.open()
        desk.open("HIGH")

        page = live(sign_in(desk.user))

        expect(alarms(page)).to_have_attribute("data-rang", "1")
        expect(alarms(page)).to_have_attribute("data-rang-reason", "away")
        expect(alarms(page)).to_have_attribute("data-rang-sound", "CRITICAL")
        known = "JSON.parse(localStorage.getItem('noc.prefs'))['alarms.known']?.length"
        eventually(lambda: page.evaluate(known) == 3, seconds=20)
        page.reload()
        live(page)
        expect(alarms(page).locator(".alarm-state")).to_be_visible()
        assert rang(page) == 0  # what was known does not ring again

    def test_is_made_for_what_a_later_snapshot_shows_worse(
        self, desk: Desk, sign_in: Open, stack: Running
    ) -> None:
        ticket = desk.open("LOW")
        page = audible(live(sign_in(desk.user)))

        desk.raise_unheard([ticket])
        stack.manage("outbox_new_epoch", "--reason", "a test")

        expect(alarms(page)).to_have_attribute("data-rang", "1", timeout=LIVE_MS)
        expect(alarms(page)).to_have_attribute("data-rang-reason", "away")
        expect(alarms(page)).to_have_attribute("data-rang-text", re.compile(ticket["ticket_no"]))

    def test_follows_the_scope_or_on_demand_the_view(self, desk: Desk, sign_in: Open) -> None:
        page = audible(live(sign_in(desk.user, path="/?priority=CRITICAL")))
        desk.open("HIGH")
        expect(alarms(page)).to_have_attribute("data-rang", "1", timeout=LIVE_MS)
        before = page.title()

        settings(page).locator("[name=view-only]").check()
        desk.open("HIGH")
        expect(page).not_to_have_title(before, timeout=LIVE_MS)
        shown = desk.open()

        expect(alarms(page)).to_have_attribute("data-rang", "2", timeout=LIVE_MS)
        expect(alarms(page)).to_have_attribute("data-rang-text", re.compile(shown["ticket_no"]))

    def test_of_the_view_is_made_once_for_what_enters_it(self, desk: Desk, sign_in: Open) -> None:
        word = new_word()
        page = audible(live(sign_in(desk.user, path=f"/?q={word}")))
        settings(page).locator("[name=view-only]").check()
        before = page.title()
        ticket, other = desk.open("HIGH"), desk.open()
        expect(page).not_to_have_title(before, timeout=LIVE_MS)

        desk.api.patch(f"tickets/{ticket['id']}/", {"description": word})

        expect(alarms(page)).to_have_attribute("data-sounded-figure", "HIGH", timeout=LIVE_MS)
        expect(alarms(page)).to_have_attribute("data-rang-text", re.compile(ticket["ticket_no"]))
        expect(page.locator(f"[data-repeating='{other['id']}']")).to_have_count(0)
        page.get_by_role("searchbox", name="Find tickets").fill("")
        expect(alarms(page)).to_have_attribute("data-sounded-figure", "CRITICAL", timeout=LIVE_MS)
        expect(page.locator(f"[data-repeating='{other['id']}']")).to_have_count(1)
        assert rang(page) == 2

    def test_of_the_view_comes_from_each_tab_that_shows_it(
        self, desk: Desk, sign_in: Open, stack: Running
    ) -> None:
        first = audible(live(sign_in(desk.user, path="/?priority=HIGH")))
        second = first.context.new_page()
        second.goto(f"{stack['http']}/?priority=CRITICAL")
        live(second)
        second.locator(".brand").click()
        expect(alarms(second)).to_have_attribute("data-state", "elsewhere")

        settings(first).locator("[name=view-only]").check()
        expect(alarms(second)).to_have_attribute("data-state", "on")
        desk.open()

        expect(alarms(second)).to_have_attribute("data-sounded", "1", timeout=LIVE_MS)
        assert rang(first) == 0


class TestOutage:
    """Another page tells when the server has sent what came meanwhile."""

    def test_ends_with_one_ring_for_all_that_came(self, desk: Desk, sign_in: Open) -> None:
        page, other = (audible(live(sign_in(desk.user))) for _ in range(2))
        for each in (page, other):
            settings(each).locator("[name=sightings]").select_option("CRITICAL")
        cut(page)
        desk.open_many(40, "HIGH")
        desk.find("CRITICAL")
        expect(alarms(other)).to_have_attribute("data-rang-sound", "CRITICAL", timeout=LIVE_MS)

        page.context.set_offline(False)

        expect(alarms(page)).to_have_attribute("data-sounded", "1", timeout=LIVE_MS)
        expect(alarms(page)).to_have_attribute("data-sounded-figure", "CRITICAL")
        expect(alarms(page)).to_have_attribute("data-rang-reason", "away")
        expect(alarms(page)).to_have_attribute(
            "data-rang-text", "40 new tickets, 1 finding or anomaly, 1 critical"
        )
        desk.open("HIGH")
        expect(alarms(page)).to_have_attribute("data-rang-reason", "new", timeout=LIVE_MS)
        assert rang(page) == 2

    def test_swallows_no_sound_of_what_is_not_critical(self, desk: Desk, sign_in: Open) -> None:
        page, other = (audible(live(sign_in(desk.user))) for _ in range(2))
        cut(page)
        desk.open("HIGH")
        expect(alarms(other)).to_have_attribute("data-rang", "1", timeout=LIVE_MS)

        page.context.set_offline(False)

        expect(alarms(page)).to_have_attribute("data-sounded-figure", "HIGH", timeout=LIVE_MS)
        expect(alarms(page)).to_have_attribute("data-rang-reason", "away")


class TestMute:
    def test_is_seen_until_it_ends_and_then_what_stands_rings(
        self, desk: Desk, sign_in: Open
    ) -> None:
        page = live(sign_in(desk.user))
        page.clock.install()
        page.reload()
        audible(live(page))
        settings(page).locator("[data-mute='15']").click()
        expect(alarms(page)).to_have_attribute("data-state", "muted")
        expect(page.locator(".alarm-state")).to_contain_text("Muted until")
        shoot(page, "alarms-muted")

        desk.open()

        expect(alarms(page)).to_have_attribute("data-rang", "1", timeout=LIVE_MS)
        expect(alarms(page)).to_have_attribute("data-rang-sound", "")
        page.reload()  # it is kept
        audible_soon = live(page)
        expect(alarms(audible_soon)).to_have_attribute("data-state", "muted")
        page.locator(".brand").click()
        page.wait_for_function(HOLDS_SOUND)  # muted, the page does not say that it may sound
        page.clock.fast_forward(15 * MINUTE_MS)
        expect(alarms(page)).to_have_attribute("data-rang-reason", "again", timeout=60_000)
        expect(alarms(page)).to_have_attribute("data-sounded", "1", timeout=LIVE_MS)

    def test_lasts_until_it_is_turned_on(self, desk: Desk, sign_in: Open) -> None:
        page = audible(live(sign_in(desk.user)))
        settings(page).locator("[data-mute='on']").click()
        expect(page.locator(".alarm-state")).to_have_text("Muted")

        settings(page).get_by_role("button", name="Turn on").click()

        expect(alarms(page)).to_have_attribute("data-state", "on")

    def test_comes_with_quiet_hours_of_the_zone_that_they_were_set_in(
        self, desk: Desk, sign_in: Open
    ) -> None:
        page = audible(live(sign_in(desk.user, timezone_id="Asia/Tokyo")))
        now = datetime.now(ZoneInfo("Asia/Tokyo"))
        popover = settings(page)
        popover.locator("[name=quiet-from]").fill(f"{now - timedelta(hours=1):%H:%M}")
        popover.locator("[name=quiet-to]").fill(f"{now + timedelta(hours=1):%H:%M}")

        popover.locator("[name=quiet]").check()

        until = f"Quiet until {now + timedelta(hours=1):%H:%M} Asia/Tokyo"
        expect(page.locator(".alarm-state")).to_have_text(until)
        page.locator("#zone").click()
        expect(page.locator("#zone")).to_have_attribute("aria-pressed", "true")
        ticket = desk.open()
        known = "JSON.parse(localStorage.getItem('noc.prefs'))['alarms.known'] ?? []"
        eventually(lambda: page.evaluate(known) == [f"ticket:{ticket['id']}"], seconds=20)
        expect(page.locator(".alarm-state")).to_have_text(until)
        assert (rang(page), sounded(page)) == (0, 0)
        settings(page).locator("[name=quiet]").uncheck()
        expect(alarms(page)).to_have_attribute("data-sounded", "1", timeout=LIVE_MS)
        expect(alarms(page)).to_have_attribute("data-rang-reason", "again")
        assert rang(page) == 1


class TestSnooze:
    def test_of_one_ticket_ends_by_itself(self, desk: Desk, sign_in: Open) -> None:
        page = live(sign_in(desk.user))
        page.clock.install()
        page.reload()
        audible(live(page))
        ticket = desk.open()
        expect(alarms(page)).to_have_attribute("data-sounded", "1", timeout=LIVE_MS)

        settings(page).locator(f"[data-repeating='{ticket['id']}'] [data-snooze='15']").click()

        expect(settings(page).locator(f"[data-snoozed='{ticket['id']}']")).to_be_visible()
        expect(settings(page).locator(f"[data-repeating='{ticket['id']}']")).to_have_count(0)
        page.clock.fast_forward(16 * MINUTE_MS)
        expect(settings(page).locator(f"[data-snoozed='{ticket['id']}']")).to_have_count(0)
        expect(alarms(page)).to_have_attribute("data-rang-reason", "again", timeout=60_000)

    def test_lasts_over_a_reload(self, desk: Desk, sign_in: Open) -> None:
        page = live(sign_in(desk.user))
        page.clock.install()
        page.reload()
        audible(live(page))
        ticket = desk.open()
        expect(alarms(page)).to_have_attribute("data-sounded", "1", timeout=LIVE_MS)
        settings(page).locator(f"[data-repeating='{ticket['id']}'] [data-snooze='15']").click()
        snoozed = settings(page).locator(f"[data-snoozed='{ticket['id']}']")
        expect(snoozed).to_be_visible()

        page.reload()

        audible(live(page))
        settings(page)
        expect(snoozed).to_be_visible()
        expect(page.locator(f"[data-repeating='{ticket['id']}']")).to_have_count(0)
        page.clock.fast_forward(16 * MINUTE_MS)
        expect(alarms(page)).to_have_attribute("data-rang-reason", "again", timeout=60_000)

    def test_that_ended_since_it_got_worse_does_not_come_back(
        self, desk: Desk, sign_in: Open
    ) -> None:
        ticket = desk.open("MEDIUM")
        page = live(sign_in(desk.user))
        row(page, ticket).locator("[data-menu]").click()
        page.locator("#sheet [data-snooze='15']").click()
        stored = "Object.keys(JSON.parse(localStorage.getItem('noc.prefs'))['alarms.snoozed'])"
        assert page.evaluate(stored) == [f"ticket:{ticket['id']}"]

        desk.raise_at_once([ticket])

        expect(alarms(page)).to_have_attribute("data-rang", "1", timeout=LIVE_MS)
        eventually(lambda: page.evaluate(stored) == [], seconds=20)
        page.reload()
        live(page)
        expect(settings(page).locator(f"[data-repeating='{ticket['id']}']")).to_be_visible()

    def test_can_be_had_from_the_menu_of_a_row(self, desk: Desk, sign_in: Open) -> None:
        ticket = desk.open()
        page = live(sign_in(desk.user))
        row(page, ticket).locator("[data-menu]").click()

        page.locator("#sheet [data-snooze='15']").click()

        expect(settings(page).locator(f"[data-snoozed='{ticket['id']}']")).to_be_visible()


class TestNotification:
    def test_is_one_for_a_burst(self, desk: Desk, sign_in: Open, stack: Running) -> None:
        tickets = [desk.open("MEDIUM") for _ in range(2)]
        page = live(sign_in(desk.user))
        page.context.grant_permissions(["notifications"], origin=stack["http"])
        page.reload()
        live(page)

        desk.raise_at_once(tickets)

        expect(alarms(page)).to_have_attribute(
            "data-notified", "2 new tickets, 2 critical", timeout=LIVE_MS
        )


class TestTitle:
    def test_counts_what_is_unacknowledged_and_so_does_the_icon(
        self, desk: Desk, sign_in: Open
    ) -> None:
        page = live(sign_in(desk.user))
        icon = page.locator("link[rel=icon]")

        def count() -> int:
            found = re.match(r"\((\d+)\) ", page.title())
            return int(found[1]) if found else 0

        eventually(lambda: icon.get_attribute("data-count") == str(count()), seconds=20)
        before = count()
        ticket = desk.open()
        eventually(lambda: count() == before + 1, seconds=20)
        expect(icon).to_have_attribute("href", re.compile("^data:image/png"))
        expect(icon).to_have_attribute("data-look", "critical")
        zoomed(page, "favicon-critical")
        desk.take(ticket)
        eventually(lambda: count() == before, seconds=20)

    def test_says_when_the_page_is_stale(self, desk: Desk, sign_in: Open, stack: Running) -> None:
        page = live(sign_in(desk.user))
        web = stack.state()["pids"]["web"]

        os.kill(web, signal.SIGKILL)

        expect(page).to_have_title(re.compile("^Stale since .*NOC$"), timeout=LIVE_MS)
        expect(page.locator("link[rel=icon]")).to_have_attribute("data-look", "stale")
        zoomed(page, "favicon-stale")
        expect(page.locator("#state")).to_have_attribute("data-state", "live", timeout=90_000)
        expect(page).not_to_have_title(re.compile("Stale"))
        eventually(lambda: stack.state()["pids"]["web"] not in (None, web), seconds=60)


class TestSettings:
    @pytest.mark.parametrize("look", ["light", "dark", "phone"])
    def test_fit_into_their_popover(self, desk: Desk, sign_in: Open, look: str) -> None:
        ticket = desk.open()
        phone = {"is_mobile": True, "has_touch": True, "viewport": PHONE}
        options = phone if look == "phone" else {"color_scheme": look}
        page = audible(live(sign_in(desk.user, **options)))

        popover = settings(page)

        expect(popover.locator(f"[data-repeating='{ticket['id']}']")).to_be_visible()
        shoot(page, f"alarms-popover-{look}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert popover.evaluate("it => it.scrollWidth <= it.clientWidth")

    def test_are_kept(self, desk: Desk, sign_in: Open) -> None:
        page = live(sign_in(desk.user))
        critical = settings(page).locator("[data-level=CRITICAL]")
        critical.locator("input[type=number]").fill("7")
        critical.locator("input[type=checkbox]").uncheck()
        settings(page).locator("[data-level=LOW] select").select_option("once")

        page.reload()
        live(page)

        critical = settings(page).locator("[data-level=CRITICAL]")
        expect(critical.locator("input[type=number]")).to_have_value("7")
        expect(critical.locator("input[type=checkbox]")).not_to_be_checked()
        expect(settings(page).locator("[data-level=LOW] select")).to_have_value("once")


def zoomed(page: Page, name: str) -> None:
    """Keep the page's icon, large, as ``test-artifacts/NAME.png``."""
    href = page.locator("link[rel=icon]").get_attribute("href")
    other = page.context.new_page()
    other.set_content(f"<body style='margin:20px;background:#bbb'><img width=256 src='{href}'>")
    other.locator("img").screenshot(path=ARTIFACTS / f"{name}.png")
    other.close()
