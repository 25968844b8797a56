"""
Many writers that commit in any order, drainers that are killed at any step, and one checker.

Longer: ``./noc test tests/integration/test_relay_stress.py --stress-seconds 600``.
"""

import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import psycopg
import pytest

from outbox import relay, sql
from outbox.lanes import lane_of
from tests.integration.outbox_fixtures import CHANGE, LANES, Bench, database_url
from tests.integration.relay_checker import Change, Publication, Transaction

WRITERS = 16
DRAINERS = 4
STREAMS = 8
BUSY_LANES = 2  # two drainers each
TICKETS_PER_STREAM = 10
ROLLED_BACK = 0.2
CUT_OFF = 0.02
HELD_SECONDS = 0.06  # at most; a twentieth of the transactions eight times that

pytestmark = [pytest.mark.stress]


class Load(threading.Thread):
    """One writer: transactions of every shape, held for a while, and what came of each."""

    def __init__(self, number: int, seed: int, tickets: dict[str, list[int]]) -> None:
        super().__init__(name=f"writer-{number}", daemon=True)
        self.number = number
        self.random = random.Random(seed * 100 + number)
        self.tickets = tickets
        self.streams = sorted(tickets)
        self.journal: list[Transaction] = []
        self.names = 0
        self.stopped = threading.Event()
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.stopped.is_set():
                with psycopg.connect(database_url(), autocommit=True) as connection:
                    self.write(connection)
        except BaseException as error:
            self.failure = error

    def write(self, connection: psycopg.Connection[Any]) -> None:
        """Write until the connection is cut off or the run is over."""
        while not self.stopped.is_set():
            transaction = Transaction(began=monotonic())
            self.journal.append(transaction)
            try:
                connection.execute("BEGIN")
                shape = self.random.choice(
                    [self.one, self.one, self.two, self.twice, self.many, self.undone, self.no_op]
                )
                shape(connection, transaction)
                self.hold()
                if self.random.random() < CUT_OFF:
                    connection.close()
                    return
                if self.random.random() < ROLLED_BACK:
                    connection.execute("ROLLBACK")
                else:
                    connection.execute("COMMIT")
                    transaction.ended, transaction.committed = monotonic(), True
            except psycopg.errors.DeadlockDetected:  # of rows in several writers; nothing of ours
                connection.execute("ROLLBACK")

    def hold(self) -> None:
        longest = HELD_SECONDS * (8 if self.random.random() < 0.05 else 1)
        self.stopped.wait(self.random.uniform(0, longest))

    def update(
        self, connection: psycopg.Connection[Any], transaction: Transaction, *tickets: int
    ) -> None:
        self.names += 1
        name = f"w{self.number}-{self.names}"
        state = self.random.getrandbits(48)
        found = connection.execute(
            CHANGE.replace("id = %s", "id = ANY(%s)") + " RETURNING id, stream",
            [state, name, list(tickets)],
        ).fetchall()
        transaction.changes += [Change(stream, ticket, name) for ticket, stream in found]

    def pick(self, n: int = 1) -> list[int]:
        """Choose tickets, in the order in which everybody locks them."""
        streams = self.random.choices(self.streams, k=n)
        return sorted({self.random.choice(self.tickets[stream]) for stream in streams})

    def one(self, connection: psycopg.Connection[Any], transaction: Transaction) -> None:
        self.update(connection, transaction, *self.pick())

    def two(self, connection: psycopg.Connection[Any], transaction: Transaction) -> None:
        for ticket in self.pick(2):
            self.update(connection, transaction, ticket)
            self.hold()

    def twice(self, connection: psycopg.Connection[Any], transaction: Transaction) -> None:
        (ticket,) = self.pick()
        self.update(connection, transaction, ticket)
        self.update(connection, transaction, ticket)

    def many(self, connection: psycopg.Connection[Any], transaction: Transaction) -> None:
        self.update(connection, transaction, *self.pick(5))

    def undone(self, connection: psycopg.Connection[Any], transaction: Transaction) -> None:
        first, *others = self.pick(2)
        self.update(connection, transaction, first)
        kept = list(transaction.changes)
        connection.execute("SAVEPOINT s")
        self.update(connection, transaction, *(others or [first]))
        connection.execute("ROLLBACK TO SAVEPOINT s")
        transaction.changes[:] = kept
        self.update(connection, transaction, first)

    def no_op(self, connection: psycopg.Connection[Any], transaction: Transaction) -> None:
        connection.execute("UPDATE relay_ticket SET name = 'x' WHERE id = ANY(%s)", [self.pick()])


class Run:
    """A load with drainers, for some seconds, and then everything that is left, recorded."""

    def __init__(self, bench: Bench, folder: Path, seed: int) -> None:
        self.bench = bench
        self.folder = folder
        self.seed = seed
        self.did: dict[str, int] = {}
        self.journal: list[Transaction] = []
        streams = self._streams()
        self.busy = sorted({lane_of(stream, LANES) for stream in streams})
        assert len(self.busy) == BUSY_LANES
        self.tickets = {stream: bench.tickets(TICKETS_PER_STREAM, stream) for stream in streams}

    @staticmethod
    def _streams() -> list[str]:
        busy: dict[int, list[str]] = {}
        for n in range(1, 500):
            lane = lane_of(f"relay:{n}", LANES)
            if lane in busy or len(busy) < BUSY_LANES:
                busy.setdefault(lane, []).append(f"relay:{n}")
        return [name for names in busy.values() for name in names[: STREAMS // BUSY_LANES]]

    def __call__(self, seconds: float, *, statements: dict[str, str] | None = None) -> list[str]:
        """Return the checker's findings."""
        writers = [Load(number, self.seed, self.tickets) for number in range(WRITERS)]
        with self.drainers(statements or {}):
            for writer in writers:
                writer.start()
            sleep(seconds)
            for writer in writers:
                writer.stopped.set()
            for writer in writers:
                writer.join(30)
                assert writer.failure is None, writer.failure
        self.journal = [entry for writer in writers for entry in writer.journal]
        self.finish(statements or {})
        return self.findings()

    @contextmanager
    def drainers(self, statements: dict[str, str]) -> Iterator[None]:
        options = {
            "lanes": LANES,
            "busy": self.busy,
            "drainers": DRAINERS,
            "folder": str(self.folder),
            "seed": self.seed,
            "sql": statements,
        }
        host = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.relay_drainers", json.dumps(options)],
            env=os.environ | {"DATABASE_URL": self.url(), "PYTHONWARNINGS": "ignore"},
            cwd=Path(__file__).resolve().parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert host.stdout is not None
            assert host.stdout.readline() == "ready\n"
            yield
        finally:
            output, _ = host.communicate("stop\n", timeout=30)
        assert host.returncode == 0
        self.did = json.loads(output)

    @staticmethod
    def url() -> str:
        from django.db import connections

        place = connections["default"].settings_dict
        user = f"{place['USER']}:{place['PASSWORD']}"
        return f"postgresql://{user}@{place['HOST']}:{place['PORT']}/{place['NAME']}"

    def finish(self, statements: dict[str, str]) -> None:
        """Drain what the killed ones left, without faults."""
        self.bench.configure(batch=500, push_rounds=1_000)
        with pytest.MonkeyPatch.context() as patch:
            for name, text in statements.items():
                patch.setattr(sql, name, text)
            self.bench.admin.execute(
                "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
                "WHERE application_name = 'outbox-relay' AND datname = current_database()"
            )
            self.bench.resume_all()
            self.bench.admin.execute(  # nobody waits here until the marks of killed ones are old
                "UPDATE outbox_lane SET takeover_at = takeover_at - interval '1 minute'"
            )
            for lane in self.busy:
                self.bench.drainer(lane=lane).drain()

    def findings(self) -> list[str]:
        published = [*self.bench.sink.publications(), *self.publications()]
        from tests.integration import relay_checker

        return relay_checker.check(relay_checker.read(self.bench.admin, self.journal, published))

    def publications(self) -> Iterator[Publication]:
        for path in self.folder.glob("*.jsonl"):
            for line in path.read_text().splitlines():
                try:
                    yield Publication(*json.loads(line))
                except ValueError:
                    continue  # the last line of one that was killed


@pytest.fixture
def run(bench: Bench, tmp_path: Path, request: pytest.FixtureRequest) -> Run:
    seed = int(request.config.getoption("--stress-seed"))
    return Run(bench, tmp_path, seed)


class TestUnderLoadAndKills:
    def test_each_commit_is_logged_once_in_order_and_published(self, run, request, capsys):
        seconds = float(request.config.getoption("--stress-seconds"))
        findings = run(seconds)

        committed = sum(len(t.changes) for t in run.journal if t.committed)
        with capsys.disabled():
            print(f"\n{committed} changes committed; drainers {run.did}")  # noqa: T201
        assert findings == [], findings[:20]
        assert run.did["broke"] == 0
        # A run without faults or without work proves nothing.
        assert committed > 20 * seconds
        assert run.did["killed"] > seconds
        assert run.did["killed at a failpoint"] > 0
        assert run.did["frozen"] > 0
        low_ids = run.bench.all("SELECT low_id FROM outbox_lane WHERE low_id > 0")
        assert len(low_ids) == BUSY_LANES
        assert relay.find_below_low_water() == []

    def test_the_checker_sees_the_loss_of_reading_beyond_the_greatest_id(self, run):
        from tests.integration.test_relay_low_water import GREATEST_RECORDED_ID

        findings = run(3, statements={"RECORD": GREATEST_RECORDED_ID})

        assert any(line.startswith("lost:") for line in findings)
        assert any(line.startswith("chain:") for line in findings)
