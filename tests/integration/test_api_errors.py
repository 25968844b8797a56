"""What no view answers: below /api/ a problem all the same, of a page a page."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from tests.integration.conftest import World

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
