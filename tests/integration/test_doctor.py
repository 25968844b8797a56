"""The doctor: each check broken for real once and found, and the commands that it advises."""

import json
import shlex
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pgtrigger
import pytest
import redis
from channels.layers import channel_layers
from django.conf import settings
from django.core.management import call_command
from django.db import connection
from django.test import override_settings
from django_celery_beat.models import PeriodicTask

from apps.noc.health import clocks, doctor, examine, progress, redis_servers, site
from apps.noc.health import database as tables
from apps.noc.health import schedule as rows
from apps.noc.health import versions as packages
from apps.noc.health.result import Finding, State
from outbox.models import Lane
from tests.integration.conftest import World, make_party
from tests.integration.health_rig import be_well
from tests.integration.processes import WORKER, RedisServer, celery, free_port, until
from tests.integration.test_health_pipeline import execute, stop_lane
from tests.integration.web_process import WebProcess
from worker.schedule import SCHEDULE, ensure_schedule

CAPTURE = "helpdesk.Ticket:outbox_30_ticket_updated"


def found(finding: Finding, state: State, words: str) -> Finding:
    """Assert what a check says, and that it says why and how to mend it."""
    assert finding.state is state, finding
    assert words in finding.what
    assert bool(finding.why) is bool(finding.fix) is (state is not State.OK)
    return finding


def name_of(uri: str) -> str:
    """The name of a declared trigger in the database."""
    return next(
        str(trigger.get_pgid(model))
        for model, trigger in pgtrigger.registered()
        if trigger.get_uri(model) == uri
    )


def run_advice(fix: str) -> None:
    """Run the management command that a finding advises, as it is written."""
    words = shlex.split(fix)
    assert words[:2] == ["python", "manage.py"]
    call_command(*words[2:])


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    server.start()
    with override_settings(CELERY_BROKER_URL=server.url, CHANNEL_LAYER_URL=server.url):
        try:
            yield server
        finally:
            server.stop()


def layer(backend: str, **config: Any) -> override_settings:
    channel_layers.backends = {}
    return override_settings(CHANNEL_LAYERS={"default": {"BACKEND": backend, "CONFIG": config}})


PUBSUB = "channels_redis.pubsub.RedisPubSubChannelLayer"


@pytest.fixture(autouse=True)
def _layers() -> Iterator[None]:
    yield
    channel_layers.backends = {}


class TestDoctor:
    def test_finds_nothing_where_all_is_well(
        self, world: World, redis_url: str, tmp_path: Path
    ) -> None:
        ensure_schedule()
        be_well()
        web = WebProcess(tmp_path / "web.log", redis_url=redis_url)
        try:
            with override_settings(FEED_URL=web.ws, OPERATED_BY="noc"):
                groups = doctor.examine_all()
        finally:
            web.close()

        amiss = [each for group in groups for each in group.results if each.state is not State.OK]
        assert [each.name for each in amiss] == ["redis version"]  # the embedded one
        names = [each.name for group in groups for each in group.results]
        assert len(names) == len(set(names)) > 25

    def test_exits_1_and_prints_json_when_a_check_fails(
        self, database: None, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit) as ended:
            call_command("noc_doctor", "--json")

        told = json.loads(capsys.readouterr().out)
        assert ended.value.code == 1
        assert told["healthy"] is False
        failed = [check for check in told["checks"] if check["state"] == "fail"]
        assert {"worker", "periodic tasks"} <= {check["name"] for check in failed}
        assert all(check["why"] and check["fix"] for check in failed)

    def test_prints_what_is_amiss_for_people(
        self, database: None, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(SystemExit):
            call_command("noc_doctor")

        text = capsys.readouterr().out
        assert "FAIL worker              no worker was ever heard of\n" in text
        assert "why: nothing moves events from the outbox into the log\n" in text
        assert "failed: worker, periodic tasks" in text

    def test_asks_nothing_of_servers_that_do_not_answer_and_says_so_once(
        self, django_db_blocker: Any
    ) -> None:
        nowhere = f"redis://:sesame-open@127.0.0.1:{free_port()}/0"
        host = connection.settings_dict["HOST"], connection.settings_dict["PORT"]
        with ExitStack() as stack:
            stack.enter_context(django_db_blocker.unblock())
            stack.enter_context(override_settings(CELERY_BROKER_URL=nowhere))
            stack.enter_context(layer(PUBSUB, hosts=[nowhere]))
            connection.close()
            connection.settings_dict["PORT"] = free_port()
            stack.callback(connection.settings_dict.update, HOST=host[0], PORT=host[1])
            groups = doctor.examine_all()

        results = [each for group in groups for each in group.results]
        failed = [each.name for each in results if each.state is State.FAIL and each.asked]
        assert failed == ["database", "broker", "layer round trip"]
        unjudged = {each.why for each in results if not each.asked}
        assert unjudged == {"the database does not answer", "the broker does not answer"}

    def test_shows_no_secret(
        self, database: None, capsys: pytest.CaptureFixture[str], own_redis: RedisServer
    ) -> None:
        own_redis.stop()
        url = f"redis://:sesame-open@127.0.0.1:{free_port()}/0"
        feed = f"ws://canary:sesame-feed@127.0.0.1:{free_port()}/ws/noc/"
        with (
            override_settings(CELERY_BROKER_URL=url, FEED_URL=feed),
            layer(PUBSUB, hosts=[url]),
            pytest.raises(SystemExit),
        ):
            call_command("noc_doctor", "--json")

        text = capsys.readouterr().out
        for secret in (settings.SECRET_KEY, connection.settings_dict["PASSWORD"], "sesame"):
            assert secret not in text


class TestDatabase:
    def test_finds_a_disabled_trigger_and_advises_what_enables_it(self, database: None) -> None:
        execute(f"ALTER TABLE helpdesk_ticket DISABLE TRIGGER {name_of(CAPTURE)}")
        try:
            finding = found(tables.triggers(), State.FAIL, f"disabled: {CAPTURE}")
        finally:
            run_advice(finding.fix)
        found(tables.triggers(), State.OK, "present and enabled")

    def test_finds_a_missing_trigger_and_advises_what_installs_it(self, database: None) -> None:
        execute(f"DROP TRIGGER {name_of(CAPTURE)} ON helpdesk_ticket")
        try:
            finding = found(tables.triggers(), State.FAIL, f"missing: {CAPTURE}")
        finally:
            run_advice(finding.fix)
        found(tables.triggers(), State.OK, "present and enabled")

    def test_finds_a_trigger_of_another_version_of_the_program(self, database: None) -> None:
        execute(f"COMMENT ON TRIGGER {name_of(CAPTURE)} ON helpdesk_ticket IS 'older'")
        try:
            finding = found(tables.triggers(), State.FAIL, "not as the program has it")
        finally:
            run_advice(finding.fix)
        found(tables.triggers(), State.OK, "present and enabled")

    @pytest.mark.parametrize(
        ("table", "trigger"),
        [("event_log", "outbox_append_only"), ("event_log", "outbox_no_truncate")],
    )
    def test_finds_a_guard_of_the_log_that_is_disabled(
        self, database: None, table: str, trigger: str
    ) -> None:
        execute(f"ALTER TABLE {table} DISABLE TRIGGER {trigger}")
        try:
            finding = found(tables.triggers(), State.FAIL, f"{trigger} on {table}")
        finally:
            execute(finding.fix)  # what it advises
        found(tables.triggers(), State.OK, "present and enabled")

    def test_finds_lanes_that_differ(self, database: None) -> None:
        with override_settings(OUTBOX={**settings.OUTBOX, "lanes": 4}):
            finding = found(tables.safety(), State.FAIL, "OUTBOX['lanes'] is 4")

        assert "outbox_relane 4" in finding.fix

    def test_finds_a_lane_without_a_row(self, database: None) -> None:
        Lane.objects.filter(lane=7).delete()

        finding = found(tables.safety(), State.FAIL, "outbox_lane has 7 rows for 8 lanes")

        assert "outbox_relane 8" in finding.fix

    def test_finds_a_cached_sequence(self, database: None) -> None:
        execute("ALTER TABLE outbox_message ALTER id SET CACHE 20")
        try:
            finding = found(tables.safety(), State.FAIL, "CACHE 20")
        finally:
            execute(finding.fix)
        found(tables.safety(), State.OK, "")

    def test_finds_tickets_in_another_database(self, database: None) -> None:
        with override_settings(DATABASE_ROUTERS=[Elsewhere()]):
            found(tables.same_database(), State.FAIL, "helpdesk_ticket in elsewhere")

    def test_finds_connections_that_are_kept(self) -> None:
        kept = {"default": {**settings.DATABASES["default"], "CONN_MAX_AGE": 60}}
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(settings, "DATABASES", kept)
            found(tables.connections(), State.FAIL, "CONN_MAX_AGE is 60")

    def test_knows_the_role_and_the_server(self, database: None) -> None:
        found(tables.role(), State.OK, "noc_owner, no superuser")
        found(tables.version(), State.OK, "PostgreSQL 18")


class Elsewhere:
    def db_for_write(self, model: Any, **_: Any) -> str | None:
        return "elsewhere" if model._meta.model_name == "ticket" else None


class TestLanes:
    def test_that_an_operator_stopped_go_on_by_the_advice(self, database: None) -> None:
        stop_lane()
        finding = found(progress.lanes(), State.WARN, "lane 3 by ada")

        run_advice(finding.fix)

        found(progress.lanes(), State.OK, "none at rest")


class TestBeat:
    def test_that_runs_twice_is_found_by_its_sweeps(
        self, database: None, redis_url: str, tmp_path: Path
    ) -> None:
        options = ("beat", "--scheduler", "django_celery_beat.schedulers:DatabaseScheduler")
        with ExitStack() as stack:
            stack.enter_context(celery(*WORKER, redis_url=redis_url, log=tmp_path / "worker.log"))
            for number in range(2):
                pid = ("--pidfile", str(tmp_path / f"pid-{number}"))
                log = tmp_path / f"beat-{number}.log"
                stack.enter_context(celery(*options, *pid, redis_url=redis_url, log=log))
            until(lambda: progress.single_beat().state is State.WARN and two_beats(), seconds=90)
            found(progress.beat(), State.OK, "its sweep ran")

        found(progress.single_beat(), State.WARN, "sweeps come from 2 processes: gen")

    def test_lacks_a_row(self, database: None) -> None:
        ensure_schedule()
        PeriodicTask.objects.filter(task="outbox.sweep").delete()

        finding = found(rows.rows(), State.FAIL, "no row for outbox.sweep")

        assert "beat makes missing rows when it starts" in finding.fix

    def test_has_a_disabled_row_and_the_advice_enables_it(self, database: None) -> None:
        ensure_schedule()
        PeriodicTask.objects.filter(task="noc.canary").update(enabled=False)
        finding = found(rows.rows(), State.FAIL, "disabled: noc.canary")

        run_advice(finding.fix)

        found(rows.rows(), State.OK, f"{len(SCHEDULE)} rows")

    def test_has_a_row_twice(self, database: None) -> None:
        ensure_schedule()
        twin = PeriodicTask.objects.get(task="noc.canary")
        twin.pk, twin.name = None, "again"
        twin.save()

        found(rows.rows(), State.WARN, "more than one row for noc.canary")

    def test_is_expected_to_send_what_it_is_told_to(self) -> None:
        assert set(rows.NEEDED) == {task for task, *_ in SCHEDULE.values()}


def two_beats() -> bool:
    return "2 processes" in progress.single_beat().what


class TestRedis:
    def test_with_another_eviction_policy_is_found_and_mended_by_the_advice(
        self, own_redis: RedisServer
    ) -> None:
        with redis.Redis.from_url(own_redis.url) as client:
            client.config_set("maxmemory-policy", "allkeys-lru")
            finding = found(redis_servers.eviction(), State.FAIL, "allkeys-lru")
            command = finding.fix.removeprefix("redis-cli ").partition(" on the broker")[0]
            client.execute_command(*command.split())

        found(redis_servers.eviction(), State.OK, "noeviction")

    def test_of_an_old_version_fails_but_where_it_is_the_embedded_one(
        self, own_redis: RedisServer
    ) -> None:
        found(redis_servers.version(), State.FAIL, "6.2.")
        with override_settings(OPERATED_BY="noc"):
            found(redis_servers.version(), State.WARN, "embedded")

    def test_with_a_queue_that_nobody_empties_is_found(self, own_redis: RedisServer) -> None:
        with redis.Redis.from_url(own_redis.url) as client:
            client.rpush("noc:outbox", *range(1_001))

        found(redis_servers.queues(), State.FAIL, "1001 in outbox")

    def test_that_is_gone_or_frozen_is_found(self, own_redis: RedisServer) -> None:
        found(redis_servers.broker_up(), State.OK, "answers")
        with layer(PUBSUB, hosts=[own_redis.url]):
            found(redis_servers.layer_works(), State.OK, "published and received")
            own_redis.freeze()
            found(redis_servers.broker_up(), State.FAIL, "no answer")
            found(redis_servers.layer_works(), State.FAIL, "no answer")
            own_redis.thaw()
            own_redis.stop()
            found(redis_servers.broker_up(), State.FAIL, "no answer")
            found(redis_servers.layer_works(), State.FAIL, "no answer")

    def test_layer_that_reaches_nobody_is_found(self) -> None:
        with layer("channels.layers.InMemoryChannelLayer"):
            found(redis_servers.layer_configured(), State.FAIL, "keeps messages in this process")
            assert not redis_servers.layer_works().asked
        with layer("channels_redis.core.RedisChannelLayer", hosts=["redis://127.0.0.1:1"]):
            found(redis_servers.layer_configured(), State.WARN, "RedisChannelLayer")
        with override_settings(CHANNEL_LAYERS={}):
            channel_layers.backends = {}
            found(redis_servers.layer_configured(), State.FAIL, "there is none")

    def test_that_gives_a_task_away_too_early_is_found(self) -> None:
        options = {**settings.CELERY_BROKER_TRANSPORT_OPTIONS, "visibility_timeout": 30}
        with override_settings(CELERY_BROKER_TRANSPORT_OPTIONS=options):
            found(redis_servers.visibility(), State.FAIL, "30 s, and a task may take 60 s")


class Proxied(WebProcess):
    """A web process that expects a proxy with TLS in front."""

    NAME = "noc.example.com"

    def _ready(self) -> bool:
        try:
            asked = {"Host": self.NAME, "X-Forwarded-Proto": "https"}
            return self.request("GET", "/livez", asked)[0] == 200
        except OSError:
            return False


class TestSite:
    @pytest.mark.parametrize(
        ("origins", "state", "words"),
        [
            ([], State.FAIL, "is empty"),
            (["noc.example.com"], State.FAIL, "no origin"),
            (["http://localhost:8000/noc"], State.FAIL, "no origin"),
            (["http://evil.example"], State.WARN, "not in ALLOWED_HOSTS"),
            (["https://localhost"], State.WARN, "HTTPS is false"),
            (["http://localhost:8000"], State.OK, "http://localhost:8000"),
        ],
    )
    def test_origins_are_judged(self, origins: list[str], state: State, words: str) -> None:
        with override_settings(ALLOWED_ORIGINS=origins):
            found(site.origins(), state, words)

    def test_without_anybody_who_may_watch_is_found(self, database: None) -> None:
        be_well()  # the canary's own user is nobody
        found(site.watchers(), State.WARN, "noc:view")

        make_party("a")

        found(site.watchers(), State.OK, "noc:view")

    def test_without_a_web_process_is_found(self, database: None) -> None:
        with override_settings(FEED_URL=f"ws://127.0.0.1:{free_port()}/ws/noc/"):
            found(site.web(), State.FAIL, "refused")
            found(site.websocket(), State.FAIL, "no websocket at")
        found(site.web(), State.WARN, "NOC_FEED_URL is not set")

    def test_that_asks_for_https_answers_as_behind_its_proxy(
        self, database: None, redis_url: str, tmp_path: Path
    ) -> None:
        web = Proxied(
            tmp_path / "web.log", redis_url=redis_url, HTTPS="true", ALLOWED_HOSTS=Proxied.NAME
        )
        try:
            with override_settings(FEED_URL=web.ws, ALLOWED_HOSTS=[Proxied.NAME]):
                found(site.web(), State.OK, "answers")
                found(site.websocket(), State.OK, "opened, greeted and synced")
        finally:
            web.close()


class TestClocks:
    def test_that_differ_are_told_by_the_seconds(self, database: None, redis_url: str) -> None:
        found(clocks.database(), State.OK, "of the database")
        found(clocks.broker(), State.OK, "of Redis")
        assert clocks.skew(lambda: time.time() + 7) == pytest.approx(7, abs=0.5)
        found(clocks._judged("the database", 7.0), State.WARN, "7.0 s off")
        found(clocks._judged("the database", 90.0), State.FAIL, "90.0 s off")


class TestVersions:
    def test_that_are_installed_are_above_the_floors(self) -> None:
        found(packages.versions(), State.OK, "looked at")

    def test_below_a_floor_is_found(self, monkeypatch: pytest.MonkeyPatch) -> None:
        floor = packages.Floor("celery", "99.1", "it forgets")
        monkeypatch.setattr(packages, "FLOORS", (floor,))

        finding = found(packages.versions(), State.FAIL, f"celery {version('celery')}")

        assert "it forgets" in finding.why

    def test_are_compared_by_number(self) -> None:
        assert packages.numbers("5.10.0") > packages.numbers("5.9.9")
        assert packages.numbers("5.7.0rc1") == (5, 7, 0)


class TestCheckThatFails:
    def test_is_a_finding_with_the_error(self, database: None) -> None:
        def broken() -> Finding:
            execute("SELECT * FROM no_such_table")
            raise AssertionError

        (result,) = examine.in_database({"broken": broken})

        assert result.state is State.FAIL
        assert "no_such_table" in result.what
        assert result.fix == "python manage.py migrate"

    def test_is_given_up_in_time(self) -> None:
        wait: Callable[[], Finding] = lambda: time.sleep(0.5) or Finding(State.OK, "")  # noqa: E731

        (result,) = examine.bounded({"slow": wait}, seconds=0.05)

        assert result.state is State.FAIL
        assert "no answer within 0.05 s" in result.what
