"""One id from the request to the frame, through the logs of real processes."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from socket import create_connection
from typing import Any
from urllib.request import Request, urlopen

import pytest
from celery.signals import task_failure, task_success
from celery.utils.dispatch import Signal
from django.conf import settings
from django.db import connection, transaction
from django.test import override_settings
from structlog.contextvars import get_contextvars
from websockets.sync.client import ClientConnection, connect

from apps.helpdesk.actions import edit_ticket
from apps.tenancy.tokens import new_token
from outbox import context, relay
from outbox.lanes import lane_of
from outbox.models import LogEntry
from tests.integration.conftest import World
from tests.integration.log_lines import lines_of
from tests.integration.processes import WORKER, celery, until
from tests.integration.web_process import WebProcess

TICKETS = "/api/v1/tickets/"
LOGS = {"LOG_FORMAT": "json", "LOG_LEVEL": "DEBUG"}


@pytest.fixture
def web_log(tmp_path: Path) -> Path:
    return tmp_path / "web.log"


@pytest.fixture
def worker_log(tmp_path: Path) -> Path:
    return tmp_path / "worker.log"


@pytest.fixture
def web(world: World, redis_url: str, web_log: Path) -> Iterator[WebProcess]:
    web = WebProcess(web_log, redis_url=redis_url, **LOGS)
    try:
        yield web
    finally:
        web.close()


@pytest.fixture
def worker(world: World, redis_url: str, worker_log: Path) -> Iterator[None]:
    with celery("--quiet", *WORKER, redis_url=redis_url, log=worker_log, **LOGS):
        until(
            lambda: lines_of(worker_log, logger="celery.apps.worker"),
            seconds=60,
            what="the worker is ready",
        )
        yield


def ask(
    web: WebProcess, method: str, path: str, token: str, request_id: str, body: Any = None
) -> None:
    asked = Request(  # noqa: S310 - ours
        f"{web.http}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={
            "Authorization": f"Token {token}",
            "Content-Type": "application/json",
            "X-Request-ID": request_id,
        },
    )
    with urlopen(asked, timeout=30) as answer:  # noqa: S310 - ours
        assert answer.headers["X-Request-ID"] == request_id


@contextmanager
def watching(web: WebProcess, user: Any) -> Iterator[ClientConnection]:
    """A socket that stands at the head of the log."""
    headers = {"Authorization": f"Token {new_token(user)}"}
    with connect(web.ws, additional_headers=headers) as socket:
        frame_of(socket, "synced")
        yield socket


def frame_of(socket: ClientConnection, type_: str) -> dict[str, Any]:
    while True:
        frame: dict[str, Any] = json.loads(socket.recv(30))
        if frame["type"] == type_:
            return frame


def one_line(log: Path, **fields: object) -> dict[str, Any]:
    """Return the one line with these fields, once it is there."""
    [line] = until(lambda: lines_of(log, **fields), what=f"a line with {fields}")
    return line


@contextmanager
def connected(signal: Signal, receiver: Callable[..., None]) -> Iterator[None]:
    signal.connect(receiver)
    try:
        yield
    finally:
        signal.disconnect(receiver)


def published(stream: str) -> Callable[[], bool]:
    from outbox import log

    def all_of_it() -> bool:
        head = log.head(stream)
        return head.published_seq == head.last_seq > 0

    return all_of_it


class TestTrail:
    @pytest.mark.parametrize(
        ("method", "path", "body", "type_"),
        [
            ("PATCH", "", {"description": "changed"}, "ticket_edited"),
            ("POST", "status/", {"status": "IN_PROGRESS"}, "ticket_updated"),
        ],
    )
    def test_leads_from_the_request_to_the_frame(
        self,
        web: WebProcess,
        worker: None,
        web_log: Path,
        worker_log: Path,
        world: World,
        ticket: Any,
        method: str,
        path: str,
        body: Any,
        type_: str,
    ) -> None:
        id_, operator = f"trail-{method}", world.a.operator
        until(published(f"tenant:{world.a.tenant.pk}"), what="the ticket's creation")
        with watching(web, world.a.reader) as socket:
            ask(web, method, f"{TICKETS}{ticket.pk}/{path}", new_token(operator), id_, body)
            frame = frame_of(socket, type_)

        request = one_line(web_log, event="Request", request_id=id_)
        assert (request["method"], request["status"]) == (method, 200)
        assert request["user_id"] == operator.pk
        entry = LogEntry.objects.get(context__request_id=id_)
        broadcast = one_line(worker_log, logger="apps.noc.broadcast", request_ids=[id_])
        assert broadcast["first"] == broadcast["last"] == f"{entry.stream}/{entry.seq}"
        entered = one_line(web_log, event="Event entered the ring", request_id=id_)
        assert entered["event_id"] == frame["event_id"] == str(entry.event_id)
        assert entered["seq"] == frame["seq"] == entry.seq
        assert "request_id" not in frame

    def test_is_the_same_for_an_event_that_came_from_the_log(
        self, web: WebProcess, web_log: Path, world: World, ticket: Any
    ) -> None:
        lane = lane_of(f"tenant:{world.a.tenant.pk}", settings.OUTBOX["lanes"])
        relay.drain(lane, deadline=time.monotonic() + 10)
        with watching(web, world.a.reader) as socket:
            with context(request_id="unheard-of"):
                edit_ticket(ticket_id=ticket.pk, description="changed")
            with override_settings(CHANNEL_LAYERS={}):  # recorded, and nobody is told
                relay.drain(lane, deadline=time.monotonic() + 10)
            frame = frame_of(socket, "ticket_edited")

        entered = one_line(web_log, event="Event entered the ring", request_id="unheard-of")
        assert entered["event_id"] == frame["event_id"]


class TestRequests:
    def test_at_once_do_not_take_each_others_id(
        self, web: WebProcess, web_log: Path, world: World
    ) -> None:
        users = [world.a.operator, world.a.reader, world.b.operator, world.b.reader]
        tokens = [new_token(user) for user in users]
        numbers = range(60)

        def one(number: int) -> None:
            ask(web, "GET", TICKETS, tokens[number % len(users)], f"many-{number}")

        with ThreadPoolExecutor(20) as pool:
            list(pool.map(one, numbers))

        for number in numbers:
            line = one_line(web_log, event="Request", request_id=f"many-{number}")
            assert line["user_id"] == users[number % len(users)].pk

    def test_whose_clients_left_have_a_line_without_a_status(
        self, web: WebProcess, web_log: Path, world: World
    ) -> None:
        token = new_token(world.a.operator)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("LOCK TABLE helpdesk_ticket")
            with create_connection(("127.0.0.1", web.port)) as client:
                client.sendall(
                    f"GET {TICKETS} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                    f"Authorization: Token {token}\r\nX-Request-ID: left\r\n\r\n".encode()
                )
                until(lambda: somebody_waits(cursor), what="the request at the lock")
        line = one_line(web_log, event="Request", request_id="left")
        assert line["status"] is None


def somebody_waits(cursor: Any) -> bool:
    cursor.execute(
        "SELECT EXISTS (SELECT FROM pg_locks"
        " WHERE relation = 'helpdesk_ticket'::regclass AND NOT granted)"
    )
    return bool(cursor.fetchone()[0])


class TestTask:
    def test_that_fails_is_named_with_its_lane_and_told_of_once(
        self, worker: None, worker_log: Path, world: World, ticket: Any
    ) -> None:
        stream = f"tenant:{world.a.tenant.pk}"
        lane = lane_of(stream, settings.OUTBOX["lanes"])
        until(published(stream), what="the ticket's creation")
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE outbox_lane RENAME TO gone_for_now")
        try:
            edit_ticket(ticket_id=ticket.pk, description="changed")
            failed = until(lambda: lines_of(worker_log, logger="celery.app.trace", lane=lane))
        finally:
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE gone_for_now RENAME TO outbox_lane")

        assert {line["task"] for line in failed} == {"outbox.drain"}
        assert len({line["task_id"] for line in failed}) == len(failed)
        assert "UndefinedTable" in failed[0]["exception"]
        assert "LINE 1" not in str(failed)
        assert "data" not in failed[0]

    def test_leaves_nothing_behind(self, database: None) -> None:
        import worker.logs  # noqa: F401  (connects its signals)
        from worker.tasks import drain

        seen: list[dict[str, Any]] = []

        def look(**_: Any) -> None:
            seen.append(get_contextvars())

        with connected(task_success, look), connected(task_failure, look):
            for lane in (1, 9999):
                drain.apply(kwargs={"lane": lane}, task_id=f"task-{lane}")
                assert get_contextvars() == {}

        assert seen == [
            {"task": "outbox.drain", "task_id": f"task-{lane}", "lane": lane} for lane in (1, 9999)
        ]
