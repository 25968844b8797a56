"""Tickets for the websocket: made by the API, used once, within 30 s."""

import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models.functions import Now
from django.test import Client

from apps.tenancy import tickets
from apps.tenancy.models import WsTicket
from tests.integration.conftest import World

PATH = "/api/v1/auth/ws-ticket/"
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # of RFC 9110
Api = Callable[..., Any]


def expire_all() -> None:
    WsTicket.objects.update(expires_at=Now())


@pytest.fixture
def credential(world: World) -> tickets.Credential:
    return tickets.Credential(world.a.operator.pk, tickets.TOKEN, "a" * 128)


class TestEndpoint:
    def test_gives_a_ticket_for_a_token(self, world: World, api: Api) -> None:
        answer = api(world.a.reader).post(PATH)

        assert answer.status_code == 201
        assert answer["Cache-Control"] == "no-store"
        made = answer.json()
        assert made["subprotocol"] == f"noc.ticket.{made['ticket']}"
        assert made["expires_in_s"] == 30
        assert TOKEN.fullmatch(made["subprotocol"])
        used = tickets.use(made["ticket"])
        assert (used.user_id, used.kind) == (world.a.reader.pk, "token")
        assert used.key == world.a.reader.auth_token_set.get().digest

    def test_gives_a_ticket_for_a_session(self, world: World) -> None:
        browser = Client()
        browser.force_login(world.a.reader)

        answer = browser.post(PATH)

        used = tickets.use(answer.json()["ticket"])
        key = browser.session.session_key
        assert used == tickets.Credential(world.a.reader.pk, "session", key)

    def test_refuses_a_session_without_the_csrf_token(self, world: World) -> None:
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(world.a.reader)

        assert browser.post(PATH).status_code == 403

    def test_refuses_who_may_not_watch(self, world: World, api: Api) -> None:
        assert api().post(PATH).status_code == 401
        assert api(world.a.guest).post(PATH).status_code == 403
        assert api(User.objects.create(username="stranger")).post(PATH).status_code == 403
        assert not WsTicket.objects.exists()

    def test_refuses_an_eleventh_until_one_is_used_or_all_expire(
        self, world: World, api: Api
    ) -> None:
        client = api(world.a.reader)
        made = [client.post(PATH).json()["ticket"] for _ in range(10)]

        refused = client.post(PATH)

        assert refused.status_code == 429
        assert refused["Content-Type"] == "application/problem+json"
        assert refused["Retry-After"] == "30"
        assert refused.json()["status"] == 429
        assert api(world.a.operator).post(PATH).status_code == 201
        tickets.use(made[0])
        assert client.post(PATH).status_code == 201
        assert client.post(PATH).status_code == 429
        expire_all()
        assert client.post(PATH).status_code == 201


class TestTicket:
    def test_is_used_once(self, credential: tickets.Credential) -> None:
        ticket = tickets.issue(credential)

        assert tickets.use(ticket) == credential
        assert tickets.use(ticket) is None

    def test_is_used_by_one_of_two_at_once(self, credential: tickets.Credential) -> None:
        gate = threading.Barrier(2)

        def use(ticket: str) -> object:
            try:
                gate.wait(30)
                return tickets.use(ticket)
            finally:
                connection.close()

        with ThreadPoolExecutor(2) as threads:
            for _ in range(20):
                ticket = tickets.issue(credential)
                found = list(threads.map(use, [ticket, ticket]))
                assert sorted(found, key=str) == [credential, None]

    def test_is_one_of_ten_however_many_are_made_at_once(
        self, credential: tickets.Credential
    ) -> None:
        gate = threading.Barrier(8)

        def issue(_: int) -> int:
            made = 0
            try:
                gate.wait(30)
                for _ in range(4):
                    try:
                        tickets.issue(credential)
                        made += 1
                    except tickets.TooManyTickets:
                        pass
                return made
            finally:
                connection.close()

        with ThreadPoolExecutor(8) as threads:
            assert sum(threads.map(issue, range(8))) == 10

    def test_that_has_expired_is_of_no_use(self, credential: tickets.Credential) -> None:
        ticket = tickets.issue(credential)
        expire_all()

        assert tickets.use(ticket) is None

    def test_is_valid_for_half_a_minute_by_the_clock_of_the_database(
        self, credential: tickets.Credential
    ) -> None:
        tickets.issue(credential)

        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT extract(epoch FROM expires_at - clock_timestamp()) FROM tenancy_wsticket"
            )
            assert 0 < cursor.fetchone()[0] <= 30

    def test_goes_when_others_are_made_after_it_has_expired(
        self, world: World, credential: tickets.Credential
    ) -> None:
        tickets.issue(tickets.Credential(world.b.operator.pk, tickets.TOKEN, "b"))
        expire_all()

        tickets.issue(credential)

        assert WsTicket.objects.get().user_id == world.a.operator.pk

    def test_is_kept_as_a_digest_alone(self, credential: tickets.Credential) -> None:
        ticket = tickets.issue(credential)

        assert ticket not in str(WsTicket.objects.values_list().get())

    @pytest.mark.parametrize("ticket", ["", "x", "\0", "ä", "x" * 10_000])
    def test_that_never_was_is_of_no_use(self, database: None, ticket: str) -> None:
        assert tickets.use(ticket) is None

    def test_goes_with_its_user(self, world: World, credential: tickets.Credential) -> None:
        tickets.issue(credential)

        world.a.operator.delete()

        assert not WsTicket.objects.exists()
