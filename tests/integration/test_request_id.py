"""The id of a request: taken or made, in its line, its events and its answer, in no other's."""

import logging
from typing import Any

import pytest
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from structlog.contextvars import get_contextvars

from outbox.context import current

TICKETS = "/api/v1/tickets/"


def broken(get_response: Any) -> Any:
    """A middleware whose requests all fail."""

    def middleware(request: Any) -> Any:
        raise ValueError("broken on purpose")

    return middleware


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    """Return the lines of the requests so far."""
    caplog.set_level(logging.INFO, "project.request_id")
    return lambda: [each for each in caplog.records if each.name == "project.request_id"]


class TestRequestId:
    @pytest.mark.parametrize("given", ["a", "my-id_1.2", "x" * 64])
    def test_is_the_callers_if_it_is_valid(self, database: None, given: str) -> None:
        answer = Client().get("/livez", headers={"X-Request-ID": given})

        assert answer["X-Request-ID"] == given

    @pytest.mark.parametrize("given", ["", "x" * 65, "a b", "a\n", "é", '"', "a/b", "{}", "٣"])
    def test_is_made_if_what_came_is_no_valid_one(self, database: None, given: str) -> None:
        client = Client()

        made = {
            client.get("/livez", headers={"X-Request-ID": given})["X-Request-ID"] for _ in range(3)
        }

        assert len(made) == 3
        assert all(len(each) == 32 and each.isalnum() for each in made)

    def test_is_in_the_events_with_the_actor(self, world, ticket, api, captured) -> None:
        captured()
        answer = api(world.a.operator).patch(
            f"{TICKETS}{ticket.pk}/",
            {"description": "x"},
            format="json",
            headers={"X-Request-ID": "r-1"},
        )

        assert answer.status_code == 200
        [event] = captured()
        assert event.context == {"actor": f"user:{world.a.operator.pk}", "request_id": "r-1"}

    def test_is_in_a_problem(self, world, api) -> None:
        client = api(world.a.operator)

        for path in (f"{TICKETS}99/", "/api/v1/nothing/"):
            answer = client.get(path, headers={"X-Request-ID": "r-2"})
            assert answer.status_code == 404
            assert answer.json()["request_id"] == "r-2"

    def test_is_in_the_answer_and_the_traceback_of_a_failure(
        self, database: None, lines, caplog
    ) -> None:
        ours = ["project.request_id.request_id", "tests.integration.test_request_id.broken"]
        with override_settings(MIDDLEWARE=ours):
            answer = Client(raise_request_exception=False).get(
                "/livez", headers={"X-Request-ID": "r-3"}
            )

        assert (answer.status_code, answer["X-Request-ID"]) == (500, "r-3")
        assert [line.status for line in lines()] == [500]
        assert [each.name for each in caplog.records if each.exc_info] == ["django.request"]

    def test_ends_with_its_request(self, world, api) -> None:
        api(world.a.operator).get(TICKETS)

        assert current() == {}
        assert get_contextvars() == {}

    def test_costs_a_read_no_statement(self, world, ticket, api) -> None:
        from django.conf import settings

        client = api(world.a.operator)
        assert settings.MIDDLEWARE[0] == "project.request_id.request_id"

        def statements(middleware: list[str]) -> int:
            with override_settings(MIDDLEWARE=middleware):
                client.handler.load_middleware()
                with CaptureQueriesContext(connection) as done:
                    assert client.get(f"{TICKETS}{ticket.pk}/").status_code == 200
            return len(done)  # the count of the request, which is a write, has the id in it

        assert statements(settings.MIDDLEWARE) == statements(settings.MIDDLEWARE[1:])


class TestLine:
    def test_tells_what_was_asked_by_whom_without_the_query(self, world, api, lines) -> None:
        api(world.a.operator).get(f"{TICKETS}?limit=5")

        [line] = lines()
        assert (line.getMessage(), line.levelname) == ("Request", "INFO")
        assert (line.method, line.path, line.status) == ("GET", TICKETS, 200)
        assert line.user_id == world.a.operator.pk
        assert line.duration_ms >= 0

    def test_tells_the_user_of_a_session(self, world, lines) -> None:
        browser = Client()
        browser.force_login(world.a.operator)

        browser.get("/")

        assert lines()[-1].user_id == world.a.operator.pk

    def test_asks_nobody_who_it_is(self, world, lines) -> None:
        browser = Client()
        browser.force_login(world.a.operator)

        with CaptureQueriesContext(connection) as done:
            browser.get("/livez")

        assert lines()[-1].user_id is None
        assert len(done) == 0

    def test_cannot_be_forged_by_a_path(self, database: None, lines) -> None:
        Client().get("/%0a%1b[31m" + "x" * 1000)

        assert lines()[-1].path.startswith("/%0A%1B%5B31mxxx")
        assert len(lines()[-1].path) == 500

    def test_is_written_for_what_other_middleware_refuses(self, database: None, lines) -> None:
        with override_settings(SECURE_SSL_REDIRECT=True):
            Client().get("/livez")
        Client().get("/livez", headers={"Host": "evil.example"})

        assert [line.status for line in lines()] == [301, 400]
