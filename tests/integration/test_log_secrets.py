"""What must not be read in a log, sent to a real web process by every way that it takes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from django.db import connection
from django.test import Client
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from apps.tenancy import tickets
from apps.tenancy.tokens import new_token
from tests.integration.conftest import World
from tests.integration.processes import until
from tests.integration.web_process import WebProcess

PASSWORD = "k7qm-x2fa-3tbd"
LOGIN, TOKEN, ME, TICKETS = (
    "/login/", "/api/v1/auth/token/", "/api/v1/auth/me/", "/api/v1/tickets/",
)  # fmt: skip


@contextmanager
def changed(change: str, back: str) -> Iterator[None]:
    """Break a table for as long as the block runs."""
    with connection.cursor() as cursor:
        cursor.execute(change)
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(back)


def renamed(table: str) -> Any:
    return changed(
        f"ALTER TABLE {table} RENAME TO gone_for_now", f"ALTER TABLE gone_for_now RENAME TO {table}"
    )


def refusing(table: str) -> Any:
    """Let each write to the table fail with an error that quotes the row."""
    return changed(
        f"ALTER TABLE {table} ADD CONSTRAINT never CHECK (false) NOT VALID",
        f"ALTER TABLE {table} DROP CONSTRAINT never",
    )


class Caller:
    """Has every credential of one user, and sends them where they belong and where they do not."""

    def __init__(self, web: WebProcess, user: Any) -> None:
        user.set_password(PASSWORD)
        user.save()
        browser = Client()
        browser.force_login(user)
        self.web = web
        self.name = user.username
        self.token = new_token(user)
        self.session = browser.session.session_key
        self.ticket = tickets.issue(tickets.Credential(user.pk, tickets.SESSION, self.session))
        self.hash = user.password

    @property
    def secrets(self) -> list[str]:
        return [PASSWORD, self.token, self.token[:15], self.session, self.ticket, self.hash]

    def ask(self, path: str, *, body: Any = None, **headers: str) -> int:
        json_ = {"Content-Type": "application/json"}
        return self._send(path, None if body is None else json.dumps(body), json_ | headers)[0]

    def log_in(self, **headers: str) -> int:
        return self.ask(TOKEN, body={"username": self.name, "password": PASSWORD}, **headers)

    def log_in_by_the_page(self) -> int:
        _, answer = self._send(LOGIN, None, {})
        csrf = SimpleCookie(answer["Set-Cookie"])["csrftoken"].value
        form = {"username": self.name, "password": PASSWORD, "csrfmiddlewaretoken": csrf}
        headers = {"Cookie": f"csrftoken={csrf}", "Origin": self.web.http}
        return self._send(LOGIN, urlencode(form), headers)[0]

    def _send(self, path: str, body: str | None, headers: dict[str, str]) -> tuple[int, Any]:
        data = None if body is None else body.encode()
        asked = Request(f"{self.web.http}{path}", data=data, headers=headers)  # noqa: S310 - ours
        try:
            with urlopen(asked, timeout=30) as answer:  # noqa: S310 - ours
                return int(answer.status), answer.headers
        except HTTPError as error:
            return error.code, error.headers

    def listen(self, query: str = "", **options: Any) -> None:
        with suppress(WebSocketException), connect(f"{self.web.ws}{query}", **options) as socket:
            socket.recv()


@pytest.fixture(params=["json", "console"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"web.{request.param}"


@pytest.fixture
def caller(world: World, redis_url: str, log: Path) -> Iterator[Caller]:
    format_ = log.suffix.removeprefix(".")
    web = WebProcess(log, redis_url=redis_url, LOG_FORMAT=format_, LOG_LEVEL="DEBUG")
    try:
        yield Caller(web, world.a.operator)
    finally:
        web.close()


class TestLog:
    def test_has_no_secret_that_was_sent_rightly_wrongly_or_into_a_failure(
        self, caller: Caller, log: Path
    ) -> None:
        token = {"Authorization": f"Token {caller.token}"}
        cookie = {"Cookie": f"sessionid={caller.session}; csrftoken={caller.session}"}
        origin = {"Origin": caller.web.http}
        query = f"?token={caller.token}&sessionid={caller.session}&ticket={caller.ticket}"

        # Where they belong, and where somebody may put them.
        assert caller.ask(ME, **token) == 200
        assert caller.ask(ME, **cookie) == 200
        assert caller.log_in() == 200
        assert caller.log_in_by_the_page() == 200
        for path in (ME, LOGIN, "/nothing/", "/livez", f"{ME[:-1]}"):
            caller.ask(path + query, Referer=f"{caller.web.http}/{query}")
        for path in (LOGIN, TOKEN, TICKETS, "/nothing/"):
            body = {"password": PASSWORD, "token": caller.token}
            caller.ask(path + query, body=body, **cookie, Referer=f"https://evil.example/{query}")
        caller.listen(query)
        caller.listen(query, additional_headers=token)
        caller.listen(query, additional_headers=cookie | origin)
        caller.listen(subprotocols=[f"noc.ticket.{caller.ticket}"])
        caller.listen(subprotocols=[f"noc.ticket.{caller.ticket}"])  # used already

        # Into a failure: PostgreSQL's errors quote statements and rows.
        with renamed("knox_authtoken"):
            assert caller.ask(ME + query, **token) == 500
            caller.listen(query, additional_headers=token)
        with renamed("django_session"):
            assert caller.ask(ME + query, **cookie) == 500
            caller.listen(query, additional_headers=cookie | origin)
        with refusing("auth_user"):
            assert caller.log_in_by_the_page() == 500
        with refusing("knox_authtoken"):
            assert caller.log_in(**cookie) == 500

        def text() -> str:
            return log.read_text(encoding="utf-8")

        until(lambda: text().count("Traceback") >= 4, what="the tracebacks in the log")
        assert "UndefinedTable" in text()
        assert "CheckViolation" in text()
        assert "/ws/noc/" in text()
        assert [secret for secret in caller.secrets if secret in text()] == []
        assert "Failing row" not in text()
        assert "LINE 1" not in text()
        assert "?token" not in text()
