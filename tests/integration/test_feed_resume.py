"""
What a cursor is answered: the ten cases, at the connect and by ``resume``, each frame exactly.

The log of the table: events 1 and 4 are of the site north, the others of south.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from time import monotonic
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.utils import timezone
from websockets.exceptions import ConnectionClosed

from apps.tenancy.models import Membership
from outbox import epoch, partitions, relay
from tests.integration.conftest import make_user
from tests.integration.feed_world import Viewer, World, served_world
from tests.integration.test_outbox_event_log import partition

OTHER_LOG = "00000000-0000-0000-0000-000000000000"
TOO_FAR_EVENTS = 50_000
SITES_OF_FIVE = ("north", "south", "south", "north", "south")
OLD = datetime(2015, 6, 1, 12, tzinfo=UTC)

# Whole slices of the log in one statement each, as if the relay had recorded them at that time.
HEAD = """
INSERT INTO outbox_stream (name, lane, epoch, last_seq, published_seq, last_recorded_at)
SELECT %(stream)s, outbox_lane_of(%(stream)s), epoch, %(last)s, %(last)s, %(at)s FROM outbox_log
ON CONFLICT (name) DO UPDATE SET last_seq = EXCLUDED.last_seq,
  published_seq = EXCLUDED.published_seq, last_recorded_at = EXCLUDED.last_recorded_at
"""
EVENTS = """
INSERT INTO event_log (stream, seq, event_id, type, subject, payload, context, schema_version,
                       occurred_at, recorded_at)
SELECT %(stream)s, n, gen_random_uuid(), 'ticket_deleted', 'ticket:' || n,
       jsonb_build_object('ticket_id', n, 'ticket_no', 'SITE#' || n, 'site_id', %(site)s::bigint),
       '{}', 1, %(at)s, %(at)s
  FROM generate_series(%(first)s::bigint, %(last)s) n
"""
LOG = "SELECT seq, event_id::text FROM event_log WHERE stream = %s"


@pytest.fixture
def world(database: None, redis_url: str) -> Iterator[World]:
    with served_world() as made:
        yield made


@dataclass
class Place:
    """A log, and who reads it from where."""

    world: World

    def __post_init__(self) -> None:
        self.stream = self.world.stream(self.world.acme)
        acme, north = self.world.acme, self.world.north
        self.operator = make_user("operator", acme, ["noc:view"])
        self.north = make_user("north", acme, ["noc:view"], [north])

    @property
    def epoch(self) -> str:
        return str(self.world.head().epoch)

    def record(
        self, first: int, last: int, site: str = "south", at: datetime | None = None
    ) -> None:
        """Put these numbers into the log, all of one site."""
        values = {
            "stream": self.stream,
            "first": first,
            "last": last,
            "at": at or timezone.now(),
            "site": getattr(self.world, site).pk,
        }
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(HEAD, values)
            cursor.execute(EVENTS, values)

    def five(self) -> None:
        for seq, site in enumerate(SITES_OF_FIVE, start=1):
            self.record(seq, seq, site)

    def event_ids(self) -> dict[int, str]:
        with connection.cursor() as cursor:
            cursor.execute(LOG, [self.stream])
            return dict(cursor.fetchall())

    def reset(self, reason: str, *, head: int, min_seq: int = 1) -> dict[str, Any]:
        return {
            "type": "reset",
            "reason": reason,
            "epoch": self.epoch,
            "head": head,
            "min_seq": min_seq,
        }


@pytest.fixture
def place(world: World) -> Place:
    return Place(world)


def at_connect(place: Place, user: User, after_seq: int, epoch_: str) -> Viewer:
    """Connect with the cursor; what is read next is its answer."""
    viewer = place.world.connect(user, f"?after_seq={after_seq}&epoch={epoch_}")
    assert viewer.next()["type"] == "hello"
    return viewer


def by_resume(place: Place, user: User, after_seq: int, epoch_: str) -> Viewer:
    """Connect at the head and resume there; what is read next is the answer of the resume."""
    viewer = place.world.connect(user)
    viewer.start()
    viewer.say({"type": "resume", "after_seq": after_seq, "epoch": epoch_})
    return viewer


Ask = Callable[[Place, User, int, str], Viewer]


@pytest.fixture(params=[at_connect, by_resume], ids=["connect", "resume"])
def ask(request: pytest.FixtureRequest) -> Ask:
    asked: Ask = request.param
    return asked


def answered(viewer: Viewer, place: Place, slice_: list[tuple[int, int]], head: int) -> None:
    """Expect exactly these (prev, seq), each the event of the log, and ``synced`` at the head."""
    frames = [frame for frame in viewer.until("synced") if frame["type"] != "ping"]
    *events, synced = frames
    assert [(event["prev"], event["seq"]) for event in events] == slice_
    ids = place.event_ids()
    assert all(event["event_id"] == ids[event["seq"]] for event in events)
    assert {event["epoch"] for event in events} <= {place.epoch}
    assert synced == {"type": "synced", "seq": head}


def unbroken(first: int, last: int) -> list[tuple[int, int]]:
    return [(seq - 1, seq) for seq in range(first, last + 1)]


class TestGoesOn:
    """``asked`` is where, as ``who``; ``slice_`` is what follows up to ``head``."""

    @pytest.mark.parametrize(
        ("who", "asked", "slice_"),
        [
            pytest.param("operator", 2, unbroken(3, 5), id="from a position"),
            pytest.param("operator", 0, unbroken(1, 5), id="from the beginning"),
            pytest.param("operator", 5, [], id="from the same"),
            pytest.param("north", 0, [(0, 1), (1, 4)], id="filtered, from the beginning"),
            pytest.param("north", 2, [(2, 4)], id="filtered, from what is not seen"),
            pytest.param("north", 4, [], id="filtered, nothing more is seen"),
        ],
    )
    def test_with_the_slice_after_the_cursor(
        self, place: Place, ask: Ask, who: str, asked: int, slice_: list[tuple[int, int]]
    ) -> None:
        place.five()

        viewer = ask(place, getattr(place, who), asked, place.epoch)

        answered(viewer, place, slice_, 5)

    def test_with_nothing_in_an_empty_log(self, place: Place, ask: Ask) -> None:
        viewer = ask(place, place.operator, 0, place.epoch)

        answered(viewer, place, [], 0)

    def test_with_more_than_a_page(self, place: Place, ask: Ask) -> None:
        place.record(1, 1234)

        viewer = ask(place, place.operator, 0, place.epoch)

        answered(viewer, place, unbroken(1, 1234), 1234)

    def test_as_far_behind_as_is_allowed(self, place: Place) -> None:
        place.record(1, TOO_FAR_EVENTS)
        place.record(TOO_FAR_EVENTS + 1, TOO_FAR_EVENTS + 1, "north")

        viewer = at_connect(place, place.north, 1, place.epoch)

        answered(viewer, place, [(1, TOO_FAR_EVENTS + 1)], TOO_FAR_EVENTS + 1)


class TestIsReset:
    """And goes on where the client says, on the same socket."""

    @pytest.mark.parametrize(
        ("asked", "log", "reason"),
        [
            pytest.param(2, OTHER_LOG, "epoch", id="other epoch"),
            pytest.param(6, None, "ahead", id="ahead"),
            pytest.param(2**63 - 1, None, "ahead", id="far ahead"),
        ],
    )
    def test_when_the_cursor_is_no_place_in_the_log(
        self, place: Place, ask: Ask, asked: int, log: str | None, reason: str
    ) -> None:
        place.five()

        viewer = ask(place, place.operator, asked, log or place.epoch)

        assert viewer.next() == place.reset(reason, head=5)
        self._goes_on(viewer, place, 3, unbroken(4, 5), 5)

    def test_when_the_log_was_replaced(self, place: Place, ask: Ask) -> None:
        place.five()
        before = place.epoch
        epoch.renew(reason="tests")

        viewer = ask(place, place.operator, 2, before)

        assert viewer.next() == place.reset("epoch", head=5)
        self._goes_on(viewer, place, 3, unbroken(4, 5), 5)

    def test_when_the_events_are_no_longer_kept(
        self, place: Place, ask: Ask, old_partition: None
    ) -> None:
        place.record(1, 3, at=OLD)
        place.record(4, 5)
        assert partition(OLD.date()) in partitions.drop_old(now=timezone.now())

        viewer = ask(place, place.operator, 2, place.epoch)

        assert viewer.next() == place.reset("trimmed", head=5, min_seq=4)
        self._goes_on(viewer, place, 3, unbroken(4, 5), 5)

    def test_when_nothing_is_kept(self, place: Place, ask: Ask, old_partition: None) -> None:
        place.record(1, 3, at=OLD)
        partitions.drop_old(now=timezone.now())

        viewer = ask(place, place.operator, 2, place.epoch)

        assert viewer.next() == place.reset("trimmed", head=3, min_seq=4)
        self._goes_on(viewer, place, 3, [], 3)

    def test_when_it_is_too_far_behind(self, place: Place, ask: Ask) -> None:
        head = TOO_FAR_EVENTS + 2
        place.record(1, head)

        viewer = ask(place, place.operator, 1, place.epoch)

        assert viewer.next() == place.reset("too_far", head=head)
        self._goes_on(viewer, place, head - 2, unbroken(head - 1, head), head)

    @pytest.fixture
    def old_partition(self, place: Place) -> Iterator[None]:
        day: date = OLD.date()
        with connection.cursor() as cursor:
            cursor.execute("SELECT outbox_add_partition(%s)", [day])
            yield
            cursor.execute(f"DROP TABLE IF EXISTS {partition(day)}")

    @staticmethod
    def _goes_on(
        viewer: Viewer, place: Place, after_seq: int, slice_: list[tuple[int, int]], head: int
    ) -> None:
        viewer.say({"type": "resume", "after_seq": after_seq, "epoch": place.epoch})
        answered(viewer, place, slice_, head)


class TestOfAReplacedScope:
    """The operator of north became one of south: what they have is of the wrong site."""

    @pytest.fixture
    def moved(self, place: Place) -> Callable[[], None]:
        def move() -> None:
            membership = Membership.objects.get(user=place.north)
            membership.sites.set([place.world.south])

        return move

    @pytest.mark.parametrize("asked", [0, 2, 5])
    def test_a_cursor_is_reset_and_a_resume_is_taken(
        self, place: Place, moved: Callable[[], None], asked: int
    ) -> None:
        place.five()
        moved()

        viewer = place.world.connect(place.north, f"?after_seq={asked}&epoch={place.epoch}")

        hello, reset = viewer.next(), viewer.next()
        assert hello["scope"] == {"sites": [place.world.south.pk]}
        assert reset == place.reset("scope", head=5)
        viewer.say({"type": "resume", "after_seq": 1, "epoch": place.epoch})
        answered(viewer, place, [(1, 2), (2, 3), (3, 5)], 5)

    def test_a_cursor_after_the_change_goes_on(
        self, place: Place, moved: Callable[[], None]
    ) -> None:
        place.five()
        moved()
        # Long ago: a minute after the change no cursor can have been built under the old sites.
        Membership.objects.filter(user=place.north).update(scope_changed_at=None)
        place.record(6, 7)

        viewer = at_connect(place, place.north, 6, place.epoch)

        answered(viewer, place, [(6, 7)], 7)

    def test_a_live_socket_is_told_and_closed(
        self, place: Place, moved: Callable[[], None]
    ) -> None:
        place.five()
        viewer = place.world.connect(place.north)
        viewer.start()

        moved()
        drain_access()

        reset, bye = viewer.next(), viewer.next()
        assert reset == place.reset("scope", head=5)
        assert (bye["type"], bye["code"]) == ("bye", 4001)
        with pytest.raises(ConnectionClosed) as closed:
            viewer.next()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4001


def drain_access() -> None:
    """Record and publish the change of the rights, as the worker would."""
    for lane in relay.pending_lanes():
        relay.drain(lane, deadline=monotonic() + 10)
