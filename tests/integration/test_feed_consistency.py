"""
A board that is kept by frames equals a new snapshot, whatever happens meanwhile.

Several writers, clients that come and go, and a layer that loses, doubles and reorders: the strict
client of board_model.py refuses whatever the protocol excludes. Longer: ``--stress-seconds 600``;
other choices: ``--stress-seed``.
"""

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from time import monotonic
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import override_settings
from hypothesis import HealthCheck, given, seed, settings, strategies

from apps.helpdesk import actions
from apps.helpdesk.models import Ticket
from apps.tenancy.models import Membership, Site
from apps.tenancy.tokens import new_token
from outbox import relay
from outbox.session import close_session
from tests.integration.board_model import Board, Broken, Client, Frame, Row, slice_of
from tests.integration.conftest import make_user
from tests.integration.feed_histories import ALONE, CHANGES, History, Writer
from tests.integration.feed_world import Server, World
from tests.integration.lossy_layer import Faults, LossyMemoryLayer, LossyRedis
from tests.integration.processes import until

WRITERS = 4
SETTLE_SECONDS = 30.0
LOG = """
SELECT seq, event_id, type, (payload->>'site_id')::bigint, (payload->>'old_site_id')::bigint
  FROM event_log WHERE stream = %s ORDER BY seq
"""

pytestmark = [pytest.mark.stress]


@pytest.fixture
def cleanup() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def served(database: None, redis_url: str, cleanup: ExitStack) -> Callable[[Any], World]:
    """Return a function that starts the web server on a channel layer."""

    def serve(layers: Any = None) -> World:
        if layers is not None:
            cleanup.enter_context(override_settings(CHANNEL_LAYERS=layers))
        server = Server()
        cleanup.callback(server.stop)
        return World(server, cleanup.enter_context(ExitStack()))

    return serve


def viewing(world: World, name: str, sites: list[Site] | None = None) -> User:
    user: User = make_user(name, world.acme, ["noc:view"], sites)
    return user


def client_of(world: World, user: User, make: type[Client] = Client) -> Client:
    server = world.server
    sites = Site.objects.filter(tenant=world.acme).values_list("pk", flat=True)
    return make(server.http, server.ws, new_token(user), tenant_sites=sites)


def log_of(world: World) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(LOG, [world.stream(world.acme)])
        return cursor.fetchall()


def drain_all() -> None:
    while lanes := relay.pending_lanes():
        for lane in lanes:
            relay.drain(lane, deadline=monotonic() + 10)


class Relay(threading.Thread):
    """Records and publishes as soon as there is something, until stopped; then all that is left."""

    def __init__(self) -> None:
        super().__init__(name="relay", daemon=True)
        self.stopped = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.stopped.wait(0.01):
                drain_all()
            drain_all()
        except BaseException as error:
            self.failure = error
        finally:
            close_session()
            connection.close()


class Viewer(threading.Thread):
    """
    A client that leaves and asks again at random moments.

    It comes back with its cursor, or with that of a new snapshot.
    """

    def __init__(self, client: Client, seed: int) -> None:
        super().__init__(name=f"viewer-{seed}", daemon=True)
        self.client = client
        self.came_back = self.asked_again = 0
        self.calm = threading.Event()  # set: it stays where it is
        self.stopped = threading.Event()
        self.failure: BaseException | None = None
        self._random = random.Random(seed)

    def run(self) -> None:
        try:
            self.client.connect()
            while not self.stopped.is_set():
                self._live()
            self.client.close()
        except BaseException as error:
            self.failure = error

    def _live(self) -> None:
        client = self.client
        if not client.open:
            self.stopped.wait(self._random.uniform(0, 0.3))
            if not self.calm.is_set() and self._random.random() < 0.5:
                client.snapshot()
            client.connect()
            self.came_back += 1
        came = client.step(0.05)
        if not came or self.calm.is_set() or not client.socket.synced:
            return
        chance = self._random.random()
        if chance < 0.02:
            self._random.choice([client.close, client.vanish])()
        elif chance < 0.04:
            client.resume()
            self.asked_again += 1


class Photographer(threading.Thread):
    """Takes one snapshot after another until stopped."""

    def __init__(self, client: Client) -> None:
        super().__init__(name="photographer", daemon=True)
        self.client = client
        self.taken: list[dict[str, Any]] = []
        self.stopped = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.stopped.is_set():
                self.taken.append(self.client.fetch())
        except BaseException as error:
            self.failure = error


class Run:
    """A load of some seconds on a world, seen by viewers; ``finish`` waits until all is told."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.seed = seed
        self.east = Site.objects.create(tenant=world.acme, code="SITE003", name="East")
        self.sites = [world.north, world.south, self.east]
        self.users = [viewing(world, name) for name in ("ada", "ben")]
        self.history = History(self.sites, self.users)
        others = History([world.far], [])
        self.writers = [
            Writer(others if n == 0 else self.history, seed * 100 + n) for n in range(WRITERS + 1)
        ]
        self.relay = Relay()
        self.viewers: list[Viewer] = []

    def watch(self, name: str, sites: list[Site] | None) -> Viewer:
        client = client_of(self.world, viewing(self.world, name, sites))
        viewer = Viewer(client, self.seed * 100 + len(self.viewers))
        self.viewers.append(viewer)
        return viewer

    @contextmanager
    def under_way(self, *others: Photographer) -> Iterator[None]:
        """Everything runs within the block; after it nothing is written and all is recorded."""
        threads = [*self.writers, self.relay, *self.viewers, *others]
        try:
            for thread in threads:
                thread.start()
            yield
            self._stop(*self.writers, *others)
            self._stop(self.relay)
            for viewer in self.viewers:
                viewer.calm.set()
        except BaseException:
            for thread in threads:
                thread.stopped.set()
            for thread in threads:
                if thread.is_alive():
                    thread.join(SETTLE_SECONDS)
            raise

    def until_it_proves(self, faults: Faults) -> None:
        """A run without faults or without work proves nothing: go on until there were some."""
        until(
            lambda: self._failed() or self._proves(faults),
            seconds=SETTLE_SECONDS,
            what="every fault and every change, and viewers that came back and asked again",
        )

    def _failed(self) -> bool:
        threads = [*self.writers, self.relay, *self.viewers]
        return any(thread.failure is not None for thread in threads)

    def _proves(self, faults: Faults) -> bool:
        did = self.did()
        return (
            all(faults.fired[fate] for fate in ("lost", "doubled", "late"))
            and all(did[kind] for kind in (*ALONE, *CHANGES, "rolled back"))
            and any(viewer.came_back for viewer in self.viewers)
            and any(viewer.asked_again for viewer in self.viewers)
        )

    def finish(self) -> None:
        """Wait until the viewers were told, live, of the last event that they may see."""
        entries = log_of(self.world)
        for viewer in self.viewers:
            until(
                lambda viewer=viewer: viewer.failure or _told(viewer.client, entries),
                seconds=SETTLE_SECONDS,
                what=f"{viewer.name} saw the last event",
            )
        self._stop(*self.viewers)
        for viewer in self.viewers:
            viewer.client.until_at(len(entries))  # also what its scope does not see
            viewer.client.close()

    def judge(self, viewer: Viewer) -> None:
        """Compare the viewer's board with a new snapshot, and what it saw with the log."""
        client = viewer.client
        assert client.board.differences(client.fetch()["tickets"]) == []
        entries = log_of(self.world)
        for part in client.parts[:-1]:
            due = slice_of(entries, part)
            assert part.seen == [event for event in due if event[0] <= part.last]
        assert client.part.seen == slice_of(entries, client.part)

    def did(self) -> Counter[str]:
        return sum((writer.did.copy() for writer in self.writers), Counter())

    @staticmethod
    def _stop(*threads: Any) -> None:
        for thread in threads:
            thread.stopped.set()
        for thread in threads:
            thread.join(SETTLE_SECONDS)
            assert not thread.is_alive(), thread.name
            if thread.failure is not None:
                raise thread.failure


def _told(client: Client, entries: list[tuple[Any, ...]]) -> bool:
    """Tell whether the client has no event left to wait for."""
    if not client.open or not client.socket.synced:
        return False
    due = slice_of(entries, client.part)
    return not due or client.part.last >= due[-1][0]


class TestBoard:
    """Kept by frames while four writers write; the layer has faults all the time."""

    @pytest.fixture(params=["redis-1", "redis-2", "memory-3"])
    def faults(self, request: pytest.FixtureRequest) -> Faults:
        self.layer, _, number = request.param.partition("-")
        self.seed = int(number) * 1_000 + int(request.config.getoption("--stress-seed"))
        return Faults(self.seed)

    @pytest.fixture
    def world(
        self, faults: Faults, redis_url: str, served: Callable[[Any], World], cleanup: ExitStack
    ) -> World:
        return served(layers_of(self.layer, faults, redis_url, cleanup))

    @pytest.fixture
    def seconds(self, request: pytest.FixtureRequest) -> float:
        return float(request.config.getoption("--stress-seconds")) / 3

    def test_equals_a_new_snapshot_in_every_scope(
        self, world: World, faults: Faults, seconds: float, capsys: pytest.CaptureFixture[str]
    ) -> None:
        run = Run(world, self.seed)
        for name, sites in (
            ("all", None),
            ("again all", None),
            ("north", [world.north]),
            ("both", [world.north, world.south]),
            ("south", [world.south]),
        ):
            run.watch(name, sites)

        with run.under_way():
            threading.Event().wait(seconds)
            run.until_it_proves(faults)
        run.finish()

        with capsys.disabled():
            print(f"\nseed {self.seed}: {run.did()}, layer {dict(faults.fired)}")  # noqa: T201
        for viewer in run.viewers:
            run.judge(viewer)
            assert viewer.client.resets == []

    def test_equals_a_new_snapshot_although_the_sites_in_scope_change(
        self, world: World, faults: Faults, seconds: float
    ) -> None:
        run = Run(world, self.seed)
        viewer = run.watch("roaming", [world.north])
        membership = Membership.objects.get(user__username="roaming")
        choose = random.Random(self.seed)

        with run.under_way():
            for _ in range(4):
                threading.Event().wait(seconds / 4)
                sites = choose.sample(run.sites, choose.choice([1, 2]))
                membership.sites.set(sites)
                scope = frozenset(site.pk for site in sites)
                until(
                    lambda scope=scope: viewer.failure or viewer.client.part.scope == scope,
                    seconds=SETTLE_SECONDS,
                    what=f"the scope became {scope}",
                )
        run.finish()

        run.judge(viewer)
        assert set(viewer.client.resets) == {"scope"}
        assert 4001 in viewer.client.codes
        assert faults.fired["lost"]


class TestSnapshot:
    def test_at_any_moment_and_the_events_after_it_make_the_last_one(
        self, served: Callable[..., World], request: pytest.FixtureRequest
    ) -> None:
        world = served()
        run = Run(world, int(request.config.getoption("--stress-seed")))
        client = client_of(world, viewing(world, "all"))
        photographers = [Photographer(client), Photographer(client)]

        with run.under_way(*photographers):
            threading.Event().wait(float(request.config.getoption("--stress-seconds")) / 3)

        fresh, first = client.fetch(), client.part.start
        events = client.history(after=first, head=fresh["seq"])
        taken = [one for photographer in photographers for one in photographer.taken]
        moments = {one["seq"] for one in taken}
        assert len(moments) > 10
        for one in taken:
            board = Board(one["tickets"])
            for event in events[one["seq"] - first :]:
                board.apply(event)
            assert board.differences(fresh["tickets"]) == []


def layers_of(layer: str, faults: Faults, redis_url: str, cleanup: ExitStack) -> Any:
    if layer == "memory":
        return LossyMemoryLayer.layers(faults)
    proxy = LossyRedis(redis_url, faults)
    cleanup.callback(proxy.close)
    return proxy.layers()


STEPS = strategies.lists(
    strategies.tuples(
        strategies.sampled_from((*ALONE, *CHANGES, "record")),
        strategies.integers(0, 3),
        strategies.integers(0, 5),
    ),
    max_size=12,
)


class TestHistory:
    """Step by step, so that a failing one shrinks to the shortest."""

    # The server's threads use `random` too, now and then while a history is drawn.
    @pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
    def test_after_any_snapshot_leads_to_the_next(
        self, served: Callable[..., World], request: pytest.FixtureRequest
    ) -> None:
        world = served()
        users = [
            viewing(world, "all"),
            viewing(world, "north", [world.north]),
            viewing(world, "both", [world.north, world.south]),
        ]
        east = Site.objects.create(tenant=world.acme, code="SITE003", name="East")
        sites = [world.north, world.south, east]
        clients = [client_of(world, user) for user in users]

        options = request.config.getoption

        @seed(int(options("--stress-seed")))
        @settings(
            max_examples=int(2 * float(options("--stress-seconds"))),
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
            database=None,  # nothing is kept beside the checkout
        )
        @given(before=STEPS, after=STEPS)
        def leads(before: list[Any], after: list[Any]) -> None:
            history = History(sites, users)
            walk(world, history, before)
            for client in clients:
                client.close()
                client.snapshot()  # what was not recorded yet is in its tickets already
            walk(world, history, after)
            world.drain()
            entries = log_of(world)
            for client in clients:
                client.until_at(len(entries))
                assert client.part.seen == slice_of(entries, client.part)
                assert client.board.differences(client.fetch()["tickets"]) == []
            Ticket.objects.all().delete()

        leads()
        for client in clients:
            client.close()


def walk(world: World, history: History, steps: list[tuple[str, int, int]]) -> None:
    for kind, which, value in steps:
        if kind == "record":
            world.drain()
        else:
            history.do(kind, which, value)


class TestChecker:
    """Sees what goes wrong, so that seeing nothing means something."""

    @pytest.fixture
    def world(self, served: Callable[..., World]) -> World:
        return served()

    def test_catches_a_client_that_connects_elsewhere_than_its_snapshot(self, world: World) -> None:
        class StartsAtTheHead(Client):
            def _query(self) -> str:
                return ""

        ticket = make_ticket(world, world.north)
        client = client_of(world, viewing(world, "all"), StartsAtTheHead)
        edit(ticket)
        world.drain()

        with pytest.raises(Broken, match="were left out"):
            client.until_synced()

    def test_catches_a_client_with_a_hole_that_its_position_hides(self, world: World) -> None:
        """With some sites a position beyond the last event is no sign of a loss."""

        class StartsAtTheHead(Client):
            def _query(self) -> str:
                return ""

        ticket = make_ticket(world, world.north)
        user = viewing(world, "north", [world.north])
        client = client_of(world, user, StartsAtTheHead)
        edit(ticket)
        world.drain()

        client.until_synced()

        assert client.part.last == len(log_of(world))
        assert client.board.differences(client.fetch()["tickets"]) != []
        assert client.part.seen != slice_of(log_of(world), client.part)

    def test_catches_a_frame_that_was_dropped(self, world: World) -> None:
        ticket = make_ticket(world, world.north)
        client = client_of(world, viewing(world, "all"))
        for _ in range(3):
            edit(ticket)
        world.drain()
        client.connect()
        client.step()  # hello
        client.step()
        client._wire.recv()  # lost on the way

        with pytest.raises(Broken, match="a gap after 1"):
            client.step()

    def test_catches_a_server_that_does_not_filter(self, world: World) -> None:
        """As if the operator of one site were sent what the operator of all sites is."""
        client = client_of(world, viewing(world, "all"))
        client.until_synced()
        client.part.scope = frozenset([world.north.pk])
        make_ticket(world, world.south)
        world.drain()

        with pytest.raises(Broken, match="not in scope"):
            client.step()

    def test_catches_a_board_that_applies_what_arrives(self, world: World) -> None:
        """Without order and versions, in the order in which a layer with faults brings it."""
        tickets = [make_ticket(world, world.north) for _ in range(10)]
        client = client_of(world, viewing(world, "all"))
        client.board = board = Recorder(client.fetch()["tickets"])
        for ticket in tickets * 4:
            edit(ticket)
        world.drain()
        client.until_synced()
        client.close()

        faults = Faults(1, lost=0)
        arrivals = [
            (number / 100 + delay, number)
            for number in range(len(board.frames))
            for delay in faults.delays()
        ]
        careless = Careless([])
        for _, number in sorted(arrivals):
            careless.apply(board.frames[number])

        fresh = client.fetch()["tickets"]
        assert board.differences(fresh) == []
        assert careless.differences(fresh) != []

    def test_catches_a_version_that_goes_back_or_changes(self, world: World) -> None:
        ticket = make_ticket(world, world.north)
        client = client_of(world, viewing(world, "all"))
        client.board = board = Recorder([])
        edit(ticket)
        edit(ticket)
        world.drain()
        client.until_synced()
        client.close()
        *_, older, newest = board.frames

        with pytest.raises(Broken, match="back from version 3"):
            board.apply(older)
        with pytest.raises(Broken, match=r"other \['priority'\]"):
            board.apply(newest | {"priority": "?"})


class Recorder(Board):
    def __init__(self, tickets: Iterable[Row]) -> None:
        super().__init__(tickets)
        self.frames: list[Frame] = []

    def apply(self, frame: Frame) -> None:
        self.frames.append(frame)
        super().apply(frame)


class Careless(Board):
    """What a frame says is the row, whatever was there."""

    def apply(self, frame: Frame) -> None:
        self.rows.pop(frame["ticket_id"], None)
        self._told.clear()
        super().apply(frame)


def make_ticket(world: World, site: Site) -> Ticket:
    return actions.create_ticket(site=site, description="No carrier")


_numbers = count(1)


def edit(ticket: Ticket) -> None:
    actions.edit_ticket(ticket_id=ticket.pk, description=f"text {next(_numbers)}")
