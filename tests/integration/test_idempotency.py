"""Writes with an Idempotency-Key: done once, however often and at whatever time they are sent."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Event

import psycopg
import pytest
from django.db import connection, connections
from django.urls import URLPattern
from django.utils import timezone
from rest_framework.test import APIClient

from apps.helpdesk import actions
from apps.helpdesk.models import Ticket
from apps.noc.models import Finding
from apps.tenancy.http import once
from apps.tenancy.http.scoped import ScopedView
from apps.tenancy.models import KeptAnswer
from outbox.models import Message
from project import api as paths
from tests.integration.outbox_fixtures import database_url
from tests.integration.processes import until
from worker import tasks

TICKETS = "/api/v1/tickets/"
KEY = "5f3c9a64-2c1b-4d7e-8a55-90d1c4f7e001"


@pytest.fixture
def operator(world, api):
    return api(world.a.operator)


def new(world, description="Link down"):
    return {"site_id": world.a.near.pk, "description": description}


def post(client, path, body, key=KEY, **headers):
    return client.post(path, body, format="json", headers={"Idempotency-Key": key, **headers})


@contextmanager
def somebody_holds(user, key) -> Iterator[psycopg.Connection]:
    """A transaction that has the key's row and has not ended."""
    with psycopg.connect(database_url()) as other:
        other.execute(
            "INSERT INTO tenancy_keptanswer (user_id, key, fingerprint, status, headers, body)"
            " VALUES (%s, %s, 'x', 0, '{}', '')",
            [user.pk, key],
        )
        yield other
        other.rollback()


class TestTheSameRequestAgain:
    def test_is_answered_alike_and_not_done_again(self, world, operator, captured):
        first = post(operator, TICKETS, new(world))
        again = post(operator, TICKETS, new(world))

        assert (first.status_code, again.status_code) == (201, 201)
        assert again.content == first.content
        assert again["ETag"] == first["ETag"] == '"1"'
        assert not first.has_header("Idempotency-Replayed")
        assert again["Idempotency-Replayed"] == "true"
        assert Ticket.objects.count() == 1
        assert [event.type for event in captured()] == ["ticket_created"]

    def test_of_a_status_change_is_not_refused_as_a_second_one(self, world, operator, ticket):
        path = f"{TICKETS}{ticket.pk}/status/"
        for _ in range(2):
            answer = post(operator, path, {"status": "IN_PROGRESS"}, **{"If-Match": '"1"'})
            assert (answer.status_code, answer["ETag"]) == (200, '"2"')

    def test_by_patch_is_answered_with_what_it_was_then(self, world, operator, ticket):
        headers = {"Idempotency-Key": KEY}
        path = f"{TICKETS}{ticket.pk}/"
        first = operator.patch(path, {"priority": "LOW"}, format="json", headers=headers)
        actions.edit_ticket(ticket_id=ticket.pk, priority="CRITICAL")
        again = operator.patch(path, {"priority": "LOW"}, format="json", headers=headers)

        assert again.content == first.content
        ticket.refresh_from_db()
        assert ticket.priority == "CRITICAL"

    def test_of_another_user_is_another_request(self, world, api, operator):
        post(operator, TICKETS, new(world))
        answer = post(api(world.a.admin), TICKETS, new(world))

        assert answer.status_code == 201
        assert not answer.has_header("Idempotency-Replayed")
        assert Ticket.objects.count() == 2

    def test_with_a_session_and_its_token_against_forgery_is_done_once(self, world):
        browser = APIClient(enforce_csrf_checks=True)
        browser.force_login(world.a.operator)
        browser.cookies["csrftoken"] = token = "a" * 32
        answers = [post(browser, TICKETS, new(world), **{"X-CSRFToken": token}) for _ in range(2)]

        assert [answer.status_code for answer in answers] == [201, 201]
        assert answers[1].content == answers[0].content
        assert post(browser, TICKETS, new(world)).status_code == 403
        assert Ticket.objects.count() == 1

    def test_carries_actor_and_request_id_and_wakes_the_worker(self, world, operator, captured):
        answer = post(operator, TICKETS, new(world), **{"X-Request-ID": "abc"})

        assert answer.status_code == 201
        [event] = captured()
        assert event.context["actor"] == f"user:{world.a.operator.pk}"
        assert event.context["request_id"] == "abc"

    def test_of_a_finding_too(self, world, operator):
        body = {"site_id": world.a.near.pk, "title": "Disk full"}
        answers = [post(operator, "/api/v1/noc/findings/", body) for _ in range(2)]

        assert answers[0].json() == answers[1].json()
        assert Finding.objects.count() == 1


class TestAnotherRequestWithTheKey:
    def test_is_422_and_changes_nothing(self, world, operator, ticket):
        post(operator, TICKETS, new(world))

        for path, body in (
            (TICKETS, new(world, "Other")),
            (f"{TICKETS}{ticket.pk}/status/", {"status": "IN_PROGRESS"}),
        ):
            answer = post(operator, path, body)
            assert answer.status_code == 422
            assert answer["Content-Type"] == "application/problem+json"
            assert "new key" in answer.json()["detail"]
        assert Ticket.objects.count() == 2

    def test_is_422_when_the_sites_of_the_user_have_changed(self, world, api):
        client = api(world.a.site_operator)
        post(client, TICKETS, new(world))
        world.a.site_operator.membership.sites.set([world.a.far])

        assert post(client, TICKETS, new(world)).status_code == 422


class TestAnError:
    def test_leaves_the_key_free(self, world, operator, ticket):
        path = f"{TICKETS}{ticket.pk}/status/"
        assert post(operator, path, {"status": "ON_HOLD"}).status_code == 400  # without a reason
        assert not KeptAnswer.objects.exists()

        answer = post(operator, path, {"status": "IN_PROGRESS"})
        assert answer.status_code == 200
        assert not answer.has_header("Idempotency-Replayed")

    @pytest.mark.parametrize("key", ["", "a b", "k" * 256, "ümlaut"])
    def test_of_the_key_is_400(self, world, operator, key):
        assert post(operator, TICKETS, new(world), key=key).status_code == 400
        assert not Ticket.objects.exists()

    def test_of_a_body_that_is_too_large_is_413(self, world, operator):
        assert post(operator, TICKETS, new(world, "x" * 300_000)).status_code == 413

    def test_comes_before_the_answer_when_the_right_is_gone(self, world, operator):
        post(operator, TICKETS, new(world))
        membership = world.a.operator.membership
        membership.capabilities = ["noc:view"]
        membership.save()

        assert post(operator, TICKETS, new(world)).status_code == 403


class TestAtTheSameTime:
    def test_two_requests_are_one_write_and_one_event(self, world, api):
        clients = [api(world.a.operator) for _ in range(8)]
        body = new(world)

        def send(client):
            try:
                return post(client, TICKETS, body)
            finally:
                connections.close_all()

        with ThreadPoolExecutor(len(clients)) as pool:
            answers = list(pool.map(send, clients))

        assert {answer.status_code for answer in answers} == {201}
        assert len({answer.content for answer in answers}) == 1
        replayed = sum(answer.has_header("Idempotency-Replayed") for answer in answers)
        assert replayed == len(answers) - 1
        assert Ticket.objects.count() == 1
        stream = f"tenant:{world.a.tenant.pk}"
        assert Message.objects.filter(stream=stream).count() == 1

    def test_the_second_does_it_when_the_first_fails(self, world, api):
        client, started = api(world.a.operator), Event()

        def send():
            try:
                started.set()
                return post(client, TICKETS, new(world))
            finally:
                connections.close_all()

        with (
            ThreadPoolExecutor(1) as pool,
            psycopg.connect(database_url(), autocommit=True) as look,
        ):
            with somebody_holds(world.a.operator, KEY):
                answer = pool.submit(send)
                started.wait(10)
                waiting = (
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
                until(lambda: look.execute(waiting).fetchone()[0] == 1, seconds=20, what="it waits")
            assert answer.result(30).status_code == 201
        assert Ticket.objects.count() == 1

    def test_who_waits_longer_than_the_lock_timeout_is_told_to_come_again(self, world, operator):
        with somebody_holds(world.a.operator, KEY), connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '50ms'")
            answer = post(operator, TICKETS, new(world))

        assert answer.status_code == 409
        assert answer["Retry-After"] == "1"
        assert not Ticket.objects.exists()
        connection.close()


class TestWhatIsNotKept:
    def test_is_an_answer_that_holds_a_secret(self, operator):
        tickets = [post(operator, "/api/v1/auth/ws-ticket/", {}).json() for _ in range(2)]

        assert tickets[0]["ticket"] != tickets[1]["ticket"]
        assert not KeptAnswer.objects.exists()

    def test_is_marked_at_each_view_under_auth(self):
        under_auth = [
            pattern.callback.view_class
            for pattern in paths.urlpatterns
            if isinstance(pattern, URLPattern) and str(pattern.pattern).startswith("auth/")
        ]
        kept = [
            view
            for view in under_auth
            if issubclass(view, ScopedView) and hasattr(view, "post") and view.repeatable
        ]
        assert under_auth
        assert kept == []

    def test_is_what_was_read(self, operator):
        answer = operator.get(TICKETS, headers={"Idempotency-Key": KEY})

        assert answer.status_code == 200
        assert not KeptAnswer.objects.exists()


class TestForget:
    def test_lets_go_of_a_key_after_a_day(self, world, operator):
        for key in ("old", "young"):
            post(operator, TICKETS, new(world), key=key)
        day = timedelta(hours=once.KEPT_HOURS)
        KeptAnswer.objects.filter(key="old").update(made_at=timezone.now() - day)
        KeptAnswer.objects.filter(key="young").update(
            made_at=timezone.now() - day + timedelta(minutes=5)
        )
        tasks.forget()

        assert set(KeptAnswer.objects.values_list("key", flat=True)) == {"young"}
