"""
A small captured table, a sink that remembers, and drainers and writers that stop where told to.

Steps wait on what the database shows (a lock that is waited for), never on time.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from time import monotonic, sleep
from typing import Any

import psycopg
import pytest
from django.conf import settings as django_settings
from django.db import connections, models

from outbox import capture, failpoints, relay, sql
from outbox.lanes import lane_of
from outbox.log import LogRow
from outbox.session import close_session, relay_session
from tests.integration import relay_checker
from tests.integration.relay_checker import Change, Publication, Transaction

DEADLINE_SECONDS = 20
LANES = 8
STREAM = "relay:1"
LANE = lane_of(STREAM, LANES)

CREATE = """
CREATE TABLE relay_ticket (
  id bigint PRIMARY KEY,
  stream text NOT NULL,
  state bigint NOT NULL DEFAULT 0,
  version bigint NOT NULL DEFAULT 1,
  name text NOT NULL DEFAULT ''
);
CREATE FUNCTION relay_ticket_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.version := OLD.version + (NEW.state IS DISTINCT FROM OLD.state)::int;
  RETURN NEW;
END $$;
CREATE TRIGGER relay_ticket_version BEFORE UPDATE ON relay_ticket
  FOR EACH ROW EXECUTE FUNCTION relay_ticket_version();
"""
DROP = """
DROP TABLE IF EXISTS relay_ticket;
DROP FUNCTION IF EXISTS relay_ticket_version;
"""
CHANGE = "UPDATE relay_ticket SET state = %s, name = %s WHERE id = %s"


class RelayTicket(models.Model):
    """What the capture compiles its trigger for; the table is made by each test."""

    stream = models.TextField()
    state = models.BigIntegerField()
    version = models.BigIntegerField()
    name = models.TextField()

    class Meta:
        app_label = "relay_tests"
        managed = False
        db_table = "relay_ticket"

    def __str__(self) -> str:
        return self.name


TRIGGER = capture.capture_update(
    "ticket_updated",
    when_changed=["state"],
    stream="NEW.stream",
    subject="'ticket:' || NEW.id",
    payload={
        "ticket": "NEW.id",
        "name": "NEW.name",
        "before": "OLD.state",
        "after": "NEW.state",
        "version": "NEW.version",
    },
)


def wait_until(true: Callable[[], object], what: str) -> None:
    """Ask again and again until ``true``; fail after the deadline and say what was missing."""
    end = monotonic() + DEADLINE_SECONDS
    while not true():
        if monotonic() > end:
            pytest.fail(f"waited {DEADLINE_SECONDS} s for {what}")
        sleep(0.002)


def database_url() -> str:
    """The test database, for connections that are not Django's."""
    place = connections["default"].settings_dict
    return psycopg.conninfo.make_conninfo(
        host=place["HOST"],
        port=place["PORT"],
        user=place["USER"],
        password=place["PASSWORD"],
        dbname=place["NAME"],
    )


class Sink:
    """
    Where the relay delivers: remembers every row, fails or waits when told to.

    ``refuses``: the names of changes at which it fails. Each try is kept, also those that fail.
    ``targets``: what each row goes to, for the audit.
    """

    def __init__(self) -> None:
        self.calls: list[list[LogRow]] = []
        self.tries: list[list[LogRow]] = []
        self.error: Exception | None = None
        self.refuses: set[str] = set()
        self.targets: Callable[[LogRow], list[str]] = lambda row: []
        self.holding: str | None = None  # the drainer whose deliveries wait
        self.reached = threading.Event()
        self.go = threading.Event()

    def deliver(self, rows: Sequence[LogRow]) -> Any:
        if self.holding == threading.current_thread().name:
            self.holding = None
            self.reached.set()
            assert self.go.wait(DEADLINE_SECONDS)
        self.tries.append(list(rows))
        if self.error is not None:
            raise self.error
        for row in rows:
            if isinstance(row.payload, dict) and row.payload.get("name") in self.refuses:
                raise ValueError(f"cannot take '{row.payload['name']}' of {row.seq}")
        self.calls.append(list(rows))
        sent: dict[str, dict[str, list[int]]] = {}
        for row in rows:
            for target in self.targets(row):
                slice_ = sent.setdefault(row.stream, {}).setdefault(target, [row.seq, row.seq, 0])
                slice_[1:] = [row.seq, slice_[2] + 1]
        return sent or None

    @contextmanager
    def held_for(self, drainer: "Drainer") -> Iterator[None]:
        """The next delivery of ``drainer`` waits; on entry it has been started and is there."""
        self.reached.clear()
        self.go.clear()
        self.holding = drainer.name
        drainer.start()
        assert self.reached.wait(DEADLINE_SECONDS)
        try:
            yield
        finally:
            self.go.set()

    @property
    def rows(self) -> list[LogRow]:
        return [row for call in self.calls for row in call]

    def publications(self) -> list[Publication]:
        return [
            Publication(row.stream, row.seq, str(row.event_id), row.payload["name"])
            for row in self.rows
        ]


_sink = Sink()


def deliver(rows: Sequence[LogRow]) -> Any:
    return _sink.deliver(rows)


def judge(row: LogRow) -> str | None:
    """Find fault with what says so of itself; fails at what asks for that."""
    fault: str | None = row.payload.get("fault")
    if fault == "fail":
        raise RuntimeError("the judge fails")
    return fault


nudges: list[Any] = []


def nudge(lanes: Any) -> None:
    nudges.append(lanes)


class Drainer:
    """A drainer in a thread of its own, hence with a session and a memory of its own."""

    def __init__(self, name: str, lane: int) -> None:
        self.name = f"{name}_0"
        self.lane = lane
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self.running: Future[bool] | None = None

    def start(self) -> None:
        """Drain as long as there is something to do."""
        self.running = self._thread.submit(
            relay.drain, self.lane, deadline=monotonic() + DEADLINE_SECONDS
        )

    def result(self) -> bool:
        assert self.running is not None
        return self.running.result(DEADLINE_SECONDS)

    def drain(self) -> bool:
        self.start()
        return self.result()

    def one_round(self) -> bool:
        return self._thread.submit(relay.drain, self.lane, deadline=monotonic()).result(
            DEADLINE_SECONDS
        )

    def call(self, function: Callable[[], Any]) -> Any:
        """Run ``function`` in its thread, where its session is."""
        return self._thread.submit(function).result(DEADLINE_SECONDS)

    def pid(self) -> int:
        """The process id of its backend; only while it is idle."""

        def ask() -> int:
            with relay_session() as session:
                return session.connection.info.backend_pid

        return int(self.call(ask))

    def close(self) -> None:
        self._thread.submit(close_session).result(DEADLINE_SECONDS)
        self._thread.shutdown()


class HandDrainer:
    """The relay's own statements, one at a time: what no honest drainer does, or how it dies."""

    def __init__(self, connection: psycopg.Connection[Any], lane: int) -> None:
        self.connection = psycopg.ClientCursor(connection)
        self.lane = lane
        self.rows: list[LogRow] = []

    def lock(self) -> tuple[int, int, bool]:
        self.connection.execute(sql.OPEN_ROUND, {"lane": self.lane})
        while self.connection.nextset():
            pass
        (row,) = self.connection.fetchall()
        return row

    def record(self, *, low: int = 0, n: int = 500, seen: int = 0) -> list[LogRow]:
        params = {"lane": self.lane, "low": low, "n": n, "seen": seen, "slack": 0}
        found = self.connection.execute(sql.RECORD, params).fetchall()
        self.rows = [LogRow(*row[3:]) for row in found if row[3] is not None]
        return self.rows

    def commit(self) -> None:
        self.connection.execute("COMMIT")

    def mark(self) -> None:
        self.connection.execute(
            sql.MARK_PUBLISHED,
            {
                "names": [self.rows[0].stream],
                "firsts": [self.rows[0].seq],
                "lasts": [self.rows[-1].seq],
                "sent": "[]",
                "worker": "by hand",
            },
        )

    def die(self) -> None:
        self.connection.connection.close()


class Writer:
    """A connection stepped by hand that writes down what it did."""

    _names = count(1)

    def __init__(self, connection: psycopg.Connection[Any], journal: list[Transaction]) -> None:
        self.connection = connection
        self.journal = journal
        self.open: Transaction | None = None

    def begin(self) -> "Writer":
        self.open = Transaction(began=monotonic())
        self.journal.append(self.open)
        self.connection.execute("BEGIN")
        return self

    def take_xid(self) -> int:
        return int(self.connection.execute("SELECT pg_current_xact_id()::text").fetchall()[0][0])

    def change(self, *tickets: int) -> "Writer":
        assert self.open is not None
        for ticket in tickets:
            number = next(self._names)
            cursor = self.connection.execute(
                CHANGE + " RETURNING stream", [number, f"c{number}", ticket]
            )
            (stream,) = cursor.fetchone()
            self.open.changes.append(Change(stream, ticket, f"c{number}"))
        return self

    def commit(self) -> None:
        assert self.open is not None
        self.connection.execute("COMMIT")
        self.open.ended, self.open.committed = monotonic(), True

    def rollback(self) -> None:
        self.connection.execute("ROLLBACK")


class Bench:
    """All of it on one database; closes what it opened."""

    def __init__(self, settings: Any) -> None:
        self.settings = settings
        self.sink = _sink
        self.journal: list[Transaction] = []
        self._open: list[psycopg.Connection[Any]] = []
        self._drainers: list[Drainer] = []
        self._numbers = count(1)
        self.admin = self.connect()

    def configure(self, **changes: Any) -> None:
        """Override keys of ``settings.OUTBOX``."""
        self.settings.OUTBOX = django_settings.OUTBOX | changes

    def connect(self) -> psycopg.Connection[Any]:
        connection = psycopg.connect(database_url(), autocommit=True)
        self._open.append(connection)
        return connection

    def tickets(self, n: int, stream: str = STREAM) -> list[int]:
        """Make ``n`` tickets; creating one is no event."""
        ids = [next(self._numbers) for _ in range(n)]
        self.admin.cursor().executemany(
            "INSERT INTO relay_ticket (id, stream) VALUES (%s, %s)", [(id_, stream) for id_ in ids]
        )
        return ids

    def writer(self) -> Writer:
        return Writer(self.connect(), self.journal)

    def write(self, *tickets: int) -> None:
        """Change each ticket in one committed transaction."""
        writer = Writer(self.admin, self.journal)
        writer.begin().change(*tickets).commit()

    def next_id(self, value: int) -> None:
        """Go on with this message id: low-water marks are not written for small steps."""
        self.admin.execute(
            "SELECT setval(pg_get_serial_sequence('outbox_message', 'id'), %s, false)", [value]
        )

    def drainer(self, name: str = "drainer", lane: int = LANE) -> Drainer:
        drainer = Drainer(f"{name}-{len(self._drainers)}", lane)
        self._drainers.append(drainer)
        return drainer

    def hand_drainer(self, lane: int = LANE) -> HandDrainer:
        return HandDrainer(self.connect(), lane)

    def record_only(self, lane: int = LANE) -> None:
        """Record what is there, as a drainer does that dies before it publishes."""
        hand = self.hand_drainer(lane)
        hand.lock()
        hand.record()
        hand.commit()
        hand.die()

    def one(self, query: str, *params: Any) -> Any:
        """Return the first column of the first row."""
        return self.admin.execute(query, params).fetchall()[0][0]

    def all(self, query: str, *params: Any) -> list[tuple[Any, ...]]:
        return self.admin.execute(query, params).fetchall()

    def low_id(self, lane: int = LANE) -> int:
        return self.one("SELECT low_id FROM outbox_lane WHERE lane = %s", lane)

    def pause(self, lane: int = LANE) -> None:
        """Publish nothing from now on, as after a failure of the sink."""
        self.admin.execute(
            "UPDATE outbox_lane SET publish_after = clock_timestamp() + interval '1 hour' "
            "WHERE lane = %s",
            [lane],
        )

    def resume(self, lane: int = LANE) -> None:
        """Let the pause be over."""
        self.admin.execute(
            "UPDATE outbox_lane SET publish_after = clock_timestamp() "
            "WHERE lane = %s AND publish_after IS NOT NULL",
            [lane],
        )

    def resume_all(self) -> None:
        """Let the pauses of all lanes be over, and the marks of the dead be old."""
        self.admin.execute(
            "UPDATE outbox_lane SET publish_after = NULL,"
            " takeover_at = takeover_at - interval '1 minute'"
        )

    def log(self, stream: str = STREAM) -> list[tuple[int, str]]:
        """Return (seq, name of the change) of a stream, in order."""
        return self.all(
            "SELECT seq, payload->>'name' FROM event_log WHERE stream = %s ORDER BY seq", stream
        )

    def findings(self) -> list[str]:
        evidence = relay_checker.read(self.admin, self.journal, self.sink.publications())
        return relay_checker.check(evidence)

    # --- Stopping in the middle of a round ---

    @contextmanager
    def stopped_before_record(self, drainer: Drainer) -> Iterator[None]:
        """
        Hold ``drainer`` with the lane's lock in hand and its snapshot not yet taken.

        A statement locks its tables before it takes its snapshot, and only the record statement
        reads outbox_log.
        """
        with self.connect() as blocker:
            blocker.execute("BEGIN; LOCK TABLE outbox_log")
            drainer.start()
            self.wait_for_lock("outbox_log")
            yield

    def wait_for_lock(self, table: str) -> None:
        """Wait until a session waits for a lock on ``table``, or for a row lock held in it."""
        query = """
            SELECT count(*) FROM pg_locks waiting
             WHERE NOT waiting.granted
               AND (waiting.relation = %(table)s::regclass
                    OR EXISTS (SELECT FROM pg_locks held WHERE held.pid = waiting.pid
                                AND held.granted AND held.relation = %(table)s::regclass))
        """

        def waited_for() -> bool:
            return self.admin.execute(query, {"table": table}).fetchall() != [(0,)]

        wait_until(waited_for, f"a lock wait at {table}")

    @contextmanager
    def stopped_at(self, point: str, drainer: Drainer) -> Iterator[None]:
        """Hold ``drainer`` at a failpoint; on entry it has been started and is there."""
        reached, go = threading.Event(), threading.Event()

        def stop() -> None:
            if threading.current_thread().name == drainer.name and not reached.is_set():
                reached.set()
                assert go.wait(DEADLINE_SECONDS)

        failpoints.ACTIONS["stop"] = stop
        failpoints.arm(f"{point}=stop")
        try:
            drainer.start()
            assert reached.wait(DEADLINE_SECONDS), f"{drainer.name} never came to {point}"
            yield
        finally:
            go.set()
            failpoints.arm("")
            del failpoints.ACTIONS["stop"]

    def close(self) -> None:
        failpoints.arm("")
        self.sink.go.set()
        for connection in self._open:
            connection.close()
        for drainer in self._drainers:
            drainer.close()
        close_session()


@pytest.fixture
def outbox(database: None, settings: Any) -> Iterator[None]:
    """The outbox with a sink and a waker that only remember."""
    vars(_sink).clear()  # a test may have replaced a method
    _sink.__init__()  # type: ignore[misc]
    nudges.clear()
    settings.OUTBOX = {
        "lanes": LANES,
        "batch": 500,
        "sink": f"{__name__}.deliver",
        "waker": f"{__name__}.nudge",
    }
    yield
    close_session()


@pytest.fixture
def bench(outbox: None, settings: Any) -> Iterator[Bench]:
    """The small captured table with writers, drainers and a sink."""
    bench = Bench(settings)
    try:
        bench.admin.execute(DROP + CREATE + TRIGGER.compile(RelayTicket).install_sql)
        yield bench
    finally:
        bench.close()
        with psycopg.connect(database_url(), autocommit=True) as connection:
            connection.execute("SET lock_timeout = '10s'")
            connection.execute(DROP)
            connection.execute(f"DROP FUNCTION IF EXISTS {TRIGGER.get_pgid(RelayTicket)}")
