"""The operators' page as tests use it: who signs in, what they do by the API, what they see."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psycopg
from playwright.sync_api import Locator, Page, WebSocketRoute, expect

from tests.e2e.running import Running

ARTIFACTS = Path(__file__).resolve().parents[2] / "test-artifacts"
HOSTILE = "<script>document.title='owned'</script><img src=x onerror=\"alert(1)\"> {{7*7}} \u202e"
LIVE_MS = 20_000
PHONE = {"width": 390, "height": 844}
Seed = dict[str, Any]


def user_of(tenant: Seed, *, all_sites: bool = True, may: str = "noc:view") -> Seed:
    """A user of the tenant who is no admin."""
    return next(
        user
        for user in tenant["users"]
        if may in user["capabilities"]
        and "tenant:admin" not in user["capabilities"]
        and (user["sites"] == "*") is all_sites
    )


def admin_of(tenant: Seed) -> Seed:
    """The user who runs the tenant."""
    return next(user for user in tenant["users"] if "tenant:admin" in user["capabilities"])


class Api:
    """The HTTP API as one user."""

    def __init__(self, stack: Running, user: Seed) -> None:
        self._url = f"{stack['http']}/api/v1/"
        self._headers = {"Authorization": f"Token {user['token']}"}

    def create(self, site: Seed, description: str = "No carrier", priority: str = "HIGH") -> Seed:
        body = {"site_id": site["id"], "description": description, "priority": priority}
        created: Seed = self.post("tickets/", body)
        return created

    def move_on(self, ticket: Seed, status: str) -> Seed:
        path = f"tickets/{ticket['id']}/status/"
        moved: Seed = self.post(path, {"status": status, "note": "test"})
        return moved

    def get(self, path: str, **query: Any) -> Any:
        return self._read("GET", path, params=query)

    def post(self, path: str, body: Seed) -> Any:
        return self._read("POST", path, json=body)

    def patch(self, path: str, body: Seed) -> Any:
        return self._read("PATCH", path, json=body)

    def _read(self, method: str, path: str, **options: Any) -> Any:
        answer = httpx.request(
            method, self._url + path, headers=self._headers, timeout=30, **options
        )
        assert answer.is_success, answer.text
        return answer.json()


class Gate:
    """
    Stands between a page and its feed: ends the connection, and holds ``synced`` back.

    ``turned`` says by type of event what becomes of its frames: ``lost``, ``failed``, ``replayed``.
    """

    def __init__(self, page: Page) -> None:
        self.holds = False
        self.turned: dict[str, Callable[[Seed], Seed | None]] = {}
        self._held: list[str | bytes] = []
        page.route_web_socket(re.compile("/ws/noc/"), self._between)
        page.reload()

    def cut(self) -> None:
        """End the present connection. The page makes another one by itself."""
        self._route.close()

    def reset(self) -> None:
        """Say that the log does not reach back to where the page is: it takes a new snapshot."""
        frame = {"type": "reset", "reason": "trimmed", "epoch": "", "head": 0, "min_seq": 0}
        self._route.send(json.dumps(frame))

    def let_through(self) -> None:
        """Hand over what was held back."""
        self.holds = False
        for frame in self._held:
            self._route.send(frame)

    def _between(self, route: WebSocketRoute) -> None:
        self._route = route
        self._held = []
        route.connect_to_server().on_message(lambda frame: self._pass(route, frame))

    def _pass(self, route: WebSocketRoute, frame: str | bytes) -> None:
        heard = json.loads(frame)
        turn = self.turned.get(heard["type"])
        if self.holds and heard["type"] == "synced":
            self._held.append(frame)
        elif turn is None:
            route.send(frame)
        elif turned := turn(heard):
            route.send(json.dumps(turned))


def lost(frame: Seed) -> None:
    """The event does not come."""


def failed(frame: Seed) -> Seed:
    """The event could not become a frame."""
    place = {key: frame[key] for key in ("seq", "prev", "epoch", "event_id")}
    return {"type": "event_failed", **place, "event_type": frame["type"]}


def replayed(frame: Seed) -> Seed:
    """The event came before, and is sent again."""
    return frame | {"replay_of": 1}


def open_many(stack: Running, site: Seed, word: str, count: int) -> list[int]:
    """Open tickets that say the word as another program does it, by SQL; return their ids."""
    with psycopg.connect(stack["database_url"]) as database:
        made = database.execute(
            "INSERT INTO helpdesk_ticket (tenant_id, site_id, ticket_no, description, priority)"
            " SELECT tenant_id, id, %(prefix)s || n, %(word)s || ' of many', 'LOW'"
            " FROM tenancy_site, generate_series(1, %(count)s) AS n WHERE id = %(site)s"
            " RETURNING id",
            {"prefix": f"T{uuid4().hex[:6]}#", "word": word, "count": count, "site": site["id"]},
        )
        return sorted(row[0] for row in made)


def change_all(stack: Running, word: str, change: str, *values: Any) -> None:
    """Change all tickets that say the word, in one transaction: ``SET`` and what follows it."""
    with psycopg.connect(stack["database_url"]) as database:
        database.execute(
            f"UPDATE helpdesk_ticket SET {change} WHERE description LIKE %s",
            [*values, f"{word}%"],
        )


def shown_ids(page: Page) -> list[int]:
    """The tickets that are drawn, from the top."""
    found: list[int] = page.evaluate(
        "[...document.querySelectorAll('tr[data-ticket]')].map((row) => Number(row.dataset.ticket))"
    )
    return found


def new_word() -> str:
    """Return a word that no other test's tickets say: ``?q=`` shows those that say it."""
    return f"w{uuid4().hex[:10]}"


def live(page: Page) -> Page:
    """The page once it says that it is live."""
    expect(page.locator("#state")).to_have_attribute("data-state", "live", timeout=LIVE_MS)
    page.evaluate("window.neverReloaded = true")
    return page


def row(page: Page, ticket: Seed) -> Locator:
    """The row of the ticket; among more than 300 that match it may be on a later page."""
    return page.locator(f"tr[data-ticket='{ticket['id']}']")


def is_grey(page: Page) -> bool:
    """Whether the page shows that it is not current, as it does without the wall."""
    over: str = page.evaluate("getComputedStyle(document.body, '::after').backdropFilter")
    return "grayscale" in over


def end_session(page: Page) -> None:
    """Sign out behind the page's back, and wait until it says so: from then on it is stale."""
    page.evaluate(
        """fetch("/logout/", {method: "POST", headers: {"X-CSRFToken":
           document.querySelector("[name=csrfmiddlewaretoken]").value}})"""
    )
    expect(page.locator("#state-word")).to_have_text("Signed out", timeout=LIVE_MS)
    expect(page.locator("body")).to_have_attribute("data-feed", "stale")


def shoot(page: Page, name: str) -> None:
    """Keep what the page looks like as ``test-artifacts/NAME.png``."""
    ARTIFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTIFACTS / f"{name}.png")
