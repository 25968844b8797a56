"""Fixtures of the tests that see the system from outside only: a running instance, a browser."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from project.data_folder import DataFolder
from tests.e2e.board import Api, change_all, new_word, user_of
from tests.e2e.running import Running
from tests.e2e.wiretap import Wiretap

CHROMIUM_OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# The user's choice, kept where the page keeps it, until the test makes another one.
NO_FLOODS = """
    localStorage.getItem("noc.prefs") ??
        localStorage.setItem("noc.prefs", JSON.stringify({ floods: { on: false } }));
"""


@pytest.fixture(scope="session")
def new_data_folder() -> Iterator[Callable[[str], Path]]:
    """Makes data folders, and removes them with their clusters at the end."""
    made: list[Path] = []

    def make(name: str) -> Path:
        path = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=os.environ.get("NOC_TEST_FOLDER")))
        path.chmod(0o711)  # PostgreSQL's user passes through
        made.append(path)
        return path

    yield make
    for path in made:
        DataFolder(path).remove()


@pytest.fixture(scope="session")
def stack(new_data_folder: Callable[[str], Path]) -> Iterator[Running]:
    """One running instance for all tests: ``stack["http"]``, ``stack.manage(…)``."""
    running = Running(new_data_folder("stack"))
    try:
        yield running.wait_ready()
    finally:
        running.end()


@pytest.fixture(scope="session")
def seed(stack: Running) -> dict[str, Any]:
    """The tenants and users of the instance, as ``seed_demo --json`` prints them."""
    seeded: dict[str, Any] = json.loads(stack.manage("seed_demo", "--json").stdout)
    return seeded


@pytest.fixture
def acme(seed: dict[str, Any]) -> dict[str, Any]:
    """The first tenant of the instance."""
    tenant: dict[str, Any] = seed["tenants"][0]
    return tenant


@pytest.fixture
def other(seed: dict[str, Any]) -> dict[str, Any]:
    """A tenant that must not see the first one's."""
    tenant: dict[str, Any] = seed["tenants"][1]
    return tenant


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium. While it is open, ``asyncio.run`` does not work in this thread."""
    path = os.environ.get("NOC_CHROMIUM")
    if not path:
        pytest.fail(
            "no Chromium: put one on PATH or name it in NOC_CHROMIUM. ./noc test looks for one,"
            " and tries to install it.",
            pytrace=False,
        )
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=CHROMIUM_OPTIONS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def wiretap(browser: Browser) -> Wiretap:
    return Wiretap(browser)


@pytest.fixture(autouse=True)
def pages_keep_the_protocol(request: pytest.FixtureRequest) -> Iterator[None]:
    """What a test's pages and the server say on websockets is checked frame by frame."""
    if "browser" not in request.fixturenames:
        yield
        return
    tap: Wiretap = request.getfixturevalue("wiretap")
    yield
    tap.check()


@pytest.fixture
def api(stack: Running, acme: dict[str, Any]) -> Api:
    """The API as an operator of all sites of the first tenant."""
    return Api(stack, user_of(acme, may="ticket:write"))


@pytest.fixture
def sign_in(browser: Browser, stack: Running) -> Iterator[Callable[..., Page]]:
    """
    Opens the board as a user, in a browser of their own: ``sign_in(user, path="/?status=NEW", …)``.

    Further arguments are those of ``Browser.new_context``. Floods are not grouped unless asked for:
    all tests together are one, and each looks for rows of its own. The test fails on any error of
    a script, any dialog, and anything that the content security policy refuses.
    """
    contexts, troubles = [], []

    def refused(message: ConsoleMessage) -> None:
        if "Content Security Policy" in message.text:
            troubles.append(message.text)

    def open_page(
        user: dict[str, Any], *, path: str = "/", floods: bool = False, **options: Any
    ) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 760}, **options})
        contexts.append(context)
        if not floods:
            context.add_init_script(NO_FLOODS)
        page = context.new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", refused)
        page.on("dialog", lambda dialog: troubles.append(dialog.message) or dialog.dismiss())
        page.goto(f"{stack['http']}{path}")
        page.get_by_label("User name").fill(user["username"])
        page.get_by_label("Password").fill(user["password"])
        page.get_by_role("button", name="Sign in").click()
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not troubles


@pytest.fixture
def word(stack: Running) -> Iterator[str]:
    """A word that no other test's tickets say; those that do are closed afterwards, since a page of
    the board has room for 300."""
    word = new_word()
    yield word
    change_all(stack, word, "status = 'CLOSED'")
