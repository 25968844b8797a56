"""Each command of docker-compose.yml does its work on real servers, in the role it has there."""

from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from tests.e2e.composed import FLOWER_LOGIN, HOST, Composed
from tests.e2e.running import eventually, left

STARTED = ("redis-broker", "redis-layer")
PROGRAMS = ("web", "beat", "flower", "exporter", "worker")
# The proxy in front says these.
PROXY = {"Host": HOST, "X-Forwarded-Proto": "https"}

INSERT_TICKET = """
WITH tenant AS (INSERT INTO tenancy_tenant (name, slug) VALUES (%(name)s, %(name)s) RETURNING id),
site AS (INSERT INTO tenancy_site (tenant_id, code, name)
         SELECT id, 'SITE001', 'Downtown Office' FROM tenant RETURNING id, tenant_id)
INSERT INTO helpdesk_ticket (tenant_id, site_id, ticket_no)
SELECT tenant_id, id, 'SITE001#1' FROM site RETURNING id, 'tenant:' || tenant_id
"""


@pytest.fixture(scope="module")
def composed(new_data_folder: Callable[[str], Path]) -> Iterator[Composed]:
    """Every service of the file, running and healthy."""
    composed = Composed(new_data_folder("compose"))
    everything: list[psutil.Process] = []
    try:
        composed.make_image()
        files = composed.files()
        composed.start_database()
        for name in STARTED:
            composed.start(name)
            eventually(lambda name=name: composed.is_healthy(name), seconds=20)
        composed.migrate()
        for name in PROGRAMS:
            composed.start(name)
        for name in ("web", "flower", "exporter"):
            eventually(lambda name=name: composed.is_healthy(name), seconds=60)
        yield composed
        assert composed.files() == files, "a service wrote into the image"
        assert {name: process.poll() for name, process in composed.running.items()} == (
            dict.fromkeys(composed.running)
        )
        for process in composed.running.values():
            parent = psutil.Process(process.pid)
            everything += [parent, *parent.children(recursive=True)]
    finally:
        composed.end()
    assert not left(everything)


@pytest.fixture
def app(composed: Composed) -> Iterator[psycopg.Connection]:
    """A session of the role that web, worker and beat use."""
    with psycopg.connect(composed.postgres.url("noc_app"), autocommit=True) as session:
        yield session


class TestWeb:
    def test_answers_what_comes_through_the_proxy(self, composed: Composed) -> None:
        url = f"http://127.0.0.1:{composed.ports['web']}"
        assert httpx.get(f"{url}/livez", headers=PROXY).status_code == 200
        assert httpx.get(f"{url}/login/", headers=PROXY).status_code == 200

    def test_serves_the_collected_files(self, composed: Composed) -> None:
        url = f"http://127.0.0.1:{composed.ports['web']}"
        assert httpx.get(f"{url}/static/noc/noc.css", headers=PROXY).status_code == 200

    def test_sends_plain_http_to_https(self, composed: Composed) -> None:
        answer = httpx.get(
            f"http://127.0.0.1:{composed.ports['web']}/login/", headers={"Host": HOST}
        )
        assert answer.status_code == 301
        assert answer.headers["Location"] == f"https://{HOST}/login/"

    def test_refuses_other_host_names(self, composed: Composed) -> None:
        url = f"http://127.0.0.1:{composed.ports['web']}/login/"
        other = PROXY | {"Host": "other.example.com"}
        assert httpx.get(url, headers=other).status_code == 400

    def test_answers_prometheus_which_asks_inside_the_network(self, composed: Composed) -> None:
        url = f"http://127.0.0.1:{composed.ports['web']}/metrics"
        answer = httpx.get(url, headers={"Host": "web:8000"})
        assert answer.status_code == 200
        assert "noc_feed_connections" in answer.text


class TestExporter:
    def test_answers_with_what_the_role_of_the_application_may_read(
        self, composed: Composed
    ) -> None:
        answer = httpx.get(f"http://127.0.0.1:{composed.ports['exporter']}/metrics")
        assert "\nnoc_exporter_up 1.0\n" in answer.text


class TestWorker:
    def test_records_and_publishes_a_change_made_by_the_application_role(
        self, app: psycopg.Connection
    ) -> None:
        ticket_id, stream = app.execute(INSERT_TICKET, {"name": "drained"}).fetchall()[0]
        app.execute("UPDATE helpdesk_ticket SET status = 'IN_PROGRESS' WHERE id = %s", [ticket_id])

        def published() -> bool:
            marks = app.execute(
                "SELECT published_seq FROM outbox_stream WHERE name = %s", [stream]
            ).fetchone()
            return marks == (2,)

        eventually(published, seconds=30)
        logged = app.execute(
            "SELECT seq, type FROM event_log WHERE stream = %s ORDER BY seq", [stream]
        ).fetchall()
        assert logged == [(1, "ticket_created"), (2, "ticket_updated")]

    def test_is_unhealthy_while_a_message_waits_too_long(
        self, composed: Composed, app: psycopg.Connection
    ) -> None:
        eventually(lambda: composed.is_healthy("worker"), seconds=30)
        with psycopg.connect(composed.postgres.url("noc_app")) as holder:
            lane = "lane = outbox_lane_of('waiting:1')"
            holder.execute(f"SELECT FROM outbox_lane WHERE {lane} FOR UPDATE")
            app.execute(
                "INSERT INTO outbox_message (lane, stream, type, subject, payload, occurred_at)"
                " VALUES (outbox_lane_of('waiting:1'), 'waiting:1', 'waits', 'it:1', '{}',"
                " now() - interval '1 hour')"
            )
            assert not composed.is_healthy("worker")
        eventually(lambda: composed.is_healthy("worker"), seconds=30)


class TestBeat:
    def test_makes_its_rows_and_sends_the_sweep(
        self, composed: Composed, app: psycopg.Connection
    ) -> None:
        def rows() -> list[str]:
            found = app.execute("SELECT task FROM django_celery_beat_periodictask").fetchall()
            return [task for (task,) in found]

        wanted = {"outbox.sweep", "outbox.verify_log", "outbox.maintain_partitions"}
        eventually(lambda: wanted <= set(rows()), seconds=60)
        eventually(lambda: composed.is_healthy("beat"), seconds=60)


class TestFlower:
    def test_asks_for_the_login(self, composed: Composed) -> None:
        url = f"http://127.0.0.1:{composed.ports['flower']}/workers"
        assert httpx.get(url).status_code == 401
        assert httpx.get(url, auth=("noc", "wrong")).status_code == 401
        assert httpx.get(url, auth=FLOWER_LOGIN).status_code == 200

    def test_shows_the_sweep_that_beat_sent_and_the_worker_did(self, composed: Composed) -> None:
        url = f"http://127.0.0.1:{composed.ports['flower']}/api/tasks"

        def done() -> bool:
            tasks = httpx.get(
                url, auth=FLOWER_LOGIN, params={"taskname": "outbox.sweep", "state": "SUCCESS"}
            )
            return tasks.status_code == 200 and bool(tasks.json())

        eventually(done, seconds=60)

    def test_refuses_to_start_tasks(self, composed: Composed) -> None:
        url = f"http://127.0.0.1:{composed.ports['flower']}/api/task/async-apply/outbox.sweep"
        assert httpx.post(url, auth=FLOWER_LOGIN, json={}).status_code == 403


class TestRoles:
    def test_let_the_application_keep_the_partitions(self, app: psycopg.Connection) -> None:
        app.execute("SELECT outbox_add_partition(current_date + 20)")
        app.execute("SELECT outbox_drop_partitions('2000-01-01')")

    @pytest.mark.parametrize(
        "statement",
        [
            "CREATE TABLE made_by_the_application ()",
            "DROP TABLE event_log",
            "ALTER TABLE helpdesk_ticket DISABLE TRIGGER ALL",
            "SET session_replication_role = replica",
        ],
    )
    def test_let_the_application_change_no_table(
        self, app: psycopg.Connection, statement: str
    ) -> None:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            app.execute(statement)


class TestRedis:
    @pytest.mark.parametrize("name", STARTED)
    def test_is_healthy_only_with_the_password(self, composed: Composed, name: str) -> None:
        assert composed.is_healthy(name)
        environment = composed.services[name]["environment"]
        password = environment["REDISCLI_AUTH"]
        environment["REDISCLI_AUTH"] = "wrong"
        try:
            assert not composed.is_healthy(name)
        finally:
            environment["REDISCLI_AUTH"] = password
