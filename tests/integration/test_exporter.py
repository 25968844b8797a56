"""The exporter: what it tells of the database's state, what it costs, and when it cannot ask."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import psycopg
import pytest
from django.db import connection
from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.parser import text_string_to_metric_families as parse

from apps.noc.exporter import questions
from apps.noc.exporter.collector import DatabaseCollector, Rising
from outbox import controls, heartbeat, partitions
from tests.integration.processes import ROOT, database_url, free_port, until
from tests.tcp_proxy import BLACK_HOLE, DOWN, PASS, Mode, TcpProxy

Samples = dict[str, float]

SECONDS = 2.0  # that a scrape of these tests may take

# A log and an outbox of this size make a statement that counts them stand out.
FILL_LOG = """
INSERT INTO event_log (stream, seq, event_id, type, subject, payload, context, schema_version,
                       occurred_at, recorded_at)
SELECT 'tenant:' || n %% %(streams)s, n, gen_random_uuid(), 't', 's', '{}', '{}', 1, now(), now()
  FROM generate_series(1, %(events)s) n
"""
FILL_STREAMS = """
INSERT INTO outbox_stream (name, lane, epoch, last_seq, published_seq)
SELECT 'tenant:' || n, outbox_lane_of('tenant:' || n), gen_random_uuid(), 100, 99
  FROM generate_series(1, %s) n
"""
FILL_OUTBOX = """
INSERT INTO outbox_message (lane, stream, type, subject, payload)
SELECT outbox_lane_of(s), s, 't', 's', '{}'
  FROM (SELECT 'tenant:' || n %% 1000 AS s FROM generate_series(1, %s) n) g
"""
FILL_DEAD = """
INSERT INTO outbox_dead_letter (event_id, stream, seq, epoch, type, subject, payload, context,
  schema_version, occurred_at, recorded_at, sink, reason, error, fingerprint, attempts)
SELECT gen_random_uuid(), 'tenant:1', n, gen_random_uuid(), 't', 's', '{}', '{}', 1, now(), now(),
       'x', CASE WHEN n %% 3 = 0 THEN 'poison' ELSE 'crash' END, 'e', 'f', 1
  FROM generate_series(1, %s) n
"""
ADD_REPLAY = """
INSERT INTO outbox_replay (action, source, filters, forced, reason, actor, rate, fingerprint,
                           total, state, replayed, failed)
VALUES ('replay', 'log', '{}', false, 'r', 'a', 1, 'f', %s, %s, %s, %s)
"""


def samples(text: str) -> Samples:
    """Every sample as ``name`` or ``name{label="value"}``."""
    found = {}
    for family in parse(text):
        for sample in family.samples:
            labels = ",".join(f'{key}="{value}"' for key, value in sample.labels.items())
            found[sample.name + (f"{{{labels}}}" if labels else "")] = sample.value
    return found


@pytest.fixture
def served() -> Iterator[Callable[..., Callable[[], Samples]]]:
    """Serves the collector by HTTP and returns what scrapes it."""
    ends: list[Callable[[], None]] = []

    def serve(**bounds: float) -> Callable[[], Samples]:
        collector = DatabaseCollector(**{"seconds": SECONDS, **bounds})
        registry = CollectorRegistry()
        registry.register(collector)
        server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
        url = f"http://127.0.0.1:{server.server_port}/metrics"
        ends.extend([server.shutdown, server.server_close, thread.join, collector.close])

        def scrape() -> Samples:
            answer = httpx.get(url, timeout=SECONDS + 5)
            assert answer.status_code == 200
            return samples(answer.text)

        return scrape

    yield serve
    for end in ends:
        end()


@pytest.fixture
def scrape(database: None, served: Callable[..., Any]) -> Callable[[], Samples]:
    made: Callable[[], Samples] = served()
    return made


def execute(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


class TestEmpty:
    def test_answers_everything_with_every_label(self, scrape: Callable[[], Samples]) -> None:
        partitions.ensure_ahead(now=_now())

        found = scrape()

        assert found["noc_exporter_up"] == 1
        expected = {
            "noc_outbox_pending": 0,
            "noc_outbox_oldest_pending_seconds": 0,
            "noc_events_recorded_total": 0,
            "noc_events_published_total": 0,
            "noc_events_unpublished": 0,
            'noc_lanes_paused{why="operator"}': 0,
            'noc_lanes_paused{why="failures"}': 0,
            "noc_replays_running": 0,
            'noc_heartbeat_timestamp_seconds{name="timer"}': 0,
            'noc_heartbeat_timestamp_seconds{name="sweep"}': 0,
            "noc_beat_last_run_timestamp_seconds": 0,
            "noc_log_partitions_ahead": 7,
            'noc_default_partition_rows{parent="event_log"}': 0,
            'noc_default_partition_rows{parent="outbox_broadcast"}': 0,
            "noc_feed_leases": 0,
        }
        for kind in ("transport", "sink", "poison", "sink_error", "crash"):
            expected[f'noc_publish_failures_total{{kind="{kind}"}}'] = 0
        for reason in ("poison", "sink_error", "crash"):
            expected[f'noc_dead_letters{{reason="{reason}"}}'] = 0
        for result in ("replayed", "discarded", "already", "superseded", "failed", "cancelled"):
            expected[f'noc_replays_total{{result="{result}"}}'] = 0
        assert {name: found.get(name) for name in expected} == expected

    def test_names_no_tenant_ticket_or_user(
        self, scrape: Callable[[], Samples], world: Any, ticket: Any
    ) -> None:
        labels = {part.split("=")[0] for name in scrape() for part in _labels(name)}
        assert labels == {"why", "kind", "reason", "result", "name", "parent", "question"}


class TestState:
    def test_follows_messages_into_the_log_and_out(
        self, bench: Any, served: Callable[..., Callable[[], Samples]]
    ) -> None:
        scrape = served()
        bench.write(*bench.tickets(3))
        bench.admin.execute(
            "UPDATE outbox_message SET occurred_at = clock_timestamp() - interval '90 s'"
        )
        waiting = scrape()
        bench.pause()
        bench.drainer().drain()
        recorded = scrape()
        bench.resume()
        bench.drainer().drain()
        published = scrape()

        assert waiting["noc_outbox_pending"] == 3
        assert 90 <= waiting["noc_outbox_oldest_pending_seconds"] < 120
        assert recorded["noc_outbox_pending"] == 0
        assert recorded["noc_outbox_oldest_pending_seconds"] == 0
        assert recorded["noc_events_recorded_total"] == 3
        assert recorded["noc_events_published_total"] == 0
        assert recorded["noc_events_unpublished"] == 3
        assert published["noc_events_published_total"] == 3
        assert published["noc_events_unpublished"] == 0

    def test_counts_what_failed_by_kind_and_what_is_dead_by_reason(
        self, bench: Any, served: Callable[..., Callable[[], Samples]]
    ) -> None:
        scrape = served()
        bench.sink.error = OSError("no Redis")
        bench.write(*bench.tickets(1))
        bench.drainer().drain()
        bench.admin.execute(FILL_DEAD.replace("%%", "%").replace("%s", "4"))
        failed = scrape()
        bench.admin.execute(
            "UPDATE outbox_dead_letter SET state = 'discarded', resolved_at = now()"
            " WHERE reason = 'poison'"
        )

        assert failed['noc_publish_failures_total{kind="transport"}'] == 1
        assert failed['noc_lanes_paused{why="failures"}'] == 1
        assert failed['noc_dead_letters{reason="crash"}'] == 3
        assert failed['noc_dead_letters{reason="poison"}'] == 1
        assert scrape()['noc_dead_letters{reason="poison"}'] == 0

    def test_tells_who_paused_a_lane(self, scrape: Callable[[], Samples]) -> None:
        execute("UPDATE outbox_lane SET publish_failures = 2 WHERE lane IN (1, 2)")
        controls.pause(2, actor="test", reason="maintenance")

        found = scrape()

        assert found['noc_lanes_paused{why="operator"}'] == 1
        assert found['noc_lanes_paused{why="failures"}'] == 1

    def test_counts_replays_by_result(self, scrape: Callable[[], Samples]) -> None:
        execute(ADD_REPLAY, 10, "done", 8, 2)
        execute(ADD_REPLAY, 5, "cancelled", 1, 0)
        execute(ADD_REPLAY, 5, "running", 3, 0)

        found = scrape()

        assert found['noc_replays_total{result="replayed"}'] == 12
        assert found['noc_replays_total{result="failed"}'] == 2
        assert found['noc_replays_total{result="cancelled"}'] == 4
        assert found["noc_replays_running"] == 1

    def test_shows_signs_of_life_as_times(self, scrape: Callable[[], Samples]) -> None:
        before = time.time()
        heartbeat.beat(heartbeat.TIMER)

        found = scrape()

        beaten = found['noc_heartbeat_timestamp_seconds{name="timer"}']
        assert before - 5 <= beaten <= time.time() + 5
        assert found['noc_heartbeat_timestamp_seconds{name="sweep"}'] == 0

    def test_counts_the_days_that_have_partitions(self, scrape: Callable[[], Samples]) -> None:
        partitions.ensure_ahead(now=_now())
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_char((now() AT TIME ZONE 'UTC')::date + 3, 'YYYYMMDD')")
            (day,) = cursor.fetchone()
        execute(f"DROP TABLE event_log_p{day}")
        try:
            found = scrape()
        finally:
            execute(f"DROP TABLE outbox_broadcast_p{day}")
            partitions.ensure_ahead(now=_now())

        assert found["noc_log_partitions_ahead"] == 2
        assert scrape()["noc_log_partitions_ahead"] == 7


class TestTotals:
    def test_stay_when_the_epoch_is_renewed_and_tenants_are_deleted(
        self, scrape: Callable[[], Samples], world: Any, ticket: Any, settings: Any
    ) -> None:
        from apps.tenancy.models import Membership, Site
        from outbox import epoch, relay

        for lane in range(8):
            relay.drain(lane, deadline=monotonic() + 20)
        before = scrape()["noc_events_recorded_total"]
        assert before
        epoch.renew(reason="a test")
        for rows in (Membership, Site):
            rows.objects.filter(tenant=world.b.tenant).delete()
        world.b.tenant.delete()

        assert scrape()["noc_events_recorded_total"] == before

    def test_go_on_from_the_last_value_after_a_restore(self, scrape: Callable[[], Samples]) -> None:
        execute(FILL_STREAMS, 10)
        assert scrape()["noc_events_recorded_total"] == 1_000
        execute("UPDATE outbox_stream SET last_seq = 50, published_seq = 50")

        assert scrape()["noc_events_recorded_total"] == 1_000
        execute("UPDATE outbox_stream SET last_seq = 51, published_seq = 50")

        assert scrape()["noc_events_recorded_total"] == 1_010

    def test_rise_by_what_is_new_however_often_they_fall(self) -> None:
        rising = Rising()

        shown = [rising(("a",), value) for value in (5, 7, 3, 4, 0, 2)]

        assert shown == [5, 7, 7, 8, 8, 10]


class TestCost:
    def test_does_not_grow_with_the_log_or_a_backlog(self, scrape: Callable[[], Samples]) -> None:
        execute(FILL_LOG.replace("%(streams)s", "1000").replace("%(events)s", "200000"))
        execute(FILL_STREAMS, 1_000)
        execute(FILL_OUTBOX, 30_000)
        execute(FILL_DEAD, 20_000)
        execute("ANALYZE")

        found = scrape()
        touched = {question.name: _rows_touched(question) for question in questions.QUESTIONS}

        assert found["noc_exporter_up"] == 1
        assert found["noc_outbox_pending"] == questions.CAP
        assert sum(found[f'noc_dead_letters{{reason="{r}"}}'] for r in _reasons()) == questions.CAP
        limits = {"outbox": 11_000, "log": 1_100, "dead_letters": 11_000}
        assert {n: t for n, t in touched.items() if t > limits.get(n, 200)} == {}

    def test_is_one_statement_per_question_in_one_transaction_that_cannot_write(
        self, database: None
    ) -> None:
        collector = DatabaseCollector(seconds=SECONDS)
        statements: list[str] = []

        def note(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
            statements.append(sql)
            return execute(sql, params, many, context)

        def watch() -> None:
            connection.ensure_connection()
            connection.execute_wrappers.append(note)

        collector._reader.submit(watch).result()
        list(collector.collect())
        collector.close()

        asked = [sql for sql in statements if "SAVEPOINT" not in sql]
        assert len(asked) == 1 + len(questions.QUESTIONS)
        assert "READ ONLY" in asked[0]


class TestWithoutDatabase:
    @pytest.fixture
    def proxy(self, database: None, settings: Any) -> Iterator[TcpProxy]:
        """Between the exporter's thread and the database."""
        proxy = TcpProxy(int(connection.settings_dict["PORT"]))
        yield proxy
        proxy.set(PASS)
        proxy.close()

    @pytest.fixture
    def process(
        self, proxy: TcpProxy, tmp_path: Path
    ) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], Samples]]]:
        """The command as it runs in production, behind the proxy."""
        port = free_port()
        address = psycopg.conninfo.conninfo_to_dict(database_url())
        url = database_url().replace(f":{address['port']}/", f":{proxy.port}/")
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "manage.py", "noc_exporter", "--port", str(port)],
                cwd=ROOT,
                env={**os.environ, "DATABASE_URL": url},
                stdout=log,
                stderr=log,
            )

        def scrape() -> Samples:
            return samples(httpx.get(f"http://127.0.0.1:{port}/metrics", timeout=9).text)

        def listens() -> bool:
            assert process.poll() is None, (tmp_path / "log").read_text()
            try:
                return bool(scrape())
            except httpx.TransportError:
                return False

        until(listens, seconds=60)
        yield process, scrape
        process.kill()
        process.wait()

    def test_answers_that_it_is_away_and_goes_on_when_it_is_back(
        self, proxy: TcpProxy, process: tuple[subprocess.Popen[bytes], Callable[[], Samples]]
    ) -> None:
        _, scrape = process
        assert scrape()["noc_exporter_up"] == 1

        for broken in (DOWN, BLACK_HOLE):
            proxy.set(broken)
            away = scrape()
            assert away["noc_exporter_up"] == 0
            assert away['noc_exporter_errors_total{question="session"}'] >= 1
            assert "noc_outbox_pending" not in away
            proxy.set(PASS)
            until(lambda: scrape()["noc_exporter_up"] == 1, seconds=30)

    def test_does_not_notice_that_its_session_was_ended_between_two_scrapes(
        self, process: tuple[subprocess.Popen[bytes], Callable[[], Samples]], database: None
    ) -> None:
        _, scrape = process
        scrape()
        execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        )

        assert scrape()["noc_exporter_up"] == 1

    @pytest.mark.parametrize("mode", [PASS, BLACK_HOLE])
    def test_ends_at_a_signal(
        self,
        proxy: TcpProxy,
        process: tuple[subprocess.Popen[bytes], Callable[[], Samples]],
        mode: Mode,
    ) -> None:
        running, scrape = process
        proxy.set(mode)
        scrape()

        running.send_signal(signal.SIGTERM)

        assert running.wait(10) == 0

    def test_tells_the_rest_when_one_question_fails(self, scrape: Callable[[], Samples]) -> None:
        with psycopg.connect(database_url()) as holder:
            holder.execute("LOCK TABLE outbox_replay")
            found = scrape()

        assert found["noc_exporter_up"] == 0
        assert found['noc_exporter_errors_total{question="replays"}'] == 1
        assert found['noc_exporter_errors_total{question="session"}'] == 0
        assert found["noc_outbox_pending"] == 0
        assert "noc_replays_running" not in found
        assert scrape()["noc_exporter_up"] == 1


class TestCommand:
    def test_names_the_remedy_when_its_port_is_taken(self, database: None) -> None:
        from django.core.management import CommandError, call_command

        with TcpListener() as port, pytest.raises(CommandError, match="choose another --port"):
            call_command("noc_exporter", "--port", str(port))

    def test_prints_the_metrics_once(
        self, database: None, capsys: pytest.CaptureFixture[str]
    ) -> None:
        from django.core.management import call_command

        call_command("noc_exporter", "--once")

        assert samples(capsys.readouterr().out)["noc_exporter_up"] == 1


class TcpListener:
    """Somebody else on a port."""

    def __enter__(self) -> int:
        import socket

        self._socket = socket.create_server(("127.0.0.1", 0))
        port: int = self._socket.getsockname()[1]
        return port

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def _rows_touched(question: questions.Question) -> int:
    """The rows that the statement's scans have read, by EXPLAIN."""
    import json

    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {question.sql}", questions.PARAMETERS)
        (plan,) = cursor.fetchone()
    plan = json.loads(plan) if isinstance(plan, str) else plan
    total, nodes = 0, [plan[0]["Plan"]]
    while nodes:
        node = nodes.pop()
        nodes += node.get("Plans", [])
        if "Scan" in node["Node Type"] and "Relation Name" in node:
            read = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
            total += round(read * node["Actual Loops"])
    return total


def _labels(name: str) -> list[str]:
    return name.partition("{")[2].rstrip("}").split(",") if "{" in name else []


def _reasons() -> list[str]:
    from outbox.models import Reason

    return list(Reason.values)


def _now() -> Any:
    from django.utils import timezone

    return timezone.now()
