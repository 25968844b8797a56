"""Every command of the runbook runs as it is written, and its fixes mend what was broken for real.

What differs from a user's call: the data folder and the port of the web process.
"""

import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
import pytest

from tests.compose_file import ROOT
from tests.e2e.running import Running, eventually
from tests.monitoring_files import RUNBOOK

SAMPLE = re.compile(r"^([\w:]+(?:\{.*\})?) (\S+)$", re.M)
SECONDS = 40

# Of an event that the log has, as if it had killed three workers.
BURY = """
INSERT INTO outbox_dead_letter (event_id, stream, seq, epoch, type, subject, payload, context,
  schema_version, occurred_at, recorded_at, sink, reason, error, fingerprint, attempts)
SELECT event_id, stream, seq, gen_random_uuid(), type, subject, payload, context, schema_version,
       occurred_at, recorded_at, 'sink', 'crash', 'the worker died', 'abc', 3
  FROM event_log WHERE stream = %s ORDER BY seq DESC LIMIT 1
"""
WITHOUT_FORM = """
INSERT INTO outbox_message (lane, stream, type, subject, payload)
VALUES (outbox_lane_of(%(stream)s), %(stream)s, 'unknown_type', 'runbook:1', '{}')
"""
CHANGE = """
WITH made AS (
  INSERT INTO helpdesk_ticket (tenant_id, site_id, ticket_no)
  VALUES (%s, %s, 'RUNBOOK#' || gen_random_uuid()) RETURNING id)
SELECT id FROM made
"""


def sections() -> dict[str, str]:
    """Each alert's section by its name; what stands before them all is the Check of ``Begin``."""
    parts = re.split(r"^## (Noc\w+)$", RUNBOOK.read_text(encoding="utf-8"), flags=re.M)
    return {"Begin": f"**Check.**{parts[0]}", **dict(zip(parts[1::2], parts[2::2], strict=True))}


def commands(alert: str, part: str) -> list[str]:
    """The fenced commands of one part (Check, Fix, Replay) of an alert's section."""
    text = sections()[alert].partition(f"**{part}.**")[2]
    text = re.split(r"^\*\*\w+\.\*\*", text, flags=re.M)[0]
    return re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)


HEALTHY = [
    (alert, part, index)
    for alert in sections()
    for part in ("Check", "Fix", "Replay")
    for index, text in enumerate(commands(alert, part))
    if "kill" not in text and not (alert == "NocDeadLetters" and part != "Check")
]


class Operator:
    """
    Follows the runbook at a running instance.

    ``checkout``: a folder where ``./noc`` is, and ``.local`` is the instance's data folder.
    """

    def __init__(self, stack: Running, seed: dict[str, Any], checkout: Path) -> None:
        self.stack = stack
        self.checkout = checkout
        (checkout / "noc").symlink_to(ROOT / "noc")
        (checkout / ".local").symlink_to(stack.data)
        self.tenant = seed["tenants"][0]
        self.stream = f"tenant:{self.tenant['id']}"
        # One replay takes 10,000 events; the tests of the page make more of the first tenant.
        self.quiet_stream = f"tenant:{seed['tenants'][2]['id']}"
        self.token = self.tenant["users"][0]["token"]
        self.session = psycopg.connect(stack["database_url"], autocommit=True)

    # --- the runbook ---
    def run(self, text: str, *, check: bool = True) -> str:
        """Run commands as they are written and return what they print."""
        text = text.replace("./noc manage", f"./noc manage --data '{self.stack.data}'")
        text = text.replace("./noc doctor", f"./noc doctor --data '{self.stack.data}'")
        text = text.replace("http://127.0.0.1:8000", self.stack["http"])
        text = text.replace("--stream tenant:1 ", f"--stream {self.quiet_stream} ")
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=self.checkout,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert not check or done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def follow(self, alert: str, part: str, **options: Any) -> str:
        """Run every command of a part of a section."""
        assert commands(alert, part)
        return "\n".join(self.run(text, **options) for text in commands(alert, part))

    # --- the system ---
    def metric(self, name: str, *, of: str = "exporter") -> float:
        """A sample of the exporter or of the web process, with its labels as they are printed."""
        url = self.stack["exporter"] if of == "exporter" else f"{self.stack['http']}/metrics"
        found = dict(SAMPLE.findall(httpx.get(url, timeout=10).text))
        return float(found[name])

    def change(self) -> int:
        """A committed change that nobody nudges for."""
        place = [self.tenant["id"], self.tenant["sites"][0]["id"]]
        return int(self.session.execute(CHANGE, place).fetchall()[0][0])

    def change_in_web(self) -> None:
        """A change through the web process, which nudges."""
        answer = httpx.post(
            f"{self.stack['http']}/api/v1/tickets/",
            headers={"Authorization": f"Token {self.token}"},
            json={"site_id": self.tenant["sites"][0]["id"], "description": "x", "priority": "LOW"},
            timeout=30,
        )
        assert answer.status_code == 201, answer.text

    @contextmanager
    def frozen(self, name: str) -> Iterator[psutil.Process]:
        """A process with all it has started, stopped; at the end it goes on if it is there."""
        parent = psutil.Process(self.stack.state()["pids"][name])
        processes = [parent, *parent.children(recursive=True)]
        for process in processes:
            process.send_signal(signal.SIGSTOP)
        try:
            yield parent
        finally:
            for process in processes:
                if process.is_running():
                    process.send_signal(signal.SIGCONT)

    def settled(self) -> bool:
        return bool(self.stack.state()["ready"]) and not (
            self.metric("noc_outbox_pending") or self.metric("noc_events_unpublished")
        )


@pytest.fixture
def operator(stack: Running, seed: dict[str, Any], tmp_path: Path) -> Iterator[Operator]:
    """Somebody with the runbook; afterwards the instance works again."""
    operator = Operator(stack, seed, tmp_path)
    try:
        yield operator
        eventually(operator.settled, seconds=SECONDS)
    finally:
        operator.session.close()


@pytest.fixture
def restarted(operator: Operator) -> Callable[[str, psutil.Process], None]:
    def wait(name: str, before: psutil.Process) -> None:
        pids = operator.stack.state
        eventually(lambda: pids()["pids"].get(name) not in (None, before.pid), seconds=SECONDS)
        eventually(lambda: bool(pids()["ready"]), seconds=SECONDS)

    return wait


class TestCommands:
    @pytest.mark.parametrize(
        ("alert", "part", "index"), HEALTHY, ids=lambda value: str(value).removeprefix("Noc")
    )
    def test_run_while_all_is_well(
        self, operator: Operator, alert: str, part: str, index: int
    ) -> None:
        # grep finds nothing in the log of a process that had no trouble.
        check = "grep 'Wake-up failed'" not in commands(alert, part)[index]
        operator.run(commands(alert, part)[index], check=check)


class TestWithoutRedis:
    def test_broadcasts_and_nudges_fail_and_are_mended(self, operator: Operator) -> None:
        failures = 'noc_publish_failures_total{kind="transport"}'
        nudges = 'noc_wake_failures_total{reason="failed"}'
        before = operator.metric(failures), operator.metric(nudges, of="web")
        with operator.frozen("redis"):
            operator.change_in_web()
            eventually(lambda: operator.metric(failures) > before[0], seconds=SECONDS)
            eventually(lambda: operator.metric(nudges, of="web") > before[1], seconds=SECONDS)
            assert operator.metric('noc_lanes_paused{why="failures"}') >= 1
            seen = operator.follow("NocBroadcastFailures", "Check", check=False)
            heard = operator.follow("NocWakeFailures", "Check", check=False)
            consumed = operator.follow("NocWorkerNotConsuming", "Check", check=False)
        fixed = operator.follow("NocBroadcastFailures", "Fix")

        assert "failures)" in seen
        assert "the channel layer takes messages" not in seen
        assert "answers: True" not in heard + consumed
        assert "True" in fixed or operator.metric('noc_lanes_paused{why="failures"}') == 0
        eventually(
            lambda: operator.metric('noc_lanes_paused{why="failures"}') == 0, seconds=SECONDS
        )
        assert "the channel layer takes messages" in operator.follow(
            "NocBroadcastFailures", "Check"
        )


class TestWithoutWorker:
    def test_messages_wait_and_are_drained_by_hand_until_it_is_started_again(
        self, operator: Operator, restarted: Callable[..., None]
    ) -> None:
        restart, by_hand = commands("NocOutboxStalled", "Fix")
        timer = 'noc_heartbeat_timestamp_seconds{name="timer"}'
        with operator.frozen("worker") as worker:
            operator.change()
            eventually(
                lambda: operator.metric("noc_outbox_oldest_pending_seconds") > 2, seconds=SECONDS
            )
            beaten = operator.metric(timer)
            seen = operator.follow("NocOutboxStalled", "Check")
            assert "noc_outbox_pending 1.0" in seen
            assert operator.metric(timer) == beaten
            operator.run(by_hand)
            assert operator.metric("noc_outbox_pending") == 0
            operator.run(restart)
        restarted("worker", worker)
        eventually(lambda: operator.metric(timer) > beaten, seconds=SECONDS)

    @pytest.mark.parametrize("alert", ["NocRelayDown", "NocWorkerNotConsuming"])
    def test_is_started_again_by_every_section_that_says_so(
        self, operator: Operator, restarted: Callable[..., None], alert: str
    ) -> None:
        sweep = 'noc_heartbeat_timestamp_seconds{name="sweep"}'
        with operator.frozen("worker") as worker:
            swept = operator.metric(sweep)
            operator.follow(alert, "Check")
            operator.follow(alert, "Fix")
        restarted("worker", worker)
        eventually(lambda: operator.metric(sweep) > swept, seconds=SECONDS)


class TestWithoutBeat:
    def test_sweeps_stop_until_its_rows_are_enabled_and_it_is_started_again(
        self, operator: Operator, restarted: Callable[..., None]
    ) -> None:
        sweep = 'noc_heartbeat_timestamp_seconds{name="sweep"}'
        with operator.frozen("beat") as beat:
            operator.session.execute(
                "UPDATE django_celery_beat_periodictask SET enabled = false"
                " WHERE task LIKE 'outbox.%'"
            )
            seen = operator.follow("NocBeatStalled", "Check")
            swept = operator.metric(sweep)
            operator.follow("NocBeatStalled", "Fix")
        restarted("beat", beat)

        assert "DISABLED" in seen
        eventually(lambda: operator.metric(sweep) > swept + 1, seconds=SECONDS)


class TestPausedLane:
    def test_is_found_with_its_reason_and_resumed(self, operator: Operator) -> None:
        operator.run(
            "./noc manage shell -c '"
            'from outbox import controls; controls.pause(3, actor="test", reason="maintenance")'
            "'"
        )
        assert operator.metric('noc_lanes_paused{why="operator"}') == 1
        assert "pause 3 test maintenance" in operator.follow("NocLanePaused", "Check")

        operator.follow("NocLanePaused", "Fix")

        assert operator.metric('noc_lanes_paused{why="operator"}') == 0


class TestBacklog:
    def test_that_nobody_needs_any_more_is_passed_over(self, operator: Operator) -> None:
        lane = operator.session.execute("SELECT outbox_lane_of(%s)", [operator.stream]).fetchall()
        operator.run(
            "./noc manage shell -c '"
            f'from outbox import controls; controls.pause({lane[0][0]}, actor="t", reason="r")'
            "'"
        )
        operator.change()
        eventually(lambda: operator.metric("noc_events_unpublished") >= 1, seconds=SECONDS)

        operator.follow("NocBacklog", "Fix")

        assert operator.metric("noc_events_unpublished") == 0
        operator.follow("NocLanePaused", "Fix")


class TestDeadLetters:
    def test_are_shown_discarded_and_replayed(self, operator: Operator) -> None:
        dead = 'noc_dead_letters{{reason="{}"}}'.format
        replayed = 'noc_replays_total{result="replayed"}'
        if any(operator.metric(dead(reason)) for reason in ("poison", "sink_error", "crash")):
            operator.run("./noc manage outbox_replay --discard --reason 'of other tests'")
        before = operator.metric(replayed)
        operator.change()
        eventually(lambda: operator.metric("noc_outbox_pending") == 0, seconds=SECONDS)
        operator.session.execute(BURY, [operator.stream])
        operator.session.execute(WITHOUT_FORM, {"stream": operator.stream})
        eventually(lambda: operator.metric(dead("poison")) == 1, seconds=SECONDS)
        assert operator.metric(dead("crash")) == 1
        seen = operator.follow("NocDeadLetters", "Check")

        operator.follow("NocDeadLetters", "Fix")
        operator.follow("NocDeadLetters", "Replay")

        assert "unknown_type" in seen
        assert "2 chosen" in seen
        assert operator.metric(dead("poison")) == operator.metric(dead("crash")) == 0
        assert operator.metric(replayed) == before + 1


class TestReplays:
    def test_that_failed_are_shown_with_their_error(self, operator: Operator) -> None:
        failed = 'noc_replays_total{result="failed"}'
        before = operator.metric(failed)
        operator.session.execute(
            "INSERT INTO outbox_replay (action, source, filters, forced, reason, actor, rate,"
            " fingerprint, total, state, failed, first_error) VALUES ('replay', 'dead_letters',"
            " '{}', false, 'r', 'cli:test', 1, 'f', 2, 'done', 1, 'it is no longer kept')"
        )
        assert operator.metric(failed) == before + 1

        seen = operator.follow("NocReplayFailed", "Check")

        assert "cli:test" in seen
        assert "1 of 2 failed: it is no longer kept" in seen


class TestPartitions:
    def test_that_are_missing_are_made(self, operator: Operator) -> None:
        operator.follow("NocPartitionsMissing", "Fix")  # of all days
        (day,) = operator.session.execute(
            "SELECT to_char((now() AT TIME ZONE 'UTC')::date + 1, 'YYYYMMDD')"
        ).fetchone() or ("",)
        for parent in ("event_log", "outbox_broadcast"):
            operator.session.execute(f"DROP TABLE {parent}_p{day}")
        assert operator.metric("noc_log_partitions_ahead") == 0
        assert f"event_log_p{day}" not in operator.follow("NocPartitionsMissing", "Check")

        operator.follow("NocPartitionsMissing", "Fix")

        assert operator.metric("noc_log_partitions_ahead") == 7


class TestWeb:
    def test_that_does_not_answer_is_started_again(
        self, operator: Operator, restarted: Callable[..., None]
    ) -> None:
        with operator.frozen("web") as web:
            operator.follow("NocWebDown", "Fix")
        restarted("web", web)
        assert operator.follow("NocWebDown", "Check").splitlines()[:2] == ["200", "200"]


class TestExporter:
    def test_that_does_not_answer_is_started_again(
        self, operator: Operator, restarted: Callable[..., None]
    ) -> None:
        with operator.frozen("exporter") as exporter:
            ask, *_ = commands("NocExporterDown", "Check")
            # curl gives up, and the command that asks by itself answers.
            assert "noc_exporter_up 1.0" in operator.run(ask.partition("\n")[2])
            operator.follow("NocExporterDown", "Fix")
        restarted("exporter", exporter)
        assert operator.metric("noc_exporter_up") == 1

    def test_names_the_question_that_is_not_answered(self, operator: Operator) -> None:
        with psycopg.connect(operator.stack["database_url"]) as holder:
            holder.execute("LOCK TABLE outbox_replay")
            assert operator.metric("noc_exporter_up") == 0
            seen = operator.run(commands("NocNoData", "Check")[0])

        assert 'noc_exporter_errors_total{question="replays"} 1.0' in seen
        assert operator.metric("noc_exporter_up") == 1
