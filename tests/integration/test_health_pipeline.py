"""/readyz and /health/pipeline: each thing broken for real, and told with its remedy."""

import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client, override_settings
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.noc.health import examine
from apps.noc.health.models import Canary
from apps.noc.health.perch import perch
from apps.noc.health.progress import PROGRESS
from outbox import partitions
from outbox.models import Lane
from tests import tcp_proxy
from tests.integration.conftest import World
from tests.integration.feed_world import World as FeedWorld
from tests.integration.health_rig import be_well
from tests.integration.processes import RedisServer, free_port, until
from tests.integration.web_process import WebProcess
from tests.tcp_proxy import TcpProxy

ABROAD = "203.0.113.9"
PATIENCE_SECONDS = 8.0  # the answer is due within three


@pytest.fixture
def well(database: None) -> None:
    be_well()


def database_url(port: int) -> str:
    """The database's address behind a proxy."""
    url = "postgresql://{USER}:{PASSWORD}@127.0.0.1:{at}/{NAME}"
    return url.format(at=port, **connection.settings_dict)


def ask(path: str = "/health/pipeline", **options: Any) -> tuple[int, dict[str, Any]]:
    answer = Client().get(path, **options)
    return answer.status_code, answer.json()


def execute(statement: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def the_reason(code: int, status: str) -> dict[str, str]:
    """Return the one reason that is given with this code and word."""
    got, body = ask()
    assert (got, body["status"]) == (code, status), body
    (reason,) = body["reasons"]
    assert set(reason) == {"check", "what", "why", "fix"}
    assert all(reason.values())
    return reason


# --- What is broken, the check that finds it, and words of its finding ---------------------------


def old_message() -> None:
    execute(
        "INSERT INTO outbox_message (lane, stream, type, subject, payload, context, occurred_at)"
        " VALUES (2, 'tenant:1', 'x', 's', '{}', '{}', clock_timestamp() - interval '40 seconds')"
    )


def message_of_a_quarter_minute() -> None:
    execute(
        "INSERT INTO outbox_message (lane, stream, type, subject, payload, context, occurred_at)"
        " VALUES (2, 'tenant:1', 'x', 's', '{}', '{}', clock_timestamp() - interval '15 seconds')"
    )


def age(heart: str) -> Callable[[], None]:
    statement = "UPDATE outbox_heartbeat SET beaten_at = beaten_at - interval '90 s' WHERE name = "
    return lambda: execute(f"{statement} '{heart}'")


def stop_lane() -> None:
    Lane.objects.filter(lane=3).update(
        paused_at=timezone.now(), paused_by="ada", pause_reason="the sink is moved"
    )


def failing_lane() -> None:
    Lane.objects.filter(lane=5).update(
        publish_failures=4,
        publish_after=timezone.now() + timedelta(seconds=20),
        publish_error="ConnectionError: refused",
    )


def unpublished(count: int, seconds: int) -> Callable[[], None]:
    return lambda: execute(
        "INSERT INTO outbox_stream"
        " (name, lane, epoch, last_seq, published_seq, last_recorded_at)"
        " SELECT 'tenant:1', 0, epoch, %s, 0, clock_timestamp() - make_interval(secs => %s)"
        " FROM outbox_log",
        count,
        seconds,
    )


def canary(*stages: Canary.Stage, seconds_ago: float = 5) -> Callable[[], None]:
    def fly() -> None:
        tenant_id = perch().tenant_id
        for stage in stages:
            run = Canary.objects.create(
                tenant_id=tenant_id, stage=stage, seconds=9.0, error="no websocket at ws://web"
            )
            sent = timezone.now() - timedelta(seconds=seconds_ago)
            Canary.objects.filter(pk=run.pk).update(sent_at=sent)

    return fly


def late_canary() -> None:
    Canary.objects.update(sent_at=timezone.now() - timedelta(minutes=5))


def dead_letter() -> None:
    execute(
        "INSERT INTO outbox_dead_letter (event_id, stream, seq, epoch, type, subject, payload,"
        " context, schema_version, occurred_at, recorded_at, sink, reason, error, fingerprint,"
        " attempts) SELECT gen_random_uuid(), 'tenant:1', 1, epoch, 'x', 's', '{}', '{}', 1, now(),"
        " now(), 'feed', 'poison', 'unknown type', 'f', 1 FROM outbox_log"
    )


Stage = Canary.Stage
BROKEN: dict[str, tuple[Callable[[], None], int, str, str, str]] = {
    "old message": (old_message, 503, "failing", "unrecorded messages", "in lanes 2"),
    "late message": (
        message_of_a_quarter_minute, 200, "degraded", "unrecorded messages", "for 15 s, in"),
    "beat is dead": (age("sweep"), 200, "degraded", "beat", "no sweep ran for 9"),
    "lane stopped": (stop_lane, 200, "degraded", "lanes", "lane 3 by ada: the sink is moved"),
    "lane failing": (failing_lane, 200, "degraded", "lanes", "after 4: ConnectionError: refused"),
    "backlog": (unpublished(5_000, 1), 200, "degraded", "unpublished events", "5000 recorded"),
    "left behind": (unpublished(1, 90), 200, "degraded", "unpublished events", "for 9"),
    "canary lost": (canary(Stage.RECORDED), 200, "degraded", "canary", "was recorded and came no"),
    "canaries lost": (
        canary(Stage.PUBLISHED, Stage.PUBLISHED), 503, "failing", "canary", "no websocket at"),
    "canary slow": (canary(Stage.RECEIVED), 200, "degraded", "canary", "9.00 s from save"),
    "canary late": (late_canary, 200, "degraded", "canary", "flew 30"),
    "dead letter": (dead_letter, 200, "degraded", "dead letters", "1 not replayed"),
}  # fmt: skip


class TestPipeline:
    def test_is_ok_without_reasons(self, well: None) -> None:
        assert ask() == (200, {"status": "ok"})

    @pytest.mark.parametrize("kind", BROKEN)
    def test_tells_what_is_broken_why_it_matters_and_what_mends_it(
        self, well: None, kind: str
    ) -> None:
        break_it, code, status, check, words = BROKEN[kind]
        with override_settings(FEED_URL="ws://web:8000/ws/noc/"):
            break_it()
            reason = the_reason(code, status)

        assert reason["check"] == check
        assert words in reason["what"]

    def test_fails_without_a_worker_and_does_not_blame_beat(self, well: None) -> None:
        age("timer")()
        age("sweep")()

        assert the_reason(503, "failing")["check"] == "worker"

    def test_is_told_in_time_while_somebody_holds_a_table(self, well: None) -> None:
        with psycopg.connect(database_url(connection.settings_dict["PORT"])) as holder:
            holder.execute("LOCK TABLE outbox_lane IN ACCESS EXCLUSIVE MODE")
            began = time.monotonic()
            reason = the_reason(503, "failing")
            assert time.monotonic() - began < PATIENCE_SECONDS

        assert reason["check"] == "unrecorded messages"
        assert "timeout" in reason["what"]
        execute(reason["fix"])
        assert ask() == (200, {"status": "ok"})

    def test_tells_the_worst_first(self, well: None) -> None:
        dead_letter()
        old_message()

        _, body = ask()

        assert [reason["check"] for reason in body["reasons"]] == [
            "unrecorded messages",
            "dead letters",
        ]

    def test_tells_of_a_missing_partition_and_its_remedy_makes_it(self, well: None) -> None:
        tomorrow = timezone.now().date() + timedelta(days=1)
        execute(f"DROP TABLE event_log_p{tomorrow:%Y%m%d}")
        try:
            reason = the_reason(200, "degraded")
            assert reason["check"] == "partitions"
            assert f"no partition for {tomorrow}" in reason["what"]
            assert "partitions.ensure_ahead" in reason["fix"]
        finally:
            partitions.ensure_ahead(now=timezone.now())
        assert ask() == (200, {"status": "ok"})

    def test_calls_a_canary_that_is_still_flying_none(self, well: None) -> None:
        Canary.objects.create(tenant_id=perch().tenant_id)

        assert ask() == (200, {"status": "ok"})

    def test_takes_the_channel_layer_for_the_end_where_there_is_no_address(
        self, well: None
    ) -> None:
        canary(Stage.PUBLISHED, Stage.PUBLISHED)()

        assert ask() == (200, {"status": "ok"})

    def test_costs_a_few_statements_and_counts_no_further_than_it_has_to(self, well: None) -> None:
        execute("DELETE FROM outbox_message")
        execute(
            "INSERT INTO outbox_message (lane, stream, type, subject, payload, context)"
            " SELECT 0, 'tenant:1', 'x', 's', '{}', '{}' FROM generate_series(1, 20000)"
        )

        with CaptureQueriesContext(connection) as statements:
            results = examine.in_database(PROGRESS)

        (waiting,) = [each.what for each in results if each.name == "unrecorded messages"]
        assert waiting.startswith("10,001 or more waiting")
        assert len(statements) <= 50  # each check opens and ends a transaction with a time limit

    def test_shows_no_password_that_an_error_quotes(self, well: None) -> None:
        secret = connection.settings_dict["PASSWORD"]
        Lane.objects.filter(lane=1).update(
            publish_failures=1,
            publish_after=timezone.now() + timedelta(seconds=9),
            publish_error=f"AuthError at redis://:{secret}@host",
        )

        assert "AuthError at redis://:***@host" in the_reason(200, "degraded")["what"]


class TestGate:
    @pytest.fixture
    def staff(self, world: World) -> Client:
        User.objects.filter(pk=world.a.admin.pk).update(is_staff=True)
        client = Client()
        client.force_login(world.a.admin)
        return client

    def test_lets_in_the_networks_of_metrics_and_staff_and_nobody_else(
        self, world: World, staff: Client
    ) -> None:
        be_well()
        operator = Client()
        operator.force_login(world.a.operator)

        assert Client().get("/health/pipeline").status_code == 200
        assert staff.get("/health/pipeline", REMOTE_ADDR=ABROAD).status_code == 200
        assert Client().get("/health/pipeline", REMOTE_ADDR=ABROAD).status_code == 403
        assert operator.get("/health/pipeline", REMOTE_ADDR=ABROAD).status_code == 403
        assert Client().post("/health/pipeline").status_code == 405

    def test_does_not_close_the_others(self, database: None) -> None:
        assert Client().get("/livez", REMOTE_ADDR=ABROAD).status_code == 200
        with override_settings(CHANNEL_LAYER_URL=f"redis://127.0.0.1:{free_port()}/0"):
            answer = Client().get("/readyz", REMOTE_ADDR=ABROAD)
        assert answer.status_code == 200
        assert answer.json() == {"status": "ready", "reasons": [{"check": "layer"}]}

    def test_tells_nothing_of_tenants(self, world: World) -> None:
        be_well()
        dead_letter()
        old_message()

        text = json.dumps(ask()[1])

        assert "tenant" not in text.lower()
        assert world.a.tenant.name not in text


class TestReadyz:
    def test_is_ready_with_everything_there(self, database: None) -> None:
        assert ask("/readyz") == (200, {"status": "ready", "reasons": []})

    def test_warns_of_each_redis_that_is_away_and_stays_ready(self, database: None) -> None:
        nowhere = f"redis://127.0.0.1:{free_port()}/0"
        with override_settings(CELERY_BROKER_URL=nowhere, CHANNEL_LAYER_URL=nowhere):
            code, body = ask("/readyz")

        assert (code, body["status"]) == (200, "ready")
        assert [reason["check"] for reason in body["reasons"]] == ["broker", "layer"]

    def test_warns_of_a_redis_that_is_frozen(self, database: None, tmp_path: Path) -> None:
        redis = RedisServer(tmp_path)
        redis.start()
        try:
            redis.freeze()
            with override_settings(CHANNEL_LAYER_URL=redis.url):
                code, body = ask("/readyz")
            redis.thaw()
        finally:
            redis.stop()

        assert code == 200
        assert [reason["check"] for reason in body["reasons"]] == ["layer"]

    def test_is_not_ready_before_the_migrations(self, database: None) -> None:
        where = "WHERE app = 'noc' AND name = '0001_initial'"
        execute(f"UPDATE django_migrations SET app = 'gone' {where}")
        try:
            code, body = ask("/readyz")
        finally:
            execute(f"UPDATE django_migrations SET app = 'noc' {where.replace('noc', 'gone')}")

        assert (code, body["status"]) == (503, "not ready")
        (reason,) = body["reasons"]
        assert "1 not applied: noc.0001_initial" in reason["what"]
        assert reason["fix"] == "python manage.py migrate"


class TestFrozenDatabase:
    """The web process reaches its database through a proxy that lets nothing pass, then."""

    @pytest.fixture
    def proxy(self) -> Iterator[TcpProxy]:
        with closing(TcpProxy(int(connection.settings_dict["PORT"]))) as proxy:
            yield proxy

    @pytest.fixture
    def web(
        self, well: None, proxy: TcpProxy, redis_url: str, tmp_path: Path
    ) -> Iterator[WebProcess]:
        url = database_url(proxy.port)
        web = WebProcess(tmp_path / "web.log", redis_url=redis_url, DATABASE_URL=url)
        try:
            yield web
        finally:
            proxy.set(tcp_proxy.PASS)
            web.close()

    def get(self, web: WebProcess, path: str, **headers: str) -> tuple[int, str]:
        began = time.monotonic()
        answer = web.request("GET", path, headers)
        assert time.monotonic() - began < PATIENCE_SECONDS
        return answer

    def test_is_told_in_time_and_its_end_too(self, web: WebProcess, proxy: TcpProxy) -> None:
        assert self.get(web, "/health/pipeline")[0] == 200
        proxy.set(tcp_proxy.BLACK_HOLE)

        assert self.get(web, "/livez")[0] == 200
        code, body = self.get(web, "/health/pipeline")
        ready, _ = self.get(web, "/readyz")

        assert (code, ready) == (503, 503)
        (reason,) = json.loads(body)["reasons"]
        assert (reason["check"], reason["what"]) == ("database", "no answer within 3 s")
        proxy.set(tcp_proxy.PASS)
        until(lambda: self.get(web, "/health/pipeline")[0] == 200)
        until(lambda: self.get(web, "/readyz")[0] == 200)

    def test_holds_one_connection_however_many_ask(self, web: WebProcess, proxy: TcpProxy) -> None:
        self.get(web, "/health/pipeline")
        process = psutil.Process(web.process.pid)

        def to_database() -> int:
            open_ones = process.net_connections("tcp")
            return sum(bool(each.raddr) and each.raddr.port == proxy.port for each in open_ones)

        before = to_database()
        proxy.set(tcp_proxy.BLACK_HOLE)
        with ThreadPoolExecutor(20) as crowd:
            codes = [
                each.result()[0]
                for each in [crowd.submit(self.get, web, "/health/pipeline") for _ in range(20)]
            ]

        assert codes == [503] * 20
        assert to_database() <= before + 1

    def test_is_told_as_gone_when_it_refuses(self, web: WebProcess, proxy: TcpProxy) -> None:
        proxy.set(tcp_proxy.DOWN)

        code, body = self.get(web, "/health/pipeline")

        assert code == 503
        assert json.loads(body)["reasons"][0]["what"].startswith("not reachable: connection failed")

    def test_refuses_whoever_it_cannot_look_up_in_time(
        self, well: None, proxy: TcpProxy, redis_url: str, tmp_path: Path, world: World
    ) -> None:
        url = database_url(proxy.port)
        User.objects.filter(pk=world.a.admin.pk).update(is_staff=True)
        cookie = FeedWorld.session(User.objects.get(pk=world.a.admin.pk))
        web = WebProcess(
            tmp_path / "abroad.log",
            redis_url=redis_url,
            DATABASE_URL=url,
            METRICS_CLIENTS="203.0.113.0/24",
        )
        try:
            assert self.get(web, "/health/pipeline", Cookie=cookie)[0] == 200
            proxy.set(tcp_proxy.BLACK_HOLE)
            assert self.get(web, "/health/pipeline", Cookie=cookie)[0] == 403
        finally:
            proxy.set(tcp_proxy.PASS)
            web.close()
