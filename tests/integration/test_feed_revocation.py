"""Every way to lose rights ends the sockets that rested on them, and no others.

Real web and worker processes; the changes are made here, by the ORM and past it.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection
from django.db.models.functions import Now

from apps.tenancy.models import Membership, Tenant
from tests.integration.feed_crowd import Watcher, all_of
from tests.integration.feed_rig import Rig, browser_of, rig_on, ticket_of, token_of
from tests.integration.processes import WORKER, RedisServer, celery, until
from tests.integration.web_process import WebProcess

KINDS = ("session", "session ticket", "token", "token ticket")


@dataclass
class Person:
    """A user at one site of a tenant of their own, with a socket of each kind."""

    rig: Rig
    web: WebProcess
    name: str
    sockets: dict[str, Watcher] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tenant = Tenant.objects.create(name=self.name, slug=self.name.replace(" ", "-"))
        self.near = self.tenant.sites.create(code="NEAR", name="Near")
        self.far = self.tenant.sites.create(code="FAR", name="Far")
        self.user = self.rig.user(self.name, self.tenant, [self.near, self.far])
        self.browser = browser_of(self.web, self.user)
        self.token = token_of(self.user)
        for kind, headers in (("session", self.browser), ("token", self.token)):
            self.sockets[kind] = self._watch(headers)
            ticket = ticket_of(self.web, headers)
            self.sockets[f"{kind} ticket"] = self._watch({}, subprotocol=f"noc.ticket.{ticket}")
        colleague = self.rig.user(f"{self.name}: colleague", self.tenant)
        self.colleague = self.rig.watch(self.web, colleague, returns=False)

    def _watch(self, headers: dict[str, str], **options: str) -> Watcher:
        return self.rig.watch(self.web, self.user, headers=headers, returns=False, **options)

    @property
    def membership(self) -> Membership:
        return Membership.objects.get(user=self.user)

    @property
    def session_key(self) -> str:
        return self.browser["Cookie"].partition(";")[0].partition("=")[2]


def sql(statement: str, *values: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def log_out(person: Person) -> None:
    status, _ = person.web.request("POST", "/logout/", person.browser)
    assert status == 302


def change_password(person: Person) -> None:
    person.user.set_password("another-password")
    person.user.save()


def deactivate(person: Person) -> None:
    person.user.is_active = False
    person.user.save()


def take_capability(person: Person) -> None:
    membership = person.membership
    membership.capabilities = ["ticket:write"]
    membership.save()


def suspend(person: Person) -> None:
    person.tenant.suspended_at = Now()
    person.tenant.save()


OF_SESSION = dict.fromkeys(["session", "session ticket"], 4401)
OF_TOKEN = dict.fromkeys(["token", "token ticket"], 4401)
EXPIRED = dict.fromkeys(KINDS, 4401)
REVOKED = dict.fromkeys(KINDS, 4403)
MOVED = dict.fromkeys(KINDS, 4001)
# A token outlives a change of the password; its sockets come back with it.
REFUSED = [("session", 4401), ("session", 4403), ("token", 4403)]
SITES = "tenancy_membership_sites"

# What is done to a person, and the close codes of the sockets that it ends.
WAYS: dict[str, tuple[Callable[[Person], object], dict[str, int]]] = {
    "logout": (log_out, OF_SESSION),
    "session deleted": (
        lambda it: Session.objects.get(session_key=it.session_key).delete(),
        OF_SESSION,
    ),
    "session deleted in SQL": (
        lambda it: sql("DELETE FROM django_session WHERE session_key = %s", it.session_key),
        OF_SESSION,
    ),
    "session expired in SQL": (
        lambda it: sql(
            "UPDATE django_session SET expire_date = now() WHERE session_key = %s", it.session_key
        ),
        OF_SESSION,
    ),
    "token deleted": (lambda it: it.user.auth_token_set.first().delete(), OF_TOKEN),
    "token deleted in SQL": (
        lambda it: sql("DELETE FROM knox_authtoken WHERE user_id = %s", it.user.pk),
        OF_TOKEN,
    ),
    "password": (change_password, EXPIRED),
    "password in SQL": (
        lambda it: sql("UPDATE auth_user SET password = 'x' WHERE id = %s", it.user.pk),
        EXPIRED,
    ),
    "is_active": (deactivate, REVOKED),
    "is_active by update": (
        lambda it: User.objects.filter(pk=it.user.pk).update(is_active=False),
        REVOKED,
    ),
    "capability": (take_capability, REVOKED),
    "capability by update": (
        lambda it: Membership.objects.filter(user=it.user).update(capabilities=[]),
        REVOKED,
    ),
    "membership": (lambda it: it.membership.delete(), REVOKED),
    "membership in SQL": (
        lambda it: sql(
            f"DELETE FROM {SITES} WHERE membership_id = %s;"
            " DELETE FROM tenancy_membership WHERE id = %s",
            it.membership.pk,
            it.membership.pk,
        ),
        REVOKED,
    ),
    "sites": (lambda it: it.membership.sites.set([it.near]), MOVED),
    "sites in SQL": (lambda it: sql(f"DELETE FROM {SITES} WHERE site_id = %s", it.far.pk), MOVED),
    "all sites by update": (
        lambda it: Membership.objects.filter(user=it.user).update(all_sites=True),
        MOVED,
    ),
    "tenant": (suspend, REVOKED),
    "tenant by update": (
        lambda it: Tenant.objects.filter(pk=it.tenant.pk).update(suspended_at=Now()),
        REVOKED,
    ),
}
# Nothing tells of it but the regular look at all sockets, every 20 s.
UNTOLD = {"session expired in SQL"}
TOLD = [name for name in WAYS if name not in UNTOLD]


@dataclass
class Trial:
    """Everybody at once, with events written for each tenant all the time."""

    rig: Rig
    web: WebProcess
    began: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.people = {name: Person(self.rig, self.web, name) for name in WAYS}
        all_of(self.rig.crowd.watchers, lambda watcher: watcher.synced, what="synced")

    @contextmanager
    def writing(self) -> Iterator[None]:
        sites = [person.near for person in self.people.values()]
        with self.rig.writing(*sites, every_seconds=0.5):
            yield
            heads = {name: self.rig.head(person.near) for name, person in self.people.items()}
            until(
                lambda: all(self.rig.head(self.people[name].near) > heads[name] for name in heads),
                what="events after all that",
            )

    def lose(self, name: str) -> None:
        WAYS[name][0](self.people[name])
        self.began[name] = time.time()

    def ended(self, name: str) -> list[Watcher]:
        """Return the sockets that are to end by this."""
        return [self.people[name].sockets[kind] for kind in WAYS[name][1]]

    def wait(self, *names: str, seconds: float) -> None:
        """Return when these have lost their sockets, or after ``seconds``: ``check`` tells."""
        watchers = [watcher for name in names for watcher in self.ended(name)]
        with suppress(AssertionError):
            all_of(watchers, lambda watcher: watcher.codes, seconds=seconds)

    def check(self) -> None:
        """Whoever was to lose a socket did, in the right way; the others missed nothing."""
        codes = {
            name: {kind: each.codes[0] for kind, each in person.sockets.items() if each.codes}
            for name, person in self.people.items()
        }
        assert codes == {name: WAYS[name][1] if name in self.began else {} for name in WAYS}
        for name, person in self.people.items():
            head = self.rig.head(person.near)
            shut = self.ended(name) if name in self.began else []
            for watcher in shut:
                code = watcher.codes[0]
                assert [bye["code"] for bye in watcher.byes] == [code], name
                assert watcher.resets == (["scope"] if code == 4001 else []), name
                assert watcher.breaches == [], name
                assert watcher.last < head, name
            suspended = "tenant" in name and name in self.began
            stayed = [each for each in person.sockets.values() if each not in shut]
            stayed += [] if suspended else [person.colleague]
            all_of(stayed, lambda watcher, head=head: watcher.last == head, what="at the head")
            for watcher in stayed:
                assert watcher.seqs == list(range(watcher.seqs[0], head + 1)), name
                assert (watcher.breaches, watcher.codes) == ([], []), name
            assert person.colleague.codes == ([4403] if suspended else []), name

    def figures(self) -> dict[str, tuple[float, float]]:
        """Return the seconds to the last close, and to the record of the last event got."""
        figures = {}
        for name, began in self.began.items():
            recorded = self.rig.recorded(self.people[name].tenant)
            ended = self.ended(name)
            closed = max(each.closed_at for each in ended)
            last = max((recorded[seq] for each in ended for seq in each.seqs[-1:]), default=0.0)
            figures[name] = round(closed - began, 2), round(max(0.0, last - began), 2)
        return figures


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def rig(database: None, redis: RedisServer, tmp_path: Path) -> Iterator[Rig]:
    log = tmp_path / "worker.log"
    with rig_on(tmp_path, redis.url) as rig, celery(*WORKER, redis_url=redis.url, log=log):
        yield rig
    sys.stdout.write(f"\n--- {log.name}\n{log.read_text(errors='replace')}")


@pytest.fixture
def trial(rig: Rig) -> Trial:
    return Trial(rig, rig.web(FEED_SOCKETS_PER_USER=10))


class TestRevocation:
    def test_ends_the_sockets_that_rested_on_what_was_lost(
        self, trial: Trial, record_property: Callable[[str, object], None]
    ) -> None:
        with trial.writing():
            for name in TOLD:
                trial.lose(name)
                trial.wait(name, seconds=10)

        trial.check()
        record_property("seconds to the close, to the last event", trial.figures())

    def test_does_so_without_redis(
        self,
        trial: Trial,
        redis: RedisServer,
        record_property: Callable[[str, object], None],
    ) -> None:
        redis.stop()
        with trial.writing():
            for name in WAYS:
                trial.lose(name)
            trial.wait(*WAYS, seconds=60)

        trial.check()
        record_property("seconds to the close, to the last event", trial.figures())

    def test_refuses_a_new_connection(self, rig: Rig) -> None:
        web = rig.web()
        for name, (lose, codes) in WAYS.items():
            if kinds := [kind for kind, code in codes.items() if (kind, code) in REFUSED]:
                person = Person(rig, web, name)
                lose(person)
                headers = [person.sockets[kind].headers for kind in kinds]
                again = [rig.watch(web, person.user, headers=each) for each in headers]
                all_of(again, lambda watcher: watcher.refusals == [403], what=name)


class TestScope:
    """What somebody may see is what they may see now, wherever they go on from."""

    @pytest.fixture
    def web(self, rig: Rig) -> WebProcess:
        return rig.web()

    @pytest.fixture
    def person(self, rig: Rig, web: WebProcess) -> Person:
        person = Person(rig, web, "guard")
        rig.write(person.near, 3)
        rig.write(person.far, 3)
        rig.write(person.near, 1)
        until(lambda: rig.head(person.near) == 7, what="recorded")
        return person

    def test_of_a_resume_is_the_present_one(
        self, rig: Rig, web: WebProcess, person: Person
    ) -> None:
        epoch = person.colleague.epoch
        all_of(person.sockets.values(), lambda watcher: watcher.last == 7, what="at the head")
        person.membership.sites.set([person.near])
        all_of(person.sockets.values(), lambda watcher: watcher.codes == [4001], what="sent away")

        back = [
            rig.watch(web, person.user, headers=headers, last=5, epoch=epoch, anew=0)
            for headers in (person.browser, person.token)
        ]
        all_of(back, lambda watcher: watcher.last == 7, what="back at the head")
        rig.write(person.far, 2)
        rig.write(person.near, 1)

        all_of(back, lambda watcher: watcher.last == 10, what="the next event")
        for watcher in back:
            assert watcher.hello["scope"] == {"sites": [person.near.pk]}
            assert watcher.resets == ["scope"]
            assert watcher.seqs == [1, 2, 3, 7, 10]
            assert watcher.breaches == []

    def test_of_a_client_that_stays_is_the_new_one(
        self, rig: Rig, web: WebProcess, person: Person
    ) -> None:
        stays = rig.watch(web, person.user)
        all_of([stays], lambda watcher: watcher.synced, what="synced")
        person.membership.sites.set([person.near])
        all_of([stays], lambda watcher: watcher.connects == 2, what="back")
        all_of([stays], lambda watcher: watcher.synced, what="synced again")
        rig.write(person.far, 2)
        rig.write(person.near, 1)

        all_of([stays], lambda watcher: watcher.last == 10, what="the next event")
        assert stays.codes == [4001]
        assert stays.seqs == [10]
        assert stays.breaches == []

    def test_of_the_api_is_the_present_one(self, rig: Rig, web: WebProcess, person: Person) -> None:
        person.membership.sites.set([person.near])

        events = answer_of(web, "/api/v1/noc/events/?after_seq=0", person.token)
        snapshot = answer_of(web, "/api/v1/noc/snapshot/", person.browser)

        assert [event["seq"] for event in events["results"]] == [1, 2, 3, 7]
        assert {ticket["site_id"] for ticket in snapshot["tickets"]} == {person.near.pk}
        Membership.objects.filter(user=person.user).delete()
        for path in ("/api/v1/noc/events/", "/api/v1/noc/snapshot/"):
            assert web.request("GET", path, person.token)[0] == 403


def answer_of(web: WebProcess, path: str, headers: dict[str, str]) -> Any:
    status, body = web.request("GET", path, headers)
    assert status == 200, body
    return json.loads(body)
