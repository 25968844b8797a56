"""``./noc up`` as a user meets it: several at once, killed at any point, stopped cleanly."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from tests.e2e.running import NOC, Running, eventually, left, manage


@pytest.fixture
def up(new_data_folder: Callable[[str], Path]) -> Iterator[Callable[..., Running]]:
    """Starts instances that end with the test."""
    started: list[Running] = []

    def start(data: Path | None = None, *, name: str = "up") -> Running:
        running = Running(data or new_data_folder(name))
        started.append(running)
        return running

    yield start
    for running in started:
        running.end()


def write_note(running: Running, text: str) -> None:
    with psycopg.connect(running["database_url"]) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS launcher_note (text text)")
        connection.execute("INSERT INTO launcher_note VALUES (%s)", [text])


def notes(running: Running) -> list[str]:
    with psycopg.connect(running["database_url"]) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM launcher_note")]


class TestUp:
    def test_runs_twice_at_once_on_folders_of_their_own_one_with_a_space(
        self, up: Callable[..., Running]
    ) -> None:
        first, second = up(name="first"), up(name="with a space")

        first.wait_ready()
        second.wait_ready()

        for running in (first, second):
            assert httpx.get(f"{running['http']}/livez").json() == {"status": "ok"}
            write_note(running, running.data.name)
        assert notes(first) == [first.data.name]
        assert notes(second) == [second.data.name]

    def test_refuses_a_folder_in_use_and_names_the_process(self, stack: Running) -> None:
        done = subprocess.run(
            [NOC, "up", "--data", stack.data, "--port", "0"],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode == 1
        assert f"in use by process {stack.process.pid}" in done.stderr

    def test_refuses_a_port_in_use_and_names_the_remedy(
        self, stack: Running, new_data_folder: Callable[[str], Path]
    ) -> None:
        port = stack["http"].rpartition(":")[2]

        done = subprocess.run(
            [NOC, "up", "--data", new_data_folder("port"), "--port", port],
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )

        assert done.returncode == 1
        assert "--port 0" in done.stderr

    def test_keeps_the_data_over_a_kill_of_everything_and_stops_without_a_trace(
        self, up: Callable[..., Running]
    ) -> None:
        first = up().wait_ready()
        write_note(first, "committed")
        everything = first.processes()
        for process in everything:
            process.kill()
        assert not left(everything)
        first.process.wait()

        second = up(first.data).wait_ready()

        assert notes(second) == ["committed"]
        second.end(signal.SIGINT)  # asserts that nothing is left
        assert second.process.returncode == 0

    def test_leaves_nothing_behind_when_its_supervisor_alone_is_killed(
        self, up: Callable[..., Running]
    ) -> None:
        running = up().wait_ready()
        everything = running.processes()

        running.process.kill()
        running.process.wait()

        assert not left(everything, seconds=20)


class TestChildren:
    @pytest.mark.parametrize("name", ["web", "worker", "redis", "postgres"])
    def test_are_restarted_and_the_state_follows(self, stack: Running, name: str) -> None:
        before = stack.state()

        psutil.Process(before["pids"][name]).kill()

        eventually(
            lambda: stack.state()["pids"][name] not in (None, before["pids"][name]), seconds=30
        )
        eventually(lambda: bool(stack.state()["ready"]), seconds=30)
        after = stack.state()
        assert psutil.pid_exists(after["pids"][name])
        assert {**after, "pids": None} == {**before, "pids": None}
        assert {k: v for k, v in after["pids"].items() if k != name} == {
            k: v for k, v in before["pids"].items() if k != name
        }


class TestManage:
    def test_passes_input_output_and_exit_code_on(self, stack: Running) -> None:
        script = "import sys; print(6 * 7); sys.exit(3)"

        done = manage("--data", str(stack.data), "shell", "--verbosity", "0", input=script)

        assert (done.stdout.strip(), done.returncode) == ("42", 3)

    def test_without_an_instance_says_how_to_start_one(
        self, new_data_folder: Callable[[str], Path]
    ) -> None:
        folder = new_data_folder("nothing runs here")

        done = manage("--data", str(folder), "check")

        assert done.returncode == 1
        assert f"./noc up --data '{folder}'" in done.stderr
