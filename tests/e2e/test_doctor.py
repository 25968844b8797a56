"""``./noc doctor`` against a running instance, well and broken."""

import json
import subprocess

import httpx
import psycopg

from tests.e2e.running import NOC, Running, eventually


def doctor(stack: Running, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [NOC, "doctor", "--data", stack.data, *arguments]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)


def state_of(stack: Running, check: str) -> str:
    told = json.loads(doctor(stack, "--json").stdout)
    return next(str(each["state"]) for each in told["checks"] if each["name"] == check)


class TestDoctor:
    def test_finds_a_running_instance_well_once_a_canary_has_flown(
        self, stack: Running, seed: object
    ) -> None:
        eventually(lambda: state_of(stack, "canary") == "ok", seconds=120)
        if state_of(stack, "dead letters") != "ok":  # of other tests
            stack.manage("outbox_replay", "--discard", "--reason", "of other tests")

        done = doctor(stack)

        assert done.returncode == 0, done.stdout
        assert "from save to websocket" in done.stdout
        assert done.stdout.splitlines()[-1] == "1 to look at: redis version."
        assert httpx.get(f"{stack['http']}/health/pipeline").json() == {"status": "ok"}
        assert httpx.get(f"{stack['http']}/readyz").json() == {"status": "ready", "reasons": []}

    def test_finds_a_disabled_trigger_and_its_advice_runs_as_it_is_written(
        self, stack: Running
    ) -> None:
        with psycopg.connect(stack["database_url"], autocommit=True) as database:
            (name,) = database.execute(
                "SELECT tgname FROM pg_trigger WHERE tgname LIKE '%ticket_updated%'"
            ).fetchone()
            database.execute(f"ALTER TABLE helpdesk_ticket DISABLE TRIGGER {name}")

        done = doctor(stack)

        assert done.returncode == 1
        (advice,) = [
            line.partition("fix: ")[2]
            for line in done.stdout.splitlines()
            if "pgtrigger enable" in line
        ]
        subprocess.run(advice, shell=True, cwd=NOC.parent, check=True)  # noqa: S602
        assert state_of(stack, "triggers") == "ok"

    def test_says_how_to_start_an_instance_where_none_runs(self, tmp_path: object) -> None:
        command = [NOC, "doctor", "--data", str(tmp_path)]
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, check=False)

        assert done.returncode == 1
        assert "./noc up" in done.stderr
