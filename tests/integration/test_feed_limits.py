"""How many sockets a user may have over all web processes, and tickets that let in once."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.db.models import F
from django.db.models.functions import Now
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from apps.noc.feed.models import FeedProcess
from apps.tenancy.models import WsTicket
from tests.integration.feed_crowd import Watcher, all_of
from tests.integration.feed_rig import Rig, browser_of, rig_on, ticket_of, token_of
from tests.integration.feed_world import Viewer
from tests.integration.processes import until
from tests.integration.web_process import WebProcess


@pytest.fixture
def rig(database: None, redis_url: str, tmp_path: Path) -> Iterator[Rig]:
    with rig_on(tmp_path, redis_url) as rig:
        yield rig


@pytest.fixture
def user(rig: Rig) -> User:
    return rig.user("operator", rig.world.acme)


class TestConnectionLimit:
    LIMIT = 3

    def watch(self, rig: Rig, web: WebProcess, user: User) -> Watcher:
        """Connect and return when the server has decided."""
        watcher = rig.watch(web, user, returns=False)
        all_of([watcher], lambda watcher: watcher.synced or watcher.codes, what="decided")
        return watcher

    def admitted(self, rig: Rig, web: WebProcess, user: User) -> bool:
        return self.watch(rig, web, user).synced

    def test_counts_the_sockets_of_all_processes(self, rig: Rig, user: User) -> None:
        one, two = (rig.web(FEED_SOCKETS_PER_USER=self.LIMIT) for _ in range(2))
        kept = [self.watch(rig, web, user) for web in (one, two, one)]
        assert all(watcher.synced for watcher in kept)

        fourth = self.watch(rig, two, user)

        assert [bye["code"] for bye in fourth.byes] == fourth.codes == [4409]
        assert self.admitted(rig, two, rig.user("colleague", rig.world.acme))
        rig.crowd.leave(kept[0])
        until(lambda: self.admitted(rig, two, user), what="the place of one that left")
        assert not self.admitted(rig, one, user)
        assert [watcher.codes for watcher in kept[1:]] == [[], []]

    def test_forgets_those_of_a_process_that_died(self, rig: Rig, user: User) -> None:
        dies = rig.web(FEED_SOCKETS_PER_USER=self.LIMIT)
        kept = [self.watch(rig, dies, user) for _ in range(self.LIMIT)]
        assert all(watcher.synced for watcher in kept)
        [dead] = FeedProcess.objects.values_list("pk", flat=True)
        stays = rig.web(FEED_SOCKETS_PER_USER=self.LIMIT)

        dies.kill()

        assert not self.admitted(rig, stays, user)
        long_ago = F("seen_at") - timedelta(minutes=5)  # it would take a minute
        FeedProcess.objects.filter(pk=dead).update(seen_at=long_ago)
        assert [self.admitted(rig, stays, user) for _ in range(self.LIMIT + 1)] == [
            *[True] * self.LIMIT,
            False,
        ]


class TestTicket:
    @pytest.fixture
    def web(self, rig: Rig) -> WebProcess:
        return rig.web()

    def refusal(self, address: str, *subprotocols: str) -> int:
        with (
            pytest.raises(InvalidStatus) as refused,
            connect(address, subprotocols=list(subprotocols) or None, proxy=None),
        ):
            pass
        status: int = refused.value.response.status_code
        return status

    @pytest.mark.parametrize("made_with", ["token", "session"])
    def test_lets_in_once(self, rig: Rig, web: WebProcess, user: User, made_with: str) -> None:
        headers = token_of(user) if made_with == "token" else browser_of(web, user)
        ticket = ticket_of(web, headers)
        subprotocol = f"noc.ticket.{ticket}"

        with connect(web.ws, subprotocols=[subprotocol], proxy=None) as socket:
            assert socket.subprotocol == subprotocol
            assert Viewer(socket).start()["scope"] == {"sites": "*"}
            assert self.refusal(web.ws, subprotocol) == 403

    def test_lets_nobody_in_when_it_has_expired(
        self, rig: Rig, web: WebProcess, user: User
    ) -> None:
        ticket = ticket_of(web, token_of(user))

        WsTicket.objects.update(expires_at=Now())

        assert self.refusal(web.ws, f"noc.ticket.{ticket}") == 403

    def test_counts_in_the_subprotocol_only(self, rig: Rig, web: WebProcess, user: User) -> None:
        token = token_of(user)
        ticket = ticket_of(web, token)
        secret = token["Authorization"].partition(" ")[2]

        for query in (f"ticket={ticket}", f"token={secret}", f"authorization=Token+{secret}"):
            assert self.refusal(f"{web.ws}?{query}") == 403
        assert self.refusal(web.ws, "noc.ticket.", "noc.ticket.unknown") == 403
