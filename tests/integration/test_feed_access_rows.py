"""What takes somebody's access away is a message in the same transaction, however it is done."""

import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.db.models import F
from django.http import HttpRequest
from django.test import Client
from django.utils import timezone
from knox.models import AuthToken

import outbox
from apps.tenancy.models import Membership, Tenant
from apps.tenancy.tokens import new_token
from outbox import log, relay
from outbox.lanes import lane_of
from outbox.models import Message
from project.data_folder import DataFolder
from tests.integration.conftest import World, make_user
from tests.integration.outbox_fixtures import LANES, nudges
from tests.integration.processes import database_url

Changes = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def changes(world: World) -> Changes:
    """Return the payloads of the changes of access since the last call, in order."""
    seen = [0]

    def read() -> list[dict[str, Any]]:
        found = list(Message.objects.filter(id__gt=seen[0], stream="access").order_by("id"))
        assert {message.type for message in found} <= {"access_changed"}
        if found:
            seen[0] = found[-1].pk
        return [message.payload for message in found]

    return read


def sql(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def session_of(user: User) -> str:
    request = HttpRequest()
    request.session = SessionStore()
    login(request, user)
    request.session.save()
    return str(request.session.session_key)


def rows_of(user: User) -> Any:
    return User.objects.filter(pk=user.pk)


def member(user: User) -> Any:
    return Membership.objects.filter(user=user)


def save(row: Any, **values: Any) -> None:
    for name, value in values.items():
        setattr(row, name, value)
    row.save()


# Each takes the world, and changes the access of a's operator (the site operator's for sites).
OF_USER: dict[str, Callable[[World], object]] = {
    "password saved": lambda w: save(w.a.operator, password="x"),
    "password updated": lambda w: rows_of(w.a.operator).update(password="x"),
    "password in SQL": lambda w: sql(
        "UPDATE auth_user SET password = 'x' WHERE id = %s", w.a.operator.pk
    ),
    "is_active saved": lambda w: save(w.a.operator, is_active=False),
    "is_active updated": lambda w: rows_of(w.a.operator).update(is_active=False),
    "is_active in SQL": lambda w: sql(
        "UPDATE auth_user SET is_active = false WHERE id = %s", w.a.operator.pk
    ),
    "capabilities saved": lambda w: save(w.a.operator.membership, capabilities=[]),
    "capabilities updated": lambda w: member(w.a.operator).update(capabilities=[]),
    "capabilities in SQL": lambda w: sql(
        "UPDATE tenancy_membership SET capabilities = '{}' WHERE user_id = %s", w.a.operator.pk
    ),
    "all_sites saved": lambda w: save(w.a.operator.membership, all_sites=False),
    "all_sites updated": lambda w: member(w.a.operator).update(all_sites=False),
    "all_sites in SQL": lambda w: sql(
        "UPDATE tenancy_membership SET all_sites = false WHERE user_id = %s", w.a.operator.pk
    ),
    "another user": lambda w: member(w.a.operator).update(user=User.objects.create(username="x")),
    "membership deleted": lambda w: w.a.operator.membership.delete(),
    "memberships deleted": lambda w: member(w.a.operator).delete(),
    "membership deleted in SQL": lambda w: sql(
        "DELETE FROM tenancy_membership WHERE user_id = %s", w.a.operator.pk
    ),
}


class TestChange:
    @pytest.mark.parametrize("way", OF_USER)
    def test_of_a_user_names_the_user(self, world: World, changes: Changes, way: str) -> None:
        changes()

        OF_USER[way](world)

        assert changes() == [{"user_id": world.a.operator.pk}]

    @pytest.mark.parametrize(
        "way",
        [
            lambda sites, near, far: sites.add(far),
            lambda sites, near, far: sites.remove(near),
            lambda sites, near, far: sites.through.objects.update(site=far),
            lambda sites, near, far: sites.through.objects.filter(site=near).delete(),
            lambda sites, near, far: sql(
                "UPDATE tenancy_membership_sites SET site_id = %s WHERE site_id = %s",
                far.pk,
                near.pk,
            ),
            lambda sites, near, far: sql("DELETE FROM tenancy_membership_sites"),
        ],
        ids=["added", "removed", "updated", "deleted", "updated in SQL", "deleted in SQL"],
    )
    def test_of_sites_names_the_user(
        self, world: World, changes: Changes, way: Callable[..., object]
    ) -> None:
        user = world.a.site_operator
        world.b.site_operator.membership.sites.clear()
        changes()

        way(user.membership.sites, world.a.near, world.a.far)

        assert changes() == [{"user_id": user.pk}]

    @pytest.mark.parametrize(
        "way",
        [
            lambda tenant: save(tenant, suspended_at=timezone.now()),
            lambda tenant: Tenant.objects.filter(pk=tenant.pk).update(suspended_at=timezone.now()),
            lambda tenant: sql(
                "UPDATE tenancy_tenant SET suspended_at = now() WHERE id = %s", tenant.pk
            ),
        ],
        ids=["saved", "updated", "in SQL"],
    )
    def test_of_a_suspension_names_the_tenant(
        self, world: World, changes: Changes, way: Callable[[Tenant], object]
    ) -> None:
        changes()

        way(world.a.tenant)

        assert changes() == [{"tenant_id": world.a.tenant.pk}]

    @pytest.mark.parametrize(
        "way",
        [
            lambda tokens: tokens.get().delete(),
            lambda tokens: tokens.delete(),
            lambda tokens: sql("DELETE FROM knox_authtoken"),
            lambda tokens: save(tokens.get(), expiry=timezone.now()),
            lambda tokens: tokens.update(expiry=timezone.now()),
            lambda tokens: tokens.update(user=User.objects.create(username="x")),
            lambda tokens: sql("UPDATE knox_authtoken SET expiry = now()"),
        ],
        ids=[
            *("deleted", "all deleted", "deleted in SQL", "expiry saved", "expiry updated"),
            *("another user", "expiry in SQL"),
        ],
    )
    def test_of_a_token_names_its_user(
        self, world: World, changes: Changes, way: Callable[[Any], object]
    ) -> None:
        new_token(world.a.operator)
        changes()

        way(AuthToken.objects.filter(user=world.a.operator))

        assert changes() == [{"user_id": world.a.operator.pk}]

    @pytest.mark.parametrize(
        "way",
        [
            lambda sessions: sessions.get().delete(),
            lambda sessions: sessions.delete(),
            lambda sessions: sql("DELETE FROM django_session"),
        ],
        ids=["deleted", "all deleted", "in SQL"],
    )
    def test_of_a_session_names_its_digest(
        self, world: World, changes: Changes, way: Callable[[Any], object]
    ) -> None:
        key = session_of(world.a.operator)
        changes()

        way(Session.objects.filter(session_key=key))

        assert changes() == [{"session": sha256(key.encode()).hexdigest()}]

    def test_of_a_logout_names_the_session(self, world: World, changes: Changes) -> None:
        browser = Client()
        browser.force_login(world.a.operator)
        key = browser.session.session_key
        changes()

        browser.logout()

        assert changes() == [{"session": sha256(key.encode()).hexdigest()}]

    def test_that_is_rolled_back_leaves_nothing(self, world: World, changes: Changes) -> None:
        changes()

        with transaction.atomic():
            for way in OF_USER.values():
                with transaction.atomic():
                    way(world)
                    transaction.set_rollback(True)
            transaction.set_rollback(True)

        assert changes() == []

    def test_of_a_deleted_user_names_the_user_and_fails_nowhere(
        self, world: World, changes: Changes
    ) -> None:
        user = world.a.site_operator
        pk = user.pk
        new_token(user)
        changes()

        user.delete()

        assert changes()
        assert not Membership.objects.filter(user_id=pk).exists()

    def test_of_a_membership_deleted_before_its_sites_names_the_user(
        self, world: World, changes: Changes
    ) -> None:
        user = world.a.site_operator
        pk = user.membership.pk
        changes()

        with transaction.atomic():
            sql("DELETE FROM tenancy_membership WHERE id = %s", pk)
            sql("DELETE FROM tenancy_membership_sites WHERE membership_id = %s", pk)

        assert changes() == [{"user_id": user.pk}]

    def test_carries_who_made_it(self, world: World) -> None:
        with outbox.context(actor="user:7"):
            save(world.a.operator, is_active=False)

        message = Message.objects.get(stream="access")
        assert (message.subject, message.context) == (
            f"user:{world.a.operator.pk}",
            {"actor": "user:7"},
        )

    def test_is_not_what_takes_nothing_away(self, world: World, changes: Changes) -> None:
        changes()

        user = make_user("newcomer", world.a.tenant, ["noc:view"], sites=[world.a.near])
        new_token(user)
        key = session_of(user)  # also moves last_login
        save(user, first_name="New")
        save(user.membership)
        user.membership.sites.set([world.a.near])
        save(world.a.tenant, name="Renamed")
        Session.objects.filter(session_key=key).update(expire_date=timezone.now())
        call_command("clearsessions")

        assert not Session.objects.filter(session_key=key).exists()
        assert changes() == []


class TestSecrets:
    def test_are_in_neither_outbox_nor_log(self, world: World) -> None:
        key, token = session_of(world.a.operator), new_token(world.a.operator)
        (digest,) = AuthToken.objects.values_list("digest", flat=True)
        save(world.a.operator, password="a-password-hash")
        Session.objects.all().delete()
        AuthToken.objects.all().delete()
        texts = [text_of("outbox_message")]

        relay.drain(lane_of("access", 8), deadline=0)
        relay.drain(lane_of("access", 8), deadline=0)

        assert log.head("access").last_seq == 3
        texts.append(text_of("event_log"))
        for text in texts:
            assert text.count("access_changed") == 3
            for secret in (key, token, digest, "a-password-hash"):
                assert secret not in text


def text_of(table: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT string_agg(t::text, chr(10)) FROM {table} t")
        return cursor.fetchone()[0]


class TestRole:
    """The role of web and worker, which owns nothing."""

    @pytest.fixture
    def app(self, world: World) -> Iterator[psycopg.Connection[Any]]:
        password = DataFolder(Path(os.environ["NOC_TEST_FOLDER"])).secrets()["noc_app"]
        owner = urlsplit(database_url())
        url = owner._replace(netloc=f"noc_app:{quote(password)}@{owner.hostname}:{owner.port}")
        with psycopg.connect(url.geturl(), autocommit=True) as session:
            yield session

    def test_may_make_every_change(
        self, world: World, changes: Changes, app: psycopg.Connection[Any]
    ) -> None:
        key = session_of(world.a.operator)
        new_token(world.a.operator)
        changes()

        app.execute("UPDATE auth_user SET password = 'x' WHERE id = %s", [world.a.operator.pk])
        app.execute("UPDATE tenancy_tenant SET suspended_at = now() WHERE slug = 'a'")
        app.execute("DELETE FROM django_session")
        app.execute("DELETE FROM knox_authtoken")
        app.execute("DELETE FROM tenancy_membership_sites")

        assert changes() == [
            {"user_id": world.a.operator.pk},
            {"tenant_id": world.a.tenant.pk},
            {"session": sha256(key.encode()).hexdigest()},
            {"user_id": world.a.operator.pk},
            {"user_id": world.a.site_operator.pk},
            {"user_id": world.b.site_operator.pk},
        ]


class TestNudge:
    @pytest.fixture
    def nudged(self, world: World, outbox: None) -> Callable[[], list[Any]]:
        def read() -> list[Any]:
            found = list(nudges)
            nudges.clear()
            return found

        return read

    def test_follows_each_change_that_a_model_makes(
        self, world: World, nudged: Callable[[], list[Any]]
    ) -> None:
        lane = [(lane_of("access", LANES),)]
        user, browser = world.a.site_operator, Client()
        new_token(user)
        browser.force_login(user)
        nudged()

        for change in (
            lambda: save(user, password="x"),
            lambda: user.save(update_fields=["is_active"]),
            lambda: save(user.membership, capabilities=[]),
            lambda: user.membership.sites.clear(),
            lambda: save(world.a.tenant, suspended_at=timezone.now()),
            lambda: AuthToken.objects.all().delete(),
            browser.logout,
            user.membership.delete,
        ):
            change()
            assert nudged() == lane, change

    def test_does_not_follow_a_login(self, world: World, nudged: Callable[[], list[Any]]) -> None:
        nudged()

        new_token(world.a.operator)
        session_of(world.a.operator)

        assert nudged() == []


class TestScopeSeq:
    """Note [Cursors of another scope] in apps/tenancy/triggers.py."""

    @pytest.fixture
    def head(self, world: World) -> int:
        with transaction.atomic():
            for number in range(3):
                outbox.publish(
                    "x", stream=f"tenant:{world.a.tenant.pk}", subject="s", payload={"n": number}
                )
        relay.drain(lane_of(f"tenant:{world.a.tenant.pk}", 8), deadline=0)
        return 3

    def test_is_null_until_the_sites_change(self, world: World, head: int) -> None:
        save(world.a.site_operator.membership, capabilities=["noc:view"])

        assert seq_of(world.a.site_operator) is None

    @pytest.mark.parametrize(
        "way",
        [
            lambda sites, near, far: sites.add(far),
            lambda sites, near, far: sites.remove(near),
            lambda sites, near, far: sites.through.objects.filter(site=near).update(site=far),
            lambda sites, near, far: sql("DELETE FROM tenancy_membership_sites"),
            lambda sites, near, far: Membership.objects.update(all_sites=True),
            lambda sites, near, far: sql("UPDATE tenancy_membership SET all_sites = true"),
        ],
    )
    def test_is_the_head_when_they_change(
        self, world: World, head: int, way: Callable[..., object]
    ) -> None:
        user = world.a.site_operator

        way(user.membership.sites, world.a.near, world.a.far)

        assert seq_of(user) == head
        assert seq_of(world.b.site_operator) is None  # of a tenant without events

    def test_is_moved_when_sites_change_in_the_transaction_of_another_write(
        self, world: World, head: int
    ) -> None:
        membership = world.a.site_operator.membership

        with transaction.atomic():
            membership.save()
            membership.sites.set([world.a.far])

        assert seq_of(world.a.site_operator) == head

    def test_is_null_for_sites_given_with_the_membership(self, world: World, head: int) -> None:
        user = make_user("newcomer", world.a.tenant, ["noc:view"], sites=[world.a.near])

        assert seq_of(user) is None

    def test_stays_below_no_change_of_a_deleted_site(self, world: World, head: int) -> None:
        world.a.near.delete()

        assert seq_of(world.a.site_operator) == head

    def test_change_to_another_tenants_site_is_refused(self, world: World, head: int) -> None:
        with pytest.raises(IntegrityError, match="not of the tenant"):
            world.a.site_operator.membership.sites.add(world.b.near)

        assert seq_of(world.a.site_operator) is None


def seq_of(user: User) -> int | None:
    return Membership.objects.values_list(F("scope_seq"), flat=True).get(user=user)
