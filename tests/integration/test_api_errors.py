"""What no view answers and the database cannot do: a problem below /api/, a page elsewhere."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from django.db import OperationalError, ProgrammingError, connection, transaction
from django.test import Client
from psycopg import errors

from apps.tenancy.http.trouble import unavailable
from tests.integration.conftest import World
from tests.integration.web_process import WebProcess

TICKETS = "/api/v1/tickets/"
MULTIPART = "multipart/form-data"  # without its boundary
FORM = "application/x-www-form-urlencoded"


@contextmanager
def without(table: str) -> Iterator[None]:
    """What a view that needs the table raises is nothing that a caller could mend."""
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO away")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f"ALTER TABLE away RENAME TO {table}")


def problem(answer: Any, status: int) -> Any:
    assert answer.status_code == status, answer.content
    assert answer["Content-Type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == status
    assert told["request_id"] == answer["X-Request-ID"]
    return told


@pytest.fixture
def browser(world: World) -> Client:
    """Signed in by a session, and checked against forgery as a browser is."""
    made = Client(enforce_csrf_checks=True, raise_request_exception=False)
    made.force_login(world.a.operator)
    made.get("/api/docs/")  # which gives the cookie of that check
    return made


class TestApi:
    def test_tells_of_a_bug_where_to_look_and_nothing_of_it(self, world: World, api: Any) -> None:
        with without("helpdesk_ticket"):
            told = problem(api(world.a.operator).get(TICKETS), 500)

        assert "Idempotency-Key" in told["detail"]
        assert "helpdesk_ticket" not in str(told)

    def test_tells_of_one_beside_the_views(self, world: World, browser: Client) -> None:
        with without("django_session"):
            problem(browser.get(TICKETS), 500)

    @pytest.mark.parametrize("content_type", [MULTIPART, f"{MULTIPART}; boundary=\x00"])
    def test_tells_of_a_form_without_its_boundary(self, browser: Client, content_type: str) -> None:
        problem(browser.post(TICKETS, b"x", content_type), 415)
        told = problem(browser.post("/api/docs/", b"x", content_type), 400)

        assert "boundary" in told["detail"]

    def test_tells_of_a_form_that_is_too_large(self, browser: Client) -> None:
        body = b"a=" + b"x" * 3_000_000

        problem(browser.post(TICKETS, body, FORM), 415)
        problem(browser.post("/api/docs/", body, FORM), 413)

    def test_tells_of_a_host_that_is_not_ours(self, database: None) -> None:
        problem(Client().get(TICKETS, headers={"Host": "evil.example"}), 400)

    @pytest.mark.parametrize("path", ["/api/", "/api/v2/tickets/", "/api/v1x", "/api/docs/x"])
    def test_tells_of_a_path_beside_its_version(self, database: None, path: str) -> None:
        problem(Client().get(path), 404)


class TestDatabase:
    @pytest.mark.parametrize("limit", ["lock_timeout", "statement_timeout"])
    def test_that_is_busy_is_told_with_when_to_come_again(
        self, world: World, api: Any, limit: str
    ) -> None:
        client = api(world.a.operator)

        def ask() -> Any:
            with connection.cursor() as cursor:
                cursor.execute(f"SET {limit} = '200ms'")
            try:
                return client.get(TICKETS)
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as pool, transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("LOCK TABLE helpdesk_ticket IN ACCESS EXCLUSIVE MODE")
            answer = pool.submit(ask).result(30)

        assert "busy" in problem(answer, 503)["detail"]
        assert answer["Retry-After"] == "1"
        assert client.get(TICKETS).status_code == 200

    def test_that_ends_the_connection_is_told_too(self, world: World, api: Any) -> None:
        client = api(world.a.operator)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()

        def end() -> None:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
            connection.close()

        with ThreadPoolExecutor(1) as pool:
            pool.submit(end).result(30)
        answer = client.get(TICKETS)

        problem(answer, 503)
        assert answer["Retry-After"] == "5"

    def test_that_is_away_is_told_by_a_web_process(self, tmp_path: Path) -> None:
        web = WebProcess(
            tmp_path / "web.log",
            redis_url="redis://127.0.0.1:9/0",
            DATABASE_URL="postgresql://noc_app:x@127.0.0.1:9/noc",
        )
        try:
            asked = Request(  # noqa: S310 - ours
                web.http + TICKETS, headers={"Authorization": "Token " + "f" * 64}
            )
            with pytest.raises(HTTPError) as refused:
                urlopen(asked, timeout=30)  # noqa: S310 - ours
        finally:
            web.close()

        with refused.value as answer:
            assert answer.code == 503
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert answer.headers["Retry-After"] == "5"
            told = json.load(answer)
        assert told["request_id"] == answer.headers["X-Request-ID"]
        assert "127.0.0.1" not in told["detail"]

    @pytest.mark.parametrize(
        "cause", [errors.TooManyConnections(), errors.CannotConnectNow(), errors.AdminShutdown()]
    )
    def test_that_lets_nobody_in_is_away(self, cause: Exception) -> None:
        error = OperationalError("x")
        error.__cause__ = cause

        told = unavailable(error)

        assert told is not None
        assert (told.status_code, told.wait) == (503, 5)

    def test_that_refuses_what_is_wrong_is_not_away(self) -> None:
        assert unavailable(ProgrammingError("no such table")) is None
        assert unavailable(None) is None


class TestPages:
    def test_keep_theirs(self, browser: Client) -> None:
        answers = {
            404: browser.get("/nothing/"),
            400: browser.get("/", headers={"Host": "evil.example"}),
            403: browser.get("/health/pipeline", REMOTE_ADDR="192.0.2.1"),
        }
        with without("tenancy_membership"):
            answers[500] = browser.get("/")

        for status, answer in answers.items():
            assert answer.status_code == status
            assert "html" in answer["Content-Type"]
