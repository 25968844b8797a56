"""The views of the charts and of the sites, against a running instance."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from math import sin
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.e2e.board import LIVE_MS, PHONE, Api, Seed, live, shoot, user_of
from tests.e2e.running import Running, eventually

Open = Callable[..., Page]
AXE = Path(__file__).resolve().parents[2] / "node_modules/axe-core/axe.min.js"
CHARTS = "/?view=charts"
SITES = "/?view=sites"
MINUTE = timedelta(minutes=1)
BUCKETS = 52  # of a histogram of delays


@pytest.fixture
def quiet(seed: Seed) -> Seed:
    """A tenant of which no other test looks at the figures."""
    tenant: Seed = seed["tenants"][2]
    return tenant


def chart(page: Page, name: str) -> Locator:
    return page.locator(f"[data-chart='{name}']")


def cells(page: Page, name: str, at: datetime) -> list[str]:
    """Return what the table of the chart says of a step; the table is opened first."""
    place = chart(page, name)
    if place.get_by_role("button", name="Table", exact=True).count():
        place.get_by_role("button", name="Table", exact=True).click()
    row = place.locator(f"tr[data-at='{int(at.timestamp())}'] td")
    return row.all_inner_texts()


def wave_at(at: datetime) -> int:
    """What is kept of a minute: the same whenever it is written."""
    minute = at.timestamp() / 60
    return int(12 + 9 * sin(minute / 37) + 4 * sin(minute / 7))


def faults(page: Page, place: str) -> list[str]:
    """Return what axe finds amiss in a part of the page."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    ask = "at => axe.run(at).then(r => r.violations.map(v => `${v.id}: ${v.nodes[0].html}`))"
    found: list[str] = page.evaluate(ask, place)
    return found


def held(page: Page) -> dict[str, int]:
    """Return how many nodes and listeners the page holds, after what is garbage was collected."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    found = {
        each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]
    }
    session.detach()
    return {name: found[name] for name in ("Nodes", "JSEventListeners")}


def keep(stack: Running, tenant: Seed, *, until: datetime, minutes: int = 1_440) -> None:
    """Write a day of figures up to the minute ``until``, and no others: a wave, and an outage."""
    events, deliveries, samples, runs = [], [], [], []
    for back in range(minutes):
        at = until - back * MINUTE
        wave = wave_at(at)
        if 300 < back < 320:
            continue
        runs.append((at,))
        events.append((tenant["id"], at, tenant["sites"][0]["id"], wave, wave % 3, wave % 2))
        counts = [0] * BUCKETS
        counts[14 + wave % 3], counts[20 + wave // 3] = 90, 10
        deliveries.append((tenant["id"], at, counts))
        samples.append((tenant["sites"][0]["id"], at, wave, 9, 4 + wave % 2, 2))
    with psycopg.connect(stack["database_url"]) as database:
        cursor = database.cursor()
        for counted in ("noc_eventcount", "noc_deliverycount"):
            cursor.execute(f"DELETE FROM {counted} WHERE tenant_id = %s", [tenant["id"]])
        sites = [site["id"] for site in tenant["sites"]]
        cursor.execute("DELETE FROM noc_opensample WHERE site_id = ANY(%s)", [sites])
        for table, rows in (
            ("noc_eventcount (tenant_id, minute, site_id, ticket, finding, anomaly)", events),
            ("noc_deliverycount (tenant_id, minute, counts)", deliveries),
            ("noc_opensample (site_id, minute, new, in_progress, on_hold, resolved)", samples),
            ("noc_samplerun (minute)", runs),
        ):
            places = ", ".join(["%s"] * len(rows[0]))
            cursor.executemany(
                f"INSERT INTO {table} VALUES ({places}) ON CONFLICT DO NOTHING", rows
            )


class TestCharts:
    def test_show_what_the_log_has(
        self, stack: Running, acme: Seed, api: Api, sign_in: Open
    ) -> None:
        page = live(sign_in(user_of(acme), path=CHARTS))
        began = datetime.now(UTC).replace(second=0, microsecond=0)
        for _ in range(3):
            api.create(acme["sites"][0])
        ended = datetime.now(UTC)

        def recorded() -> dict[datetime, int]:
            query = """SELECT date_trunc('minute', recorded_at), count(*) FROM event_log
                        WHERE stream = %s AND type LIKE 'ticket%%'
                          AND recorded_at >= %s AND recorded_at < %s GROUP BY 1"""
            with psycopg.connect(stack["database_url"]) as database:
                found = database.execute(query, [f"tenant:{acme['id']}", began, ended + MINUTE])
                return dict(found.fetchall())

        def shown() -> bool:
            page.reload()
            expect(chart(page, "events").locator("canvas")).to_be_visible(timeout=LIVE_MS)
            return all(
                cells(page, "events", at)[0].replace(",", "") == str(count)
                for at, count in recorded().items()
            )

        eventually(lambda: sum(recorded().values()) >= 3, seconds=30)
        eventually(shown, seconds=60)
        # The page was live while they came, so they were delivered, and measured as such.
        eventually(lambda: shown() and "s" in cells(page, "delivery", began)[0], seconds=60)
        assert cells(page, "open", began)[0] != "-"

    def test_have_a_zone_ranges_keys_and_a_table(
        self, stack: Running, quiet: Seed, sign_in: Open
    ) -> None:
        until = datetime.now(UTC).replace(second=0, microsecond=0) - MINUTE
        keep(stack, quiet, until=until)
        for scheme in ("light", "dark"):
            page = live(sign_in(user_of(quiet), path=CHARTS, color_scheme=scheme))
            for name in ("events", "delivery", "open"):
                expect(chart(page, name).locator("canvas")).to_be_visible(timeout=LIVE_MS)
            page.get_by_role("button", name="6 h").click()
            expect(page.get_by_role("button", name="6 h")).to_have_attribute("aria-pressed", "true")
            expect(chart(page, "open").locator(".legend b").first).not_to_have_text("-")
            page.wait_for_load_state("networkidle")
            page.mouse.move(500, 300)
            shoot(page, f"charts-{scheme}")

        page.get_by_role("button", name="1 h").click()
        at = until - 10 * MINUTE
        wave = wave_at(at)
        expect(
            chart(page, "events").get_by_role("button", name="Table", exact=True)
        ).to_be_visible()
        eventually(
            lambda: cells(page, "events", at) == [f"{n}" for n in (wave, wave % 3, wave % 2)],
            seconds=20,
        )
        assert cells(page, "open", at) == [f"{n}" for n in (wave, 9, 4 + wave % 2, 2)]
        half, most = cells(page, "delivery", at)
        assert half.endswith(" ms")
        assert float(half.split()[0]) < 60 < float(most.split()[0])

        assert faults(page, "#charts-view") == []
        plot = chart(page, "events").locator(".plot")
        assert "Events per minute at" in (plot.get_attribute("aria-label") or "")
        plot.focus()
        plot.press("End")
        plot.press("ArrowLeft")
        expect(page.locator("#charts-view [role='status']").last).to_contain_text("Tickets")
        expect(chart(page, "events").locator(".legend .at")).not_to_be_empty()

    def test_fit_a_phone(self, stack: Running, quiet: Seed, sign_in: Open) -> None:
        keep(stack, quiet, until=datetime.now(UTC).replace(second=0, microsecond=0) - MINUTE)
        page = live(sign_in(user_of(quiet), path=CHARTS, is_mobile=True, has_touch=True))
        page.set_viewport_size(PHONE)
        expect(chart(page, "open").locator("canvas")).to_be_visible(timeout=LIVE_MS)

        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        eventually(
            lambda: page.evaluate("document.querySelector('.plot canvas').clientWidth <= 390"),
            seconds=10,
        )
        shoot(page, "charts-phone")

    def test_leave_nothing_behind(self, quiet: Seed, sign_in: Open) -> None:
        page = live(sign_in(user_of(quiet), path=CHARTS))

        def look(times: int) -> dict[str, int]:
            for _ in range(times):
                page.get_by_role("link", name="Charts").click()
                expect(page.locator("canvas")).to_have_count(3, timeout=LIVE_MS)
                page.get_by_role("link", name="Tickets").click()
                expect(page.locator("canvas")).to_have_count(0)
            return held(page)

        first = look(8)  # what is made once is there by then
        then = look(6)

        expect(page.locator("#charts-view")).to_be_hidden()
        assert then["JSEventListeners"] <= first["JSEventListeners"] + 10, (first, then)
        assert then["Nodes"] <= first["Nodes"] + 200, (first, then)

    def test_say_when_they_are_not_of_now(self, stack: Running, acme: Seed, sign_in: Open) -> None:
        page = live(sign_in(user_of(acme), path=CHARTS))
        expect(page.locator("canvas")).to_have_count(3, timeout=LIVE_MS)
        page.context.set_offline(True)
        page.get_by_role("button", name="24 h").click()

        expect(page.locator("#charts-view .refusal")).to_contain_text("not of now")
        expect(page.locator("canvas")).to_have_count(3)


class TestSites:
    def test_show_each_site_with_its_trouble_and_lead_to_its_tickets(
        self, stack: Running, quiet: Seed, sign_in: Open
    ) -> None:
        api = Api(stack, user_of(quiet, may="ticket:write"))
        bad, good = quiet["sites"][:2]
        for priority in ("CRITICAL", "HIGH", "HIGH", "LOW"):
            api.create(bad, priority=priority)
        api.create(good, priority="MEDIUM")
        page = live(sign_in(user_of(quiet), path=SITES))
        tile = page.locator(f".tile[data-site='{bad['id']}']")

        expect(tile).to_have_attribute("data-worst", "CRITICAL", timeout=LIVE_MS)
        expect(tile.locator(".worst")).to_have_text("Critical")
        before = int(tile.locator(".counts b").first.inner_text())
        open_now = api.get("noc/snapshot/")["tickets"]
        assert before == sum(ticket["site_id"] == bad["id"] for ticket in open_now)
        ids = [int(t.get_attribute("data-site") or 0) for t in page.locator(".tile").all()]
        assert ids.index(bad["id"]) < ids.index(good["id"])
        shoot(page, "sites-light")
        page.emulate_media(color_scheme="dark")
        shoot(page, "sites-dark")
        assert faults(page, "#sites-view") == []
        page.set_viewport_size(PHONE)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        shoot(page, "sites-phone")

        api.create(bad)
        expect(tile.locator(".counts b").first).to_have_text(str(before + 1), timeout=LIVE_MS)
        tile.focus()
        page.keyboard.press("Enter")
        expect(page.locator("#list-view")).to_be_visible()
        assert f"site={bad['id']}" in page.url
        shown: Any = page.locator("#rows tr[data-ticket] td.site_name")
        expect(shown.first).to_have_text(bad["name"])
        assert set(shown.all_inner_texts()) == {bad["name"]}

    def test_show_only_those_in_scope(self, acme: Seed, sign_in: Open) -> None:
        narrow = user_of(acme, all_sites=False)
        page = live(sign_in(narrow, path=SITES))

        expect(page.locator(".tile").first).to_be_visible(timeout=LIVE_MS)
        ids = {int(t.get_attribute("data-site") or 0) for t in page.locator(".tile").all()}
        assert ids <= set(narrow["sites"])
