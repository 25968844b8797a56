"""Bodies that come in chunks, without their length: read, checked and digested like all others."""

import http.client
import json
from collections.abc import Callable, Iterator
from email.message import Message
from pathlib import Path
from typing import Any

import pytest

from apps.helpdesk.models import Ticket
from apps.tenancy.models import Device
from apps.tenancy.tokens import new_token
from tests.integration.conftest import World
from tests.integration.web_process import WebProcess

PASSWORD = "k7qm-x2fa-3tbd"
Send = Callable[..., tuple[int, Message, Any]]


@pytest.fixture
def web(world: World, redis_url: str, tmp_path: Path) -> Iterator[WebProcess]:
    process = WebProcess(tmp_path / "web.log", redis_url=redis_url)
    yield process
    process.close()


@pytest.fixture
def send(world: World, web: WebProcess) -> Send:
    token = new_token(world.a.operator)

    def in_chunks(method: str, path: str, body: bytes, **headers: str) -> Any:
        """Send the body in chunks of up to 64 KiB; return status, headers and what was answered."""
        connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=30)
        chunks = (body[at : at + 65_536] for at in range(0, len(body), 65_536))
        told = {
            "Content-Type": "application/json",
            "Authorization": f"Token {token}",
            "Transfer-Encoding": "chunked",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        try:
            connection.request(method, path, chunks, told, encode_chunked=True)
            answer = connection.getresponse()
            return answer.status, answer.headers, json.loads(answer.read() or b"null")
        finally:
            connection.close()

    return in_chunks


def test_of_every_kind_of_view_is_read(world: World, ticket: Any, send: Send) -> None:
    path = f"/api/v1/tickets/{ticket.pk}/"
    world.a.operator.set_password(PASSWORD)
    world.a.operator.save()
    login = json.dumps({"username": world.a.operator.username, "password": PASSWORD}).encode()

    assert send("PATCH", path, b'{"priority": "LOW"}')[2]["priority"] == "LOW"
    assert send("PATCH", path, b'{"priority": "NONSENSE"}')[0] == 400
    assert send("POST", "/api/v1/auth/token/", login, Authorization="")[0] == 200
    assert send("POST", "/api/v1/auth/devices/", b'{"name": "hall"}')[0] == 201
    assert send("POST", f"{path}acknowledge/", b"")[0] == 200

    ticket.refresh_from_db()
    assert ticket.priority == "LOW"
    assert Device.objects.get().name == "hall"


def test_with_a_key_is_done_once_and_kept_as_what_it_was(ticket: Any, send: Send) -> None:
    path = f"/api/v1/tickets/{ticket.pk}/"

    first = send("PATCH", path, b'{"priority": "LOW"}', Idempotency_Key="k")
    again = send("PATCH", path, b'{"priority": "LOW"}', Idempotency_Key="k")
    other = send("PATCH", path, b'{"priority": "CRITICAL"}', Idempotency_Key="k")

    assert first[2]["priority"] == "LOW"
    assert again[2] == first[2]
    assert again[1]["Idempotency-Replayed"] == "true"
    assert other[0] == 422
    ticket.refresh_from_db()
    assert (ticket.priority, ticket.version) == ("LOW", 2)


def test_that_is_too_large_is_413(world: World, send: Send) -> None:
    for size, key in ((300_000, {}), (300_000, {"Idempotency_Key": "k"}), (3_000_000, {})):
        new = {"site_id": world.a.near.pk, "description": "x" * size}

        status, told, problem = send("POST", "/api/v1/tickets/", json.dumps(new).encode(), **key)

        assert (status, told["Content-Type"]) == (413, "application/problem+json")
        assert "send less" in problem["detail"]
    assert not Ticket.objects.exists()
