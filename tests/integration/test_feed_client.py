"""The Python client of the feed, against the real server and against servers that misbehave."""

import json
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from django.contrib.auth.models import User
from django.db import connection
from websockets.sync.server import ServerConnection, serve

from apps.helpdesk import actions
from apps.helpdesk.models import Ticket
from apps.noc.client import Event, FeedClient, FeedStopped, Reset, backoff
from apps.noc.client.backoff import Backoff
from apps.noc.client.follower import Follower
from apps.tenancy.models import Membership
from apps.tenancy.tokens import new_token
from tests.integration.feed_world import Server, World, production_server, served_world
from tests.integration.processes import free_port, until
from tests.protocol_frames import EPOCH, event, hello, synced
from tests.tcp_proxy import TcpProxy

SECONDS = 30.0


class Tail:
    """A client in a thread of its own: what it yields waits in a queue."""

    def __init__(self, client: FeedClient, on_reset: Callable[[FeedClient], Any]) -> None:
        self.client = client
        self.items: queue.Queue[Any] = queue.Queue()
        self._on_reset = on_reset
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            for item in self.client:
                if isinstance(item, Reset):
                    self._on_reset(self.client)
                self.items.put(item)
        except Exception as error:
            self.items.put(error)

    def next(self) -> Any:
        return self.items.get(timeout=SECONDS)

    def seqs(self, count: int) -> list[int]:
        return [self.next().seq for _ in range(count)]

    def until_live(self) -> None:
        until(lambda: self.client.state == "live", seconds=SECONDS, what="the client is live")

    def end(self) -> None:
        self.client.close()
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()


Follow = Callable[..., Tail]


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backoff, "FIRST_SECONDS", 0.1)
    monkeypatch.setattr(backoff, "BASE_SECONDS", 0.05)


@pytest.fixture
def world(database: None, redis_url: str) -> Iterator[World]:
    with served_world() as served:
        yield served


@pytest.fixture
def tails() -> Iterator[Follow]:
    """Start clients; they are ended with the test."""
    made = []

    def start(url: str, *, on_reset: Any = lambda client: None, **options: Any) -> Tail:
        made.append(Tail(FeedClient(url, **{"token": "x", **options}), on_reset))
        return made[-1]

    yield start
    for tail in made:
        tail.end()


@pytest.fixture
def follow(world: World, tails: Follow) -> Follow:
    """Start clients of the world's server as a user."""

    def start(user: User, **options: Any) -> Tail:
        return tails(world.server.ws, token=new_token(user), **options)

    return start


@pytest.fixture
def operator(world: World) -> User:
    return world.user("operator")


@pytest.fixture
def ticket(world: World, operator: User) -> Ticket:
    made = actions.create_ticket(site=world.north, description="x", priority="LOW", actor=operator)
    world.drain()
    return made


def change(ticket: Ticket, *statuses: str) -> None:
    for status in statuses:
        actions.change_status(ticket_id=ticket.pk, to=status, actor=None, reason="tests")


class TestFeedClient:
    def test_gives_live_events_and_its_position(
        self, world: World, operator: User, ticket: Ticket, follow: Follow
    ) -> None:
        tail = follow(operator)
        tail.until_live()

        change(ticket, "IN_PROGRESS")
        world.drain()

        event = tail.next()
        assert (event.type, event.seq, event.live) == ("ticket_updated", 2, True)
        assert tail.client.position == (2, str(world.head().epoch))

    def test_goes_on_from_a_position(
        self, world: World, operator: User, ticket: Ticket, follow: Follow
    ) -> None:
        change(ticket, "IN_PROGRESS", "RESOLVED")
        world.drain()

        tail = follow(operator, after_seq=1, epoch=str(world.head().epoch))

        events = [tail.next(), tail.next()]
        assert [(event.seq, event.live) for event in events] == [(2, False), (3, False)]

    def test_gets_what_the_layer_lost(
        self, world: World, operator: User, ticket: Ticket, follow: Follow
    ) -> None:
        tail = follow(operator)
        tail.until_live()

        change(ticket, "IN_PROGRESS")
        world.record_unheard()
        change(ticket, "RESOLVED")
        world.drain()

        assert tail.seqs(2) == [2, 3]

    def test_gives_only_the_sites_that_were_asked_for(
        self, world: World, operator: User, follow: Follow
    ) -> None:
        for site in (world.north, world.south):  # the server sends both before it has narrowed
            actions.create_ticket(site=site, description="x", priority="LOW", actor=None)
        world.drain()
        start = {"after_seq": 0, "epoch": str(world.head().epoch)}
        tail = follow(operator, sites=[world.south.pk], **start)
        tail.until_live()
        for site in (world.north, world.south):
            actions.create_ticket(site=site, description="x", priority="LOW", actor=None)
        world.drain()

        assert tail.seqs(2) == [2, 4]

    def test_tells_of_a_reset_and_goes_on_after_the_snapshot(
        self, world: World, operator: User, ticket: Ticket, follow: Follow
    ) -> None:
        taken = []
        tail = follow(
            operator,
            after_seq=7,
            epoch=str(world.head().epoch),
            on_reset=lambda client: taken.append(client.snapshot()),
        )

        assert tail.next().reason == "ahead"
        tail.until_live()
        assert [row["id"] for row in taken[0]["tickets"]] == [ticket.pk]
        change(ticket, "IN_PROGRESS")
        world.drain()
        assert tail.seqs(1) == [2]

    def test_goes_on_at_the_head_when_no_snapshot_is_taken(
        self, world: World, operator: User, ticket: Ticket, follow: Follow
    ) -> None:
        tail = follow(operator)
        tail.until_live()
        with connection.cursor() as cursor:
            cursor.execute("UPDATE outbox_stream SET epoch = gen_random_uuid()")

        reset = tail.next()
        change(ticket, "IN_PROGRESS")
        world.drain()

        assert (reset.reason, reset.head) == ("epoch", 1)
        assert tail.seqs(1) == [2]

    def test_comes_back_to_a_server_that_was_away_and_misses_nothing(
        self, world: World, operator: User, ticket: Ticket, tails: Follow
    ) -> None:
        port = free_port()
        server = Server(make=lambda: on_port(port))
        states = []
        tail = tails(
            server.ws, token=new_token(operator), on_state=lambda *state: states.append(state)
        )
        tail.until_live()
        server.stop()
        change(ticket, "IN_PROGRESS", "RESOLVED")
        world.drain()

        server = Server(make=lambda: on_port(port))
        try:
            assert tail.seqs(2) == [2, 3]
            tail.until_live()
            told = [state for state, _ in states]
            assert told[:4] == ["connecting", "catching-up", "live", "stale"]
            tail.end()
        finally:
            server.stop()

    def test_leaves_a_connection_that_is_half_open_and_misses_nothing(
        self,
        world: World,
        operator: User,
        ticket: Ticket,
        tails: Follow,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr("apps.noc.feed.control.PING_SECONDS", 0.2)
        port = int(world.server.http.rpartition(":")[2])
        with closing(TcpProxy(port)) as proxy:
            url = f"ws://127.0.0.1:{proxy.port}/ws/noc/"
            tail = tails(url, token=new_token(operator))
            tail.until_live()

            proxy.lose()
            change(ticket, "IN_PROGRESS")
            world.drain()

            assert tail.seqs(1) == [2]
            tail.end()

    def test_follows_a_change_of_its_sites(
        self, world: World, ticket: Ticket, follow: Follow
    ) -> None:
        user = world.user("north", sites=[world.north])
        taken = []
        tail = follow(user, on_reset=lambda client: taken.append(client.snapshot()))
        tail.until_live()

        Membership.objects.get(user=user).sites.set([world.south])
        world.drain()

        assert tail.next().reason == "scope"
        until(lambda: tail.client.state == "live" and taken[-1]["tickets"] == [])
        actions.create_ticket(site=world.south, description="x", priority="LOW", actor=None)
        world.drain()
        events = [tail.next()]
        while isinstance(events[-1], Reset):  # the next connect may be told once more
            events.append(tail.next())
        assert events[-1].frame["site_id"] == world.south.pk

    def test_stops_with_the_reason_when_it_is_refused(self, world: World, follow: Follow) -> None:
        stopped = follow(world.user("clerk", capabilities=("ticket:write",))).next()

        assert isinstance(stopped, FeedStopped)
        assert stopped.code == 403
        assert stopped.reason == "no_noc_view"

    def test_stops_when_its_token_is_not_valid(self, world: World, tails: Follow) -> None:
        stopped = tails(world.server.ws, token="nonsense").next()

        assert isinstance(stopped, FeedStopped)
        assert "the token is not valid" in str(stopped)

    @pytest.mark.parametrize(
        "options", [{"url": "http://x/ws/noc/"}, {"after_seq": 1}, {"epoch": EPOCH}]
    )
    def test_refuses_to_be_made_of_what_cannot_work(self, options: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=r"feed|belong together"):
            FeedClient(**{"url": "ws://127.0.0.1/ws/noc/", "token": "x", **options})


def on_port(port: int) -> uvicorn.Server:
    server = production_server()
    server.config.port = port
    return server


Act = Callable[["Scripted"], None]


class Scripted:
    """One connection to a server that follows a script."""

    def __init__(self, socket: ServerConnection) -> None:
        self.socket = socket
        self.query = socket.request.path.partition("?")[2]

    def say(self, *frames: dict[str, Any] | str) -> None:
        for frame in frames:
            self.socket.send(frame if isinstance(frame, str) else json.dumps(frame))

    def hear(self) -> dict[str, Any]:
        heard: dict[str, Any] = json.loads(self.socket.recv(timeout=SECONDS))
        return heard

    def hold(self) -> None:
        """Wait until the client leaves."""
        for _ in self.socket:
            pass


@contextmanager
def scripted(*acts: Act) -> Iterator[SimpleNamespace]:
    """Serve each connection by the next act; yields the url and the queries of the connects."""
    left, queries, faults = list(acts), [], []

    def handle(socket: ServerConnection) -> None:
        connection = Scripted(socket)
        queries.append(connection.query)
        try:
            left.pop(0)(connection)
        except AssertionError as fault:
            faults.append(fault)

    with serve(handle, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        port = server.socket.getsockname()[1]
        try:
            yield SimpleNamespace(url=f"ws://127.0.0.1:{port}/ws/noc/", queries=queries)
        finally:
            server.shutdown()
            thread.join()
    assert not faults


def start(connection: Scripted) -> None:
    connection.say(hello(), synced(10))


class TestRules:
    def test_ask_once_for_what_is_missing(self, tails: Follow) -> None:
        def act(connection: Scripted) -> None:
            start(connection)
            connection.say(event(12), event(13))
            assert connection.hear() == {"type": "resume", "after_seq": 10, "epoch": EPOCH}
            connection.say(event(14))  # was on its way
            connection.say(*(event(seq) for seq in range(11, 15)), synced(14))
            assert connection.hear() == {"type": "ack", "seq": 12}
            assert connection.hear() == {"type": "ack", "seq": 14}
            connection.hold()

        with scripted(act) as server:
            tail = tails(server.url)

            assert tail.seqs(4) == [11, 12, 13, 14]
            tail.until_live()
            tail.end()

    def test_drop_doubles_and_move_on_by_pings(self, tails: Follow) -> None:
        def act(connection: Scripted) -> None:
            start(connection)
            connection.say(event(11), event(11))
            connection.say({"type": "ping", "head": 20, "pos": 20, "t": "2026-01-01T10:00:00Z"})
            assert connection.hear() == {"type": "pong", "seq": 20}
            connection.say(event(15, 11), event(21, 20))
            connection.hold()

        with scripted(act) as server:
            tail = tails(server.url)

            assert tail.seqs(2) == [11, 21]
            tail.end()

    def test_subscribe_after_the_connect_was_answered(self, tails: Follow) -> None:
        def act(connection: Scripted) -> None:
            connection.say(hello(), event(11, site_id=1), event(12, site_id=2), synced(12))
            assert connection.hear() == {"type": "subscribe", "sites": [2]}
            connection.say(synced(12))
            connection.hold()

        with scripted(act) as server:
            tail = tails(server.url, sites=[2])

            assert tail.seqs(1) == [12]
            tail.until_live()
            tail.end()

    @pytest.mark.parametrize(
        "bad", ["nonsense", "[]", "{}", json.dumps({**event(11), "seq": "11"}), '{"type":"synced"}']
    )
    def test_connect_anew_after_a_frame_that_is_none(self, tails: Follow, bad: str) -> None:
        def act(connection: Scripted) -> None:
            start(connection)
            connection.say(bad)
            connection.hold()

        def again(connection: Scripted) -> None:
            connection.say(hello(), event(11), synced(11))
            connection.hold()

        with scripted(act, again) as server:
            tail = tails(server.url)

            assert tail.seqs(1) == [11]
            assert server.queries[1] == f"after_seq=10&epoch={EPOCH}"
            tail.end()

    def test_ignore_types_that_are_newer_than_the_client(self, tails: Follow) -> None:
        def act(connection: Scripted) -> None:
            start(connection)
            connection.say({"type": "weather", "sky": "blue"}, event(11, type="ticket_sung"))
            connection.hold()

        with scripted(act) as server:
            tail = tails(server.url)

            assert tail.next().type == "ticket_sung"
            tail.end()

    def test_leave_a_connection_that_has_fallen_silent(self, tails: Follow) -> None:
        def silent(connection: Scripted) -> None:
            # 1.5 times this and five seconds is in the past for every answer but the first.
            connection.say(hello(ping_s=-3.3), synced(10))
            connection.hold()

        def again(connection: Scripted) -> None:
            connection.say(hello(), event(11), synced(11))
            connection.hold()

        with scripted(silent, again) as server:
            tail = tails(server.url)

            assert tail.seqs(1) == [11]
            tail.end()

    def test_leave_a_socket_that_answers_nothing_at_all(
        self, tails: Follow, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("apps.noc.client.feed.OPEN_SECONDS", 0.2)
        states: queue.Queue[tuple[str, str]] = queue.Queue()
        with socket.create_server(("127.0.0.1", 0)) as dead:
            url = f"ws://127.0.0.1:{dead.getsockname()[1]}/ws/noc/"
            tail = tails(url, on_state=lambda *state: states.put(state))

            assert states.get(timeout=SECONDS)[0] == "connecting"
            state, reason = states.get(timeout=SECONDS)
            tail.end()
        assert (state, reason[:13]) == ("stale", "no connection")

    @pytest.mark.parametrize("code", [4000, 4001, 4100, 4102, 1012])
    def test_come_back_after_a_close_that_allows_it(self, tails: Follow, code: int) -> None:
        def act(connection: Scripted) -> None:
            start(connection)
            if code >= 4000:
                bye = {"type": "bye", "code": code, "reason": "so", "retry_after_ms": 1}
                connection.say(bye)
            connection.socket.close(code)

        def again(connection: Scripted) -> None:
            connection.say(hello(), event(11), synced(11))
            connection.hold()

        with scripted(act, again) as server:
            tail = tails(server.url)

            assert tail.seqs(1) == [11]
            tail.end()

    @pytest.mark.parametrize("code", [4400, 4401, 4403, 4409])
    def test_stay_away_after_a_close_that_forbids_it(self, tails: Follow, code: int) -> None:
        def act(connection: Scripted) -> None:
            start(connection)
            connection.say({"type": "bye", "code": code, "reason": "so", "retry_after_ms": 0})
            connection.socket.close(code)

        with scripted(act) as server:
            stopped = tails(server.url).next()

        assert isinstance(stopped, FeedStopped)
        assert (stopped.code, stopped.reason) == (code, "so")
        assert "Remedy: " in str(stopped)

    def test_of_a_gap_wait_for_the_answer_that_is_under_way(self) -> None:
        follower = Follower(10, EPOCH, None)
        follower.connected()
        assert follower.take(json.dumps(event(12))) is None
        assert follower.request() is None

        follower.take(json.dumps(synced(12)))  # answers the connect, heals nothing

        assert follower.seq == 10
        assert follower.request() == {"type": "resume", "after_seq": 10, "epoch": EPOCH}
        assert isinstance(follower.take(json.dumps(event(11))), Event)


class TestBackoff:
    def test_grows_to_its_bound_and_starts_anew_after_a_healthy_connection(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.undo()
        monkeypatch.setattr("random.uniform", lambda low, high: high)
        pauses = Backoff()

        assert [pauses.pause(0) for _ in range(8)] == [1, 1, 2, 4, 8, 16, 20, 20]
        pauses.lived(29)
        assert pauses.pause(0) == 20
        pauses.lived(30)
        assert pauses.pause(0) == 1

    def test_never_comes_earlier_than_the_server_asked(self) -> None:
        assert min(Backoff().pause(3_700) for _ in range(100)) >= 3.7
