"""``./noc manage noc_tail`` as a user meets it, against a running instance."""

import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.e2e.running import NOC, Running, eventually, manage
from tests.protocol_schemas import check_server_frame

SECONDS = 60.0
Seed = dict[str, Any]


class Tail:
    """A running noc_tail; its lines wait in queues."""

    def __init__(self, stack: Running, *options: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [NOC, "manage", "--data", stack.data, "noc_tail", *options],
            cwd="/",
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._out = self._lines_of(self.process.stdout)
        self._err = self._lines_of(self.process.stderr)

    @staticmethod
    def _lines_of(pipe: Any) -> "queue.Queue[str | None]":
        lines: queue.Queue[str | None] = queue.Queue()

        def read() -> None:
            with pipe:
                for line in pipe:
                    lines.put(line.rstrip("\n"))
            lines.put(None)

        threading.Thread(target=read, daemon=True).start()
        return lines

    def line(self) -> str:
        line = self._out.get(timeout=SECONDS)
        assert line is not None, "it has ended"
        return line

    def told(self, start: str) -> str:
        """Return the first line of stderr that begins so."""
        while (line := self._err.get(timeout=SECONDS)) is not None:
            if line.startswith(start):
                return line
        raise AssertionError(f"ended without {start!r}")

    def live(self) -> "Tail":
        self.told("Live")
        return self

    def wait(self) -> int:
        return self.process.wait(SECONDS)


@pytest.fixture
def tail(stack: Running) -> Iterator[Callable[..., Tail]]:
    """Start noc_tail; what still runs is ended with the test."""
    started = []

    def start(*options: str, **environment: str) -> Tail:
        started.append(Tail(stack, *options, **environment))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.process.kill()
            each.process.wait()


@pytest.fixture
def operator(seed: Seed) -> Seed:
    user: Seed = next(u for u in seed["tenants"][0]["users"] if u["role"] == "operator")
    return user


@pytest.fixture
def create(stack: Running, operator: Seed) -> Callable[[Seed], str]:
    """Open a ticket at a site and return its number."""

    def post(site: Seed) -> str:
        answer = httpx.post(
            f"{stack['http']}/api/v1/tickets/",
            json={"site_id": site["id"], "description": "no\x1b[2Jcarrier", "priority": "LOW"},
            headers={"Authorization": f"Token {operator['token']}"},
            timeout=30,
        )
        return str(answer.raise_for_status().json()["ticket_no"])

    return post


@pytest.fixture
def sites(seed: Seed) -> list[Seed]:
    found: list[Seed] = seed["tenants"][0]["sites"]
    return found


def tokens(stack: Running) -> int:
    with psycopg.connect(stack["database_url"]) as database:
        (count,) = database.execute(
            "SELECT count(*) FROM knox_authtoken t JOIN auth_user u ON u.id = t.user_id"
            " WHERE u.username <> 'noc-canary'"  # its own is made within the first minute
        ).fetchone()
    return int(count)


class TestNocTail:
    def test_prints_the_events_of_its_sites_and_goes_on_where_it_was_stopped(
        self,
        stack: Running,
        operator: Seed,
        sites: list[Seed],
        create: Callable[[Seed], str],
        tail: Callable[..., Tail],
    ) -> None:
        before = tokens(stack)
        first = tail("--site", sites[1]["code"], "--user", operator["username"]).live()
        create(sites[0])
        ticket_no = create(sites[1])

        line = first.line()
        first.process.send_signal(signal.SIGINT)

        assert ticket_no in line
        assert "opened, LOW: no\N{REPLACEMENT CHARACTER}[2Jcarrier" in line
        assert sites[1]["name"] in line
        go_on = first.told("Go on from here with ").removeprefix("Go on from here with ").split()
        assert first.wait() == 0
        assert tokens(stack) == before

        missed = create(sites[1])
        second = tail(*go_on, "--count", "1", "--json", NOC_TOKEN=operator["token"])
        frame = check_server_frame(second.line())
        assert frame["ticket_no"] == missed
        assert second.wait() == 0

    def test_comes_back_when_the_web_process_was_killed(
        self,
        stack: Running,
        operator: Seed,
        sites: list[Seed],
        create: Callable[[Seed], str],
        tail: Callable[..., Tail],
        tmp_path: Path,
    ) -> None:
        file = tmp_path / "token"
        file.write_text(operator["token"] + "\n")
        running = tail("--token-file", str(file), "--json").live()
        web = stack.state()["pids"]["web"]

        os.kill(web, signal.SIGKILL)
        running.told("No connection")
        with psycopg.connect(stack["database_url"]) as database:
            database.execute(
                "INSERT INTO helpdesk_ticket (tenant_id, site_id, ticket_no)"
                " VALUES ((SELECT tenant_id FROM tenancy_site WHERE id = %(site)s), %(site)s,"
                " 'TAIL#' || gen_random_uuid())",
                {"site": sites[0]["id"]},
            )

        assert json.loads(running.line())["ticket_no"].startswith("TAIL#")
        running.live()
        running.process.terminate()
        running.told("Go on from here")
        assert running.wait() == 0
        eventually(lambda: stack.state()["pids"]["web"] not in (None, web), seconds=60)

    @pytest.mark.parametrize(
        ("options", "remedy"),
        [
            ([], "Give --user NAME"),
            (["--user", "nobody"], "There is no user 'nobody'"),
            (["--user", "operator-acme", "--site", "SITE999"], "SITE001, SITE002"),
            (["--user", "operator-acme", "--after-seq", "1"], "give both or neither"),
            (["--user", "operator-acme", "--url", "http://x/"], "begins with ws://"),
            (["--user", "guest-acme"], "noc_view"),
            (["--token-file", "/nowhere/token"], "cannot be read"),
        ],
    )
    def test_says_what_helps_when_it_cannot_start(
        self, stack: Running, seed: Seed, options: list[str], remedy: str
    ) -> None:
        done = manage("--data", str(stack.data), "noc_tail", *options, timeout=SECONDS)

        assert done.returncode == 1
        assert remedy in done.stderr
        assert "Traceback" not in done.stderr
