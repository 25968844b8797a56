"""An audit export replayed into a running instance: in the log, and on an operator's screen."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, Page, expect

from tests import incident_oracle
from tests.e2e.running import NOC, Running, eventually

ARTIFACTS = Path(__file__).resolve().parents[2] / "test-artifacts"
LIVE_MS = 20_000
OF_THE_IMPORT = """
SELECT stream, seq, type, payload FROM event_log
 WHERE context ->> 'actor' = 'import:servicenow' ORDER BY stream, seq
"""
# Notes every status that a row of the page shows from now on.
NOTE_STATUSES = """() => {
  window.shown = {};
  const note = (row) => {
    if (!row.dataset?.status) return;
    const statuses = (window.shown[row.dataset.ticket] ??= []);
    if (statuses.at(-1) !== row.dataset.status) statuses.push(row.dataset.status);
  };
  const rows = document.querySelector("#rows");
  const observer = new MutationObserver((records) => {
    for (const { target, addedNodes } of records) [target, ...addedNodes].forEach(note);
  });
  observer.observe(rows, { subtree: true, childList: true, attributeFilter: ["data-status"] });
}"""


@pytest.fixture
def file() -> Path:
    path = incident_oracle.real_file()
    if path is None:
        pytest.skip("the audit export is not beside the checkout; NOC_INCIDENTS names one")
    return path


@pytest.fixture
def operator_page(browser: Browser, stack: Running, seed: dict[str, Any]) -> Iterator[Page]:
    """The live page of the operator of all sites of the first tenant."""
    user = next(user for user in seed["tenants"][0]["users"] if user["role"] == "operator")
    context = browser.new_context(viewport={"width": 1280, "height": 760})
    page = context.new_page()
    page.goto(f"{stack['http']}/")
    page.get_by_label("User name").fill(user["username"])
    page.get_by_label("Password").fill(user["password"])
    page.get_by_role("button", name="Sign in").click()
    expect(page.locator("#state")).to_have_attribute("data-state", "live", timeout=LIVE_MS)
    yield page
    context.close()


def replaying(stack: Running, file: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [NOC, "manage", "--data", stack.data, "replay_incidents", file, "--speed", "max", "--json"],
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def histories(stack: Running) -> dict[str, incident_oracle.History]:
    with psycopg.connect(stack["database_url"]) as database:
        rows = database.execute(OF_THE_IMPORT).fetchall()
    return incident_oracle.histories_of_log((type_, payload) for *_, type_, payload in rows)


def pending(stack: Running) -> int:
    with psycopg.connect(stack["database_url"]) as database:
        return database.execute("SELECT count(*) FROM outbox_message").fetchone()[0]


class TestReplay:
    @pytest.mark.timeout(600)
    def test_changes_rows_on_the_page_and_leaves_exactly_the_files_changes_in_the_log(
        self, stack: Running, file: Path, operator_page: Page
    ) -> None:
        page = operator_page
        page.evaluate("window.neverReloaded = true")
        page.evaluate(NOTE_STATUSES)

        process = replaying(stack, file)
        changed = "Object.values(window.shown).filter(statuses => statuses.length > 1).length"
        eventually(lambda: page.evaluate(changed) >= 20, seconds=120)
        ARTIFACTS.mkdir(exist_ok=True)
        page.screenshot(path=ARTIFACTS / "incidents-replay.png")
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        report = json.loads(out)
        (ARTIFACTS / "incidents-replay.json").write_text(json.dumps(report, indent=1))

        eventually(lambda: pending(stack) == 0, seconds=60)
        expected = incident_oracle.histories_of_file(file)
        assert histories(stack) == expected
        assert report["refused"] == 0

        # What the page showed of a ticket is its history, with nothing turned round.
        numbers = numbers_of_tickets(stack)
        for ticket, statuses in page.evaluate("window.shown").items():
            if number := numbers.get(int(ticket)):
                assert is_within(statuses, statuses_of(expected[number]))
        assert page.evaluate("window.neverReloaded")

        again = json.loads(stack.manage("replay_incidents", str(file), "--json").stdout)
        eventually(lambda: pending(stack) == 0, seconds=60)
        assert (again["tickets"], again["changes"], again["edits"]) == (0, 0, 0)
        assert histories(stack) == expected


def numbers_of_tickets(stack: Running) -> dict[int, str]:
    with psycopg.connect(stack["database_url"]) as database:
        found = database.execute(
            "SELECT id, split_part(ticket_no, '#', 2) FROM helpdesk_ticket"
            " WHERE split_part(ticket_no, '#', 2) LIKE 'INC%'"
        )
        return dict(found.fetchall())


def statuses_of(history: incident_oracle.History) -> list[str]:
    return [
        entry[1] if entry[0] == "created" else entry[2] for entry in history if entry[0] != "edited"
    ]


def is_within(part: list[str], whole: list[str]) -> bool:
    """Whether ``part`` is what is left of ``whole`` after leaving some out."""
    rest = iter(whole)
    return all(status in rest for status in part)
