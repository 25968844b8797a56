"""Dead letters, replays and lanes in real browsers, against a running instance."""

import json
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.running import Running, eventually

ARTIFACTS = Path(__file__).resolve().parents[2] / "test-artifacts"
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"alert(1)\"> {{7*7}} \u202e"
TRACEBACK = 'Traceback (most recent call last):\n  File "sink.py", line 3\nTimeoutError'
WAIT_MS = 20_000
Seed = dict[str, Any]
Open = Callable[..., Page]

PUBLISH = """
INSERT INTO outbox_message (lane, stream, type, subject, payload, context)
SELECT outbox_lane_of(%(stream)s), %(stream)s, %(type)s, %(subject)s, %(payload)s::jsonb,
       '{"request_id": "req-e2e-1", "actor": "user:1"}'
  FROM generate_series(1, %(count)s)
"""
ROOT = """
from django.contrib.auth.models import User
User.objects.filter(username="root-e2e").exists() or User.objects.create_superuser(
    "root-e2e", password="correct-horse-battery")
"""


class Outbox:
    """Writes into the running instance, as any program may, and looks what became of it."""

    def __init__(self, stack: Running) -> None:
        self._url = stack["database_url"]

    def one(self, query: str, *params: Any) -> Any:
        with psycopg.connect(self._url) as database:
            row = database.execute(query, params).fetchone()
            return row[0] if row else None

    def die(self, tenant: Seed, kind: str, *, count: int = 1, subject: str = "thing:1") -> int:
        """Publish events of a type that nobody knows; return the id of the newest dead letter."""
        with psycopg.connect(self._url) as database:
            payload = {"site_id": tenant["sites"][0]["id"], "said": HOSTILE, "deep": {"a": [1, 2]}}
            database.execute(
                PUBLISH,
                {
                    "stream": f"tenant:{tenant['id']}",
                    "type": kind,
                    "subject": subject,
                    "payload": json.dumps(payload),
                    "count": count,
                },
            )
        filed = "SELECT count(*) FROM outbox_dead_letter WHERE type = %s"
        eventually(lambda: self.one(filed, kind) == count, seconds=30)
        newest: int = self.one("SELECT max(id) FROM outbox_dead_letter WHERE type = %s", kind)
        return newest

    def bury(self, tenant: Seed) -> int:
        """File a delivered event as the sink's failure, as the relay would; return its id."""
        with psycopg.connect(self._url) as database:
            row = database.execute(
                """
                INSERT INTO outbox_dead_letter
                  (event_id, stream, seq, epoch, type, subject, payload, context, schema_version,
                   occurred_at, recorded_at, sink, reason, error, fingerprint, attempts)
                SELECT e.event_id, e.stream, e.seq, s.epoch, e.type, e.subject, e.payload,
                       e.context, e.schema_version, e.occurred_at, e.recorded_at, 'sink',
                       'sink_error', 'TimeoutError: the gateway did not answer within 5 s',
                       'b0b0b0b0b0b0', 3
                  FROM event_log e JOIN outbox_stream s ON s.name = e.stream
                 WHERE e.stream = %(stream)s AND e.type = 'finding_created'
                   AND NOT EXISTS (SELECT FROM outbox_dead_letter d WHERE d.event_id = e.event_id)
                 ORDER BY e.seq DESC LIMIT 1
                RETURNING id, event_id, stream, seq
                """,
                {"stream": f"tenant:{tenant['id']}"},
            ).fetchone()
            assert row is not None
            letter_id, event_id, stream, seq = row
            for number in (1, 2, 3):
                database.execute(
                    """
                    INSERT INTO outbox_attempt (event_id, stream, seq, number, reason, started_at,
                                                duration_ms, worker, error, traceback)
                    VALUES (%s, %s, %s, %s, 'sink_error', clock_timestamp(), 5003.2, 'noc-1:4711',
                            'TimeoutError: the gateway did not answer within 5 s',
                            %s)
                    """,
                    [event_id, stream, seq, number, TRACEBACK],
                )
        return int(letter_id)

    def finding(self, tenant: Seed) -> None:
        """Find something wrong at the tenant, and wait until it is in the log."""
        with psycopg.connect(self._url) as database:
            title = f"e2e {uuid.uuid4()}"
            database.execute(
                "INSERT INTO noc_finding (tenant_id, site_id, title, severity)"
                " VALUES (%s, %s, %s, 'HIGH')",
                [tenant["id"], tenant["sites"][0]["id"], title],
            )
        found = "SELECT count(*) FROM event_log WHERE payload->>'title' = %s"
        eventually(lambda: self.one(found, title) == 1, seconds=30)


@pytest.fixture
def outbox(stack: Running, seed: Seed) -> Outbox:
    return Outbox(stack)


@pytest.fixture
def superuser(stack: Running) -> Seed:
    stack.manage("shell", "-v0", "-c", ROOT)
    return {"username": "root-e2e", "password": "correct-horse-battery"}


def admin_of(tenant: Seed) -> Seed:
    return next(user for user in tenant["users"] if "tenant:admin" in user["capabilities"])


@pytest.fixture
def enter(browser: Browser, stack: Running) -> Iterator[Open]:
    """Opens a page of the admin site as a user; fails the test on any script error or refusal."""
    contexts, troubles = [], []

    def open_page(user: Seed, path: str = "", **options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda said: said.type == "error" and troubles.append(said.text))
        page.on("dialog", lambda dialog: troubles.append(dialog.message) or dialog.dismiss())
        page.goto(f"{stack['http']}/admin/login/?{urlencode({'next': f'/admin/{path}'})}")
        page.get_by_label("Username").fill(user["username"])
        page.get_by_label("Password").fill(user["password"])
        page.get_by_role("button", name="Log in").click()
        return page

    yield open_page
    for context in contexts:
        context.close()
    # A page that is refused on purpose is an error of the network in the console.
    assert [each for each in troubles if not each.startswith("Failed to load resource")] == []


def shoot(page: Page, name: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True)


def tile(page: Page, name: str) -> Any:
    return page.locator(f"[data-tile={name}] strong")


def fits(page: Page) -> bool:
    return bool(page.evaluate("document.documentElement.scrollWidth <= innerWidth"))


class TestDeadLetters:
    def test_are_found_by_cause_looked_at_and_replayed(
        self, stack: Running, acme: Seed, outbox: Outbox, enter: Open
    ) -> None:
        outbox.finding(acme)
        outbox.die(acme, "e2e_unknown", count=12)
        buried = outbox.bury(acme)
        page = enter(admin_of(acme), "outbox/deadletter/")
        expect(tile(page, "dead")).not_to_have_text("0")
        expect(tile(page, "timer")).to_contain_text("ago", timeout=WAIT_MS)
        expect(tile(page, "sweep")).to_contain_text("ago")
        shoot(page, "dead-letters-light")

        page.get_by_role("link", name="Causes").click()
        expect(page.get_by_text("12 events, one cause")).to_be_visible()
        shoot(page, "causes-light")
        page.locator("li", has_text="gateway").get_by_role("link", name="one cause").click()
        expect(page.locator("#result_list tbody tr")).to_have_count(1)
        page.locator("#result_list tbody th a").click()

        expect(page.locator(".attempt")).to_have_count(3)
        page.locator(".attempt summary").first.click()
        expect(page.locator(".attempt pre").first).to_contain_text("sink.py")
        expect(page.locator(".payload")).to_contain_text("finding_id")
        expect(page.get_by_text("A replay would send it again now")).to_be_visible()
        shoot(page, "dead-letter-light")

        page.get_by_role("link", name="Replay or discard").click()
        expect(tile(page, "ready")).to_have_text("1")
        assert outbox.one("SELECT state FROM outbox_dead_letter WHERE id = %s", buried) == "dead"
        shoot(page, "dry-run-light")
        page.get_by_label("Reason").fill("The gateway answers again")
        page.get_by_role("button", name="Replay 1 event").click()

        expect(page.locator("#progress")).to_have_attribute("data-state", "done", timeout=WAIT_MS)
        expect(tile(page, "replayed")).to_have_text("1")
        expect(page.get_by_text("The gateway answers again")).to_be_visible()
        shoot(page, "replay-done-light")
        again = (
            "SELECT count(*) FROM event_log e JOIN outbox_dead_letter d"
            " ON e.stream = d.stream AND e.replay_of = d.seq WHERE d.id = %s"
        )
        eventually(lambda: outbox.one(again, buried) == 1, seconds=30)
        page.get_by_role("link", name="Each event").click()
        expect(page.locator("#content tbody tr")).to_have_count(1)
        expect(page.get_by_role("cell", name="replayed")).to_be_visible()
        page.goto(f"{stack['http']}/admin/outbox/replay/")
        expect(page.get_by_role("row", name=re.compile("gateway answers"))).to_be_visible()
        shoot(page, "replays-light")

    def test_show_the_progress_without_a_reload_and_are_cancelled(
        self, acme: Seed, outbox: Outbox, enter: Open
    ) -> None:
        outbox.die(acme, "e2e_slow", count=30)
        page = enter(admin_of(acme), "outbox/deadletter/?type=e2e_slow")
        page.get_by_role("link", name="Replay all 30 that match").click()
        expect(page.get_by_text("30 the type 'e2e_slow' is unknown")).to_be_visible()
        page.get_by_label("Discard without sending").check()
        page.get_by_role("button", name="Look again").click()
        expect(tile(page, "ready")).to_have_text("30")
        page.get_by_label("Reason").fill("Of a release that was taken back")
        page.get_by_label("Events per second").fill("2")
        page.get_by_role("button", name="Discard 30 events").click()

        done = page.locator("[data-count=discarded]")
        expect(page.locator("#progress")).to_have_attribute("data-state", "running")
        page.evaluate("window.neverReloaded = true")
        expect(done).not_to_have_text("0", timeout=WAIT_MS)
        first = done.inner_text()
        expect(done).not_to_have_text(first, timeout=WAIT_MS)
        assert page.evaluate("window.neverReloaded")
        shoot(page, "replay-running-light")
        page.get_by_role("button", name="Cancel the rest").click()

        expect(page.locator("#progress")).to_have_attribute("data-state", "cancelled")
        expect(page.get_by_text("stays sent")).to_be_visible()
        left = "SELECT count(*) FROM outbox_dead_letter WHERE type = 'e2e_slow' AND state = 'dead'"
        assert 0 < outbox.one(left) < 30

    def test_of_a_stale_page_are_shown_anew(self, acme: Seed, outbox: Outbox, enter: Open) -> None:
        outbox.die(acme, "e2e_stale")
        page = enter(admin_of(acme), "outbox/deadletter/replay/?type=e2e_stale&action=discard")
        expect(tile(page, "total")).to_have_text("1")
        outbox.one(
            "WITH made AS (INSERT INTO outbox_message (lane, stream, type, subject, payload)"
            " VALUES (outbox_lane_of(%s), %s, 'e2e_stale', 'x', '{}') RETURNING 1)"
            " SELECT 1 FROM made",
            f"tenant:{acme['id']}",
            f"tenant:{acme['id']}",
        )
        count = "SELECT count(*) FROM outbox_dead_letter WHERE type = 'e2e_stale'"
        eventually(lambda: outbox.one(count) == 2, seconds=30)

        page.get_by_label("Reason").fill("gone")
        page.get_by_role("button", name="Discard 1 event").click()

        expect(page.get_by_role("alert")).to_contain_text("Nothing was started")
        expect(tile(page, "total")).to_have_text("2")
        expect(page.get_by_label("Reason")).to_have_value("gone")
        shoot(page, "dry-run-stale-light")

    def test_show_hostile_text_as_text(self, acme: Seed, outbox: Outbox, enter: Open) -> None:
        letter = outbox.die(acme, f"{HOSTILE[:70]}{uuid.uuid4()}", subject=HOSTILE)
        page = enter(admin_of(acme), f"outbox/deadletter/{letter}/change/")

        expect(page.locator(".payload")).to_contain_text("<script>document.title=")
        assert page.locator(".payload *").count() == 0
        for path in ("", "causes/", f"replay/?ids={letter}"):
            page.goto(f"{page.url.split('/admin/')[0]}/admin/outbox/deadletter/{path}")
            assert page.locator("#content img").count() == 0
            assert "owned" not in page.title()

    def test_are_not_seen_by_the_admin_of_another_tenant(
        self, stack: Running, acme: Seed, other: Seed, outbox: Outbox, enter: Open
    ) -> None:
        letter = outbox.die(acme, "e2e_private")
        stream = f"tenant:{acme['id']}"
        page = enter(admin_of(other), "outbox/deadletter/?state=all")
        expect(page.locator("#changelist")).to_be_visible()

        expect(tile(page, "dead")).to_have_text("0")
        assert "e2e_private" not in page.content()
        assert stream not in page.content()
        shoot(page, "dead-letters-of-another-tenant")
        asked = outbox.one("SELECT max(id) FROM outbox_replay WHERE stream = %s", stream) or 1
        for path in (
            f"deadletter/{letter}/change/",
            f"replay/{asked}/change/",
            f"replay/{asked}/items/",
            f"replay/{asked}/progress/",
        ):
            answer = page.goto(f"{stack['http']}/admin/outbox/{path}")
            assert answer is not None
            assert answer.status == 404, path
            assert "e2e_private" not in page.content()
        page.goto(f"{stack['http']}/admin/outbox/deadletter/replay/?ids={letter}")
        expect(tile(page, "total")).to_have_text("0")
        answer = page.goto(f"{stack['http']}/admin/outbox/lane/")
        assert answer is not None
        assert answer.status == 403

    def test_can_be_read_in_the_dark_and_on_a_phone(
        self, stack: Running, acme: Seed, outbox: Outbox, enter: Open
    ) -> None:
        letter = outbox.die(acme, "e2e_looks", count=3)
        places = {
            "dead-letters": "deadletter/",
            "dead-letter": f"deadletter/{letter}/change/",
            "causes": "deadletter/causes/",
            "dry-run": "deadletter/replay/?type=e2e_looks",
            "delivered": "replay/delivered/",
            "replays": "replay/",
        }
        dark = enter(admin_of(acme), color_scheme="dark")
        phone = enter(
            admin_of(acme), is_mobile=True, has_touch=True, viewport={"width": 390, "height": 844}
        )
        for name, path in places.items():
            dark.goto(f"{stack['http']}/admin/outbox/{path}")
            shoot(dark, f"{name}-dark")
            phone.goto(f"{stack['http']}/admin/outbox/{path}")
            shoot(phone, f"{name}-phone")
            assert fits(phone), name


class TestLanes:
    def test_are_paused_and_resumed_by_the_superuser(
        self, stack: Running, superuser: Seed, outbox: Outbox, enter: Open
    ) -> None:
        page = enter(superuser, "outbox/lane/")
        lane = page.locator("tr[data-lane='5']")
        expect(lane.locator(".state")).to_have_text("running")

        lane.get_by_role("link", name="Pause").click()
        page.get_by_label("Reason").fill("Redis is being moved")
        page.get_by_role("button", name="Pause lane 5").click()
        expect(page.locator(".banner")).to_contain_text("Paused since")
        expect(page.locator(".banner")).to_contain_text("by root-e2e: Redis is being moved")
        shoot(page, "lane-paused-light")
        page.goto(f"{stack['http']}/admin/outbox/lane/")
        expect(lane.locator(".state")).to_contain_text("paused since")
        shoot(page, "lanes-light")
        assert outbox.one("SELECT paused_at IS NOT NULL FROM outbox_lane WHERE lane = 5")

        lane.get_by_role("link", name="Resume").click()
        page.get_by_label("Reason").fill("It is there again")
        page.get_by_role("button", name="Resume lane 5").click()
        expect(page.locator(".banner")).to_have_text("Running")
        expect(page.get_by_role("cell", name="It is there again")).to_be_visible()
        assert outbox.one("SELECT paused_at IS NULL FROM outbox_lane WHERE lane = 5")
