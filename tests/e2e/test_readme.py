"""The README's examples work as they are printed; only the port is another one."""

import re
import select
import shlex
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from playwright.sync_api import Browser, ConsoleMessage

from tests.compose_file import ROOT
from tests.e2e.running import Running

SYNCED = """
socket.addEventListener("message", ({ data }) => { window.synced ||= data.includes('"synced"'); });
"""


def example(language: str, containing: str) -> str:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)
    (found,) = [block for block in blocks if containing in block]
    return str(found)


@pytest.fixture
def operator(seed: dict[str, Any]) -> dict[str, Any]:
    """The operator of every site of the first tenant, which is the one that the example uses."""
    users = seed["tenants"][0]["users"]
    user: dict[str, Any] = next(u for u in users if u["username"].startswith("operator"))
    return user


@pytest.fixture
def new_ticket(stack: Running, seed: dict[str, Any]) -> Callable[[], int]:
    def create() -> int:
        tenant = seed["tenants"][0]
        with psycopg.connect(stack["database_url"]) as session:
            row = session.execute(
                "INSERT INTO helpdesk_ticket (tenant_id, site_id, ticket_no)"
                " VALUES (%s, %s, 'README#' || gen_random_uuid()) RETURNING id",
                [tenant["id"], tenant["sites"][0]["id"]],
            ).fetchone()
        assert row is not None
        return int(row[0])

    return create


def commands_of(heading: str) -> list[str]:
    """The commands in the second column of the table below a heading."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    part = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(r"^\| [^|]+ \| `([^`]+)`", part, re.M)


TO_LOOK = [
    command
    for command in commands_of("When something is wrong")
    # A port of its own is tested with the launcher, what a tail prints in test_noc_tail.py.
    if not command.startswith("./noc demo") and "noc_tail" not in command
]


class TestCommands:
    def test_of_the_tour_follow_a_sample_user(self, stack: Running, seed: dict[str, Any]) -> None:
        text = (ROOT / "README.md").read_text(encoding="utf-8")
        (tail,) = re.findall(r"`\./noc manage (noc_tail [^`\]]+)` in another terminal", text)

        assert not stack.manage(*tail.split(), "--count", "0").stdout  # it fails when refused

    @pytest.mark.parametrize("command", TO_LOOK)
    def test_that_look_for_what_is_wrong_run(
        self, command: str, stack: Running, seed: dict[str, Any]
    ) -> None:
        folder = shlex.quote(str(stack.data))
        runs = command.replace(".local/", f"{folder}/")
        runs = runs.replace("./noc manage", f"./noc manage --data {folder}")
        runs = runs.replace("./noc doctor", f"./noc doctor --data {folder}")
        runs = runs.replace("http://127.0.0.1:8000", stack["http"])

        ran = subprocess.run(
            ["bash", "-c", runs], cwd=ROOT, capture_output=True, text=True, check=False
        )

        assert ran.returncode == 0 or "doctor" in command, ran.stderr  # its code is what it found
        assert "Traceback" not in ran.stderr
        assert "there is no instance" not in ran.stderr
        assert ran.stdout or ran.stderr


class TestExamples:
    def test_publish_what_python_receives(self, stack: Running, operator: dict[str, Any]) -> None:
        receive = example("python", "websockets.sync.client")
        assert "ws://127.0.0.1:8000/" in receive
        receive = receive.replace("ws://127.0.0.1:8000", stack["http"].replace("http", "ws", 1))
        process = subprocess.Popen(
            [sys.executable, "-c", receive, operator["token"]], stdout=subprocess.PIPE, bufsize=0
        )
        assert process.stdout is not None
        try:
            for _ in range(5):  # what was published before it connected, it does not get
                stack.manage("shell", "-c", example("python", "outbox.publish"))
                if select.select([process.stdout], [], [], 10)[0]:
                    break
            lines = [process.stdout.readline().split() for _ in range(2)]
        finally:
            process.kill()
            process.wait()
            process.stdout.close()
        assert [line[1] for line in lines] == [b"finding_created", b"anomaly_detected"]
        assert int(lines[1][0]) == int(lines[0][0]) + 1

    def test_receive_in_the_browser_by_the_pages_own_client(
        self,
        stack: Running,
        operator: dict[str, Any],
        new_ticket: Callable[[], int],
        browser: Browser,
    ) -> None:
        with browser.new_context(bypass_csp=True) as context:
            page = context.new_page()
            page.goto(f"{stack['http']}/login/")
            page.fill("input[name=username]", operator["username"])
            page.fill("input[name=password]", operator["password"])
            page.click("button")
            page.wait_for_url(f"{stack['http']}/")

            with page.expect_console_message(lambda message: message.text == "live"):
                page.evaluate(f"(async () => {{ {example('js', 'new Feed')} }})()")
            with page.expect_console_message(lambda message: "ticket_created" in message.text):
                new_ticket()

    def test_receive_in_the_browser(
        self,
        stack: Running,
        operator: dict[str, Any],
        new_ticket: Callable[[], int],
        browser: Browser,
    ) -> None:
        ticket_id = new_ticket()
        with browser.new_context(bypass_csp=True) as context:  # as the browser's console does
            page = context.new_page()
            page.goto(f"{stack['http']}/login/")
            page.fill("input[name=username]", operator["username"])
            page.fill("input[name=password]", operator["password"])
            page.click("button")
            page.wait_for_url(f"{stack['http']}/")
            page.evaluate(example("js", "new WebSocket") + SYNCED)
            page.wait_for_function("window.synced")

            def shown(message: ConsoleMessage) -> bool:
                return "NEW → IN_PROGRESS" in message.text

            with (
                page.expect_console_message(shown, timeout=30_000),
                psycopg.connect(stack["database_url"]) as session,
            ):
                session.execute(
                    "UPDATE helpdesk_ticket SET status = 'IN_PROGRESS' WHERE id = %s", [ticket_id]
                )
