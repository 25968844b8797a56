"""Who may open the websocket, what the socket rests on, and when it does not any more."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db import connection, transaction
from django.db.models.functions import Now
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from knox.models import AuthToken

import outbox
from apps.noc.feed.admission import Credentials, Grant, admit, credentials_of
from apps.noc.feed.grants import review
from apps.tenancy import tickets
from apps.tenancy.models import Membership, Tenant, WsTicket
from apps.tenancy.tokens import new_token
from outbox import relay
from outbox.lanes import lane_of
from tests.integration.conftest import World, make_user

ORIGIN = "https://noc.example"
EVIL = "https://evil.example"


@pytest.fixture(autouse=True)
def origins(settings: Any) -> None:
    settings.ALLOWED_ORIGINS = [ORIGIN]


def by_token(user: User, **more: Any) -> Credentials:
    return Credentials(authorization=f"Token {new_token(user)}", **more)


def by_session(user: User, **more: Any) -> Credentials:
    browser = Client()
    browser.force_login(user)
    return Credentials(**{"session_key": browser.session.session_key, "origins": (ORIGIN,), **more})


def by_ticket(credentials: Credentials, **more: Any) -> Credentials:
    """Make a ticket with the credential that these have."""
    grant = admit(credentials)
    ticket = tickets.issue(tickets.Credential(grant.user_id, grant.kind, grant.key))
    return Credentials(ticket=ticket, **more)


WAYS: dict[str, Callable[[User], Credentials]] = {
    "token": by_token,
    "session": by_session,
    "ticket of a token": lambda user: by_ticket(by_token(user)),
    "ticket of a session": lambda user: by_ticket(by_session(user)),
}


class TestCredentials:
    def test_are_read_from_headers_and_subprotocols(self) -> None:
        headers = [
            (b"Origin", b"https://noc.example"),
            (b"authorization", b"Token abc"),
            (b"cookie", f"a=b; {django_settings.SESSION_COOKIE_NAME}=key".encode()),
        ]

        found = credentials_of(headers, ["other", "noc.ticket.xyz"])

        assert found == Credentials(
            origins=("https://noc.example",),
            authorization="Token abc",
            ticket="xyz",
            session_key="key",
            subprotocol="noc.ticket.xyz",
        )

    @pytest.mark.parametrize(
        "lines", [[b"other, noc.ticket.xyz"], [b"other", b"noc.ticket.xyz ,third"]]
    )
    def test_of_a_subprotocol_header_are_read_too(self, lines: list[bytes]) -> None:
        found = credentials_of([(b"Sec-WebSocket-Protocol", line) for line in lines])

        assert (found.ticket, found.subprotocol) == ("xyz", "noc.ticket.xyz")

    def test_name_no_subprotocol_that_is_not_ours(self) -> None:
        assert credentials_of([], ["noc.other", "ticket"]) == Credentials()


class TestAdmit:
    @pytest.mark.parametrize("way", WAYS)
    def test_lets_in_who_may_watch(self, world: World, way: str) -> None:
        user = world.a.site_operator

        grant = admit(WAYS[way](user))

        assert (grant.user_id, grant.tenant_id) == (user.pk, world.a.tenant.pk)
        assert grant.sites == {world.a.near.pk}
        assert grant.kind == ("session" if "session" in way else "token")
        assert grant.scope_seq is None

    def test_gives_a_ticket_the_credential_that_made_it(self, world: World) -> None:
        for credentials in (by_token(world.a.operator), by_session(world.a.operator)):
            assert admit(by_ticket(credentials)) == admit(credentials)

    @pytest.mark.parametrize("way", WAYS)
    def test_refuses_who_may_not(self, world: World, way: str) -> None:
        suspended = world.b.operator
        inactive, memberless = world.a.operator, world.a.admin
        credentials = [WAYS[way](user) for user in (suspended, inactive, memberless)]
        Tenant.objects.filter(pk=world.b.tenant.pk).update(suspended_at=Now())
        User.objects.filter(pk=inactive.pk).update(is_active=False)
        memberless.membership.delete()

        assert [admit(each) for each in credentials] == [None, None, None]

    @pytest.mark.parametrize("way", ["token", "session"])
    def test_refuses_who_lacks_the_capability(self, world: World, way: str) -> None:
        assert admit(WAYS[way](world.a.guest)) is None

    @pytest.mark.parametrize("way", WAYS)
    def test_refuses_a_page_of_another_origin(self, world: World, way: str) -> None:
        credentials = WAYS[way](world.a.operator)

        assert admit(replace(credentials, origins=(EVIL,))) is None
        assert admit(replace(credentials, origins=(ORIGIN, EVIL))) is None
        assert admit(replace(credentials, origins=(ORIGIN,))) is not None

    def test_needs_an_origin_for_a_cookie_alone(self, world: World) -> None:
        assert admit(by_session(world.a.operator, origins=())) is None

    def test_does_not_use_a_ticket_that_a_page_of_another_origin_brings(self, world: World) -> None:
        credentials = by_ticket(by_token(world.a.operator))

        admit(replace(credentials, origins=(EVIL,)))

        assert admit(credentials) is not None
        assert admit(credentials) is None

    def test_goes_by_the_header_then_the_ticket_then_the_cookie(self, world: World) -> None:
        cookie = by_session(world.a.operator)
        ticket = by_ticket(by_token(world.a.reader)).ticket
        token = by_token(world.a.admin).authorization

        assert admit(replace(cookie, ticket=ticket, authorization="Token none")) is None
        assert admit(replace(cookie, ticket=ticket, authorization=f"Bearer {token}")) is None
        both = admit(replace(cookie, ticket=ticket, authorization=token))
        assert both.user_id == world.a.admin.pk
        assert WsTicket.objects.count() == 1  # not used up by these
        assert admit(replace(cookie, ticket=ticket)).user_id == world.a.reader.pk
        assert admit(replace(cookie, ticket=ticket)) is None
        assert admit(cookie).user_id == world.a.operator.pk

    def test_refuses_a_ticket_whose_session_or_token_has_ended(self, world: World) -> None:
        made = [by_ticket(way(world.a.operator)) for way in (by_session, by_token)]
        Session.objects.all().delete()
        AuthToken.objects.all().delete()

        assert [admit(each) for each in made] == [None, None]

    def test_refuses_a_session_of_another_password_and_leaves_it(self, world: World) -> None:
        credentials = by_session(world.a.operator)
        User.objects.filter(pk=world.a.operator.pk).update(password="x")

        assert admit(credentials) is None
        assert Session.objects.filter(session_key=credentials.session_key).exists()

    def test_lets_in_a_session_that_an_older_secret_key_signed_and_leaves_it(
        self, world: World, settings: Any
    ) -> None:
        credentials = by_session(world.a.operator)
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another" * 10

        assert admit(credentials) is not None
        assert Session.objects.filter(session_key=credentials.session_key).exists()

    @pytest.mark.parametrize("key", ["", "\0", "x", "x" * 10_000, "ä", "'"])
    def test_refuses_what_is_no_session(self, database: None, key: str) -> None:
        assert admit(Credentials(session_key=key, origins=(ORIGIN,))) is None

    def test_refuses_a_session_that_nobody_is_logged_in_to(self, database: None) -> None:
        browser = Client()
        key = browser.session.session_key

        assert admit(Credentials(session_key=key, origins=(ORIGIN,))) is None

    def test_refuses_what_has_expired(self, world: World) -> None:
        session, token = by_session(world.a.operator), by_token(world.a.operator)
        Session.objects.update(expire_date=Now())
        AuthToken.objects.update(expiry=Now())

        assert [admit(session), admit(token)] == [None, None]

    @pytest.mark.parametrize(
        ("way", "most"),
        [("token", 2), ("session", 2), ("ticket of a token", 3), ("ticket of a session", 3)],
    )
    def test_is_a_few_queries(self, world: World, way: str, most: int) -> None:
        credentials = WAYS[way](world.a.site_operator)

        with CaptureQueriesContext(connection) as queries:
            assert admit(credentials) is not None

        assert len(queries) == most


class TestScopeSeq:
    """Note [Cursors of another scope] in apps/tenancy/triggers.py."""

    @pytest.fixture
    def write(self, world: World) -> Callable[[], None]:
        stream = f"tenant:{world.a.tenant.pk}"

        def one() -> None:
            with transaction.atomic():
                outbox.publish("x", stream=stream, subject="s", payload={})
            relay.drain(lane_of(stream, 8), deadline=0)

        return one

    def test_goes_along_with_the_head_for_a_minute_and_then_stays(
        self, world: World, write: Callable[[], None]
    ) -> None:
        credentials = by_token(world.a.site_operator)
        write()
        assert admit(credentials).scope_seq is None

        world.a.site_operator.membership.sites.set([world.a.far])
        assert admit(credentials).scope_seq == 1
        write()
        assert admit(credentials).scope_seq == 2
        write()
        long_ago = timezone.now() - timedelta(seconds=61)
        Membership.objects.filter(scope_seq__gt=0).update(scope_changed_at=long_ago)
        assert admit(credentials).scope_seq == 3
        write()

        assert admit(credentials).scope_seq == 3

    def test_stays_null_when_the_stream_had_no_event_at_the_change(
        self, world: World, write: Callable[[], None]
    ) -> None:
        world.a.site_operator.membership.sites.set([world.a.far])
        write()

        assert admit(by_token(world.a.site_operator)).scope_seq is None


# What is done to the operator of tenant a: the close codes of their session and of their token.
LOSSES: dict[str, tuple[Callable[[World, Grant, Grant], object], tuple[int | None, int | None]]] = {
    "logout": (
        lambda w, session, token: Session.objects.filter(session_key=session.key).delete(),
        (4401, None),
    ),
    "session expired": (
        lambda w, session, token: Session.objects.update(expire_date=Now()),
        (4401, None),
    ),
    "token deleted": (
        lambda w, session, token: AuthToken.objects.filter(digest=token.key).delete(),
        (None, 4401),
    ),
    "token expired": (
        lambda w, session, token: AuthToken.objects.update(expiry=Now()),
        (None, 4401),
    ),
    "token of somebody else": (
        lambda w, session, token: AuthToken.objects.update(user=w.a.reader),
        (None, 4401),
    ),
    "password": (lambda w, session, token: User.objects.update(password="x"), (4401, 4401)),
    "is_active": (lambda w, session, token: User.objects.update(is_active=False), (4403, 4403)),
    "capability": (
        lambda w, session, token: Membership.objects.update(capabilities=["ticket:write"]),
        (4403, 4403),
    ),
    "membership": (lambda w, session, token: w.a.operator.membership.delete(), (4403, 4403)),
    "suspended": (
        lambda w, session, token: Tenant.objects.update(suspended_at=Now()),
        (4403, 4403),
    ),
    "user deleted": (lambda w, session, token: w.a.operator.delete(), (4403, 4403)),
    "inactive and logged out": (
        lambda w, session, token: (
            User.objects.update(is_active=False),
            Session.objects.all().delete(),
        ),
        (4403, 4403),
    ),
}


class TestReview:
    @pytest.mark.parametrize("loss", LOSSES)
    def test_tells_what_was_lost(self, world: World, loss: str) -> None:
        session = admit(by_session(world.a.operator))
        token = admit(by_token(world.a.operator))
        lose, (of_session, of_token) = LOSSES[loss]

        lose(world, session, token)

        assert review([session, token]) == [of_session or session, of_token or token]

    def test_of_another_tenant_is_revoked(self, world: World) -> None:
        grant = admit(by_token(world.a.operator))
        world.a.operator.membership.delete()
        Membership.objects.create(
            user=world.a.operator, tenant=world.b.tenant, capabilities=["noc:view"], all_sites=True
        )

        assert review([grant]) == [4403]

    def test_tells_the_present_sites(self, world: World) -> None:
        every = admit(by_token(world.a.operator))
        one = admit(by_token(world.a.site_operator))
        Membership.objects.filter(user=world.a.operator).update(all_sites=False)
        world.a.site_operator.membership.sites.set([world.a.near, world.a.far])

        found = review([every, one])

        assert found == [
            replace(every, sites=frozenset()),
            replace(one, sites=frozenset({world.a.near.pk, world.a.far.pk})),
        ]

    def test_gives_back_the_same_grant_when_nothing_changed(self, world: World) -> None:
        grant = admit(by_session(world.a.operator))
        Membership.objects.update(capabilities=["noc:view"])

        (found,) = review([grant])

        assert found is grant

    def test_answers_in_order_with_three_queries_for_any_number(self, world: World) -> None:
        gone, sessions, tokens = [], [], []
        for number in range(8):
            user = make_user(f"viewer-{number}", world.a.tenant, ["noc:view"])
            gone.append(admit(by_session(user)))
            sessions.append(admit(by_session(user)))
            tokens.append(admit(by_token(user)))
        Session.objects.filter(session_key__in=[grant.key for grant in gone]).delete()
        asked = [grant for three in zip(gone, sessions, tokens, strict=True) for grant in three]

        with CaptureQueriesContext(connection) as queries:
            found = review(asked * 20)

        assert len(queries) == 3
        assert found == [4401 if grant in gone else grant for grant in asked] * 20

    def test_of_nothing_is_nothing(self, database: None) -> None:
        assert review([]) == []
