"""Flower of a local instance: one login, on the loopback alone, and nothing to press."""

import re
from typing import Any
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from flower.urls import handlers

from tests.e2e.running import Running


def paths(method: str) -> list[str]:
    """Every path of Flower that answers ``method`` itself, with a task's name in it."""
    found = []
    for each in handlers:
        path, handler = each[:2] if isinstance(each, tuple) else (each.regex.pattern, each.target)
        if method in vars(handler):
            found.append(re.sub(r"\(.*?\)", "outbox.sweep", path.rstrip("$")))
    return found


ACTIONS = [path for path in paths("post") if path.startswith("/api/")]
# Nothing of a task but its name: /metrics counts by worker and task.
OPEN = {"/healthcheck", "/metrics", "/logout", "/static/outbox.sweep"}
PAGES = [path for path in paths("get") if path.startswith("/") and path not in OPEN]


@pytest.fixture(scope="module")
def flower(stack: Running) -> Any:
    """A client of Flower that has not logged in, with the login as ``auth``."""
    address = urlsplit(stack["flower"])
    with httpx.Client(base_url=f"http://127.0.0.1:{address.port}") as client:
        yield client, (address.username, address.password)


class TestFlower:
    def test_has_the_actions_and_pages_that_are_asked_below(self) -> None:
        assert {
            "/api/task/async-apply/outbox.sweep",
            "/api/task/revoke/outbox.sweep",
            "/api/worker/shutdown/outbox.sweep",
        } <= set(ACTIONS)
        assert len(ACTIONS) >= 14
        assert {"/", "/tasks", "/api/tasks", "/api/workers"} <= set(PAGES)

    @pytest.mark.parametrize("path", ACTIONS)
    def test_lets_nobody_act(self, flower: Any, stack: Running, path: str) -> None:
        client, login = flower
        workers = client.get("/api/workers", auth=login).json()
        target = path.replace("outbox.sweep", next(iter(workers), "outbox.sweep"))
        worker = stack.state()["pids"]["worker"]

        for asked in {path, target} if "/worker/" in path else {path}:
            assert client.post(asked, auth=login, json={}).status_code == 403
            assert client.post(asked, json={}).status_code == 401

        assert psutil.pid_exists(worker)
        assert stack.state()["pids"]["worker"] == worker

    @pytest.mark.parametrize("path", PAGES)
    def test_shows_nothing_without_the_login(self, flower: Any, path: str) -> None:
        client, login = flower
        user, password = login
        assert client.get(path).status_code == 401
        assert client.get(path, auth=(user, password + "x")).status_code == 401
        assert client.get(path, auth=("admin", password)).status_code == 401

    def test_shows_the_tasks_to_who_has_the_login(self, flower: Any) -> None:
        client, login = flower
        assert client.get("/tasks", auth=login).status_code == 200

    def test_listens_on_the_loopback_alone(self, stack: Running) -> None:
        process = psutil.Process(stack.state()["pids"]["flower"])
        listening = {
            each.laddr.ip
            for one in (process, *process.children(recursive=True))
            for each in one.net_connections("inet")
            if each.status == psutil.CONN_LISTEN
        }
        assert listening == {"127.0.0.1"}
