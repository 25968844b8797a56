"""The supervisor, with small real children instead of servers."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from project import processes
from project.data_folder import ROOT, DataFolder, InstanceError
from project.supervisor import FIRST_PAUSE_SECONDS, Child, Stopped, Supervisor

SLEEPER = "import time; time.sleep(600)"
# Writes its name when it is asked to stop.
POLITE = """
import signal, sys, time
def stop(*_):
    open(sys.argv[1], "a").write(sys.argv[2] + "\\n"); sys.exit()
signal.signal(signal.SIGTERM, stop)
print("ready", flush=True)
time.sleep(600)
"""


@pytest.fixture
def data(tmp_path: Path) -> DataFolder:
    folder = DataFolder(tmp_path)
    folder.prepare()
    return folder


@pytest.fixture
def spawning(data: DataFolder) -> Callable[..., Callable[[], subprocess.Popen[bytes]]]:
    """Makes spawn functions for ``python -c CODE ARGUMENTS``."""

    def make(name: str, code: str, *arguments: str) -> Callable[[], subprocess.Popen[bytes]]:
        return lambda: processes.spawn(
            [sys.executable, "-c", code, *arguments], env=os.environ, cwd=ROOT, log=data.log(name)
        )

    return make


@pytest.fixture
def supervisor(data: DataFolder) -> Iterator[Supervisor]:
    supervisor = Supervisor(data, say=lambda _text: None, stop_order=("first", "second"))
    yield supervisor
    supervisor.stop()


def look_until(supervisor: Supervisor, condition: Callable[[], bool]) -> None:
    def looked() -> bool:
        supervisor.look()
        return condition()

    assert processes.wait_until(looked, seconds=20, every=0.01)


class TestSupervisor:
    def test_restarts_a_child_that_dies_after_a_pause_that_doubles(
        self, supervisor: Supervisor, spawning
    ) -> None:
        child = Child(name="first", spawn=spawning("first", SLEEPER))
        supervisor.start(child)
        pids = [child.pid]

        for deaths in (1, 2):
            os.kill(child.pid, signal.SIGKILL)
            look_until(supervisor, lambda: child.pid not in (None, *pids))
            pids.append(child.pid)
            assert child.pause_seconds == FIRST_PAUSE_SECONDS * 2**deaths

    def test_does_not_restart_a_child_that_may_finish_and_did(
        self, supervisor: Supervisor, spawning
    ) -> None:
        child = Child(name="traffic", spawn=spawning("traffic", "pass"), may_finish=True)
        supervisor.start(child)

        look_until(supervisor, lambda: child.finished)

        assert child.pid is None
        assert child.restart_at is None

    def test_reports_every_change(self, data: DataFolder, spawning) -> None:
        seen: list[int | None] = []
        supervisor = Supervisor(data, lambda: seen.append(child.pid), lambda _text: None)
        child = Child(name="first", spawn=spawning("first", SLEEPER))
        supervisor.start(child)
        look_until(supervisor, lambda: child.ready)
        os.kill(child.pid, signal.SIGKILL)
        look_until(supervisor, lambda: len(seen) == 4)
        supervisor.stop()

        before, gone, again, ready = seen
        assert gone is None
        assert before != again == ready

    def test_stops_in_the_given_order_one_after_the_other(
        self, supervisor: Supervisor, spawning, data: DataFolder, tmp_path: Path
    ) -> None:
        said = tmp_path / "said"
        for name in ("second", "first"):
            child = Child(
                name=name,
                spawn=spawning(name, POLITE, str(said), name),
                answers=lambda name=name: "ready" in data.log(name).read_text(),
            )
            supervisor.start(child)
        supervisor.wait_ready(seconds=20)

        supervisor.stop()

        assert said.read_text().split() == ["first", "second"]

    def test_kills_what_ignores_the_stop_signal_and_its_children(
        self, supervisor: Supervisor, spawning, data: DataFolder
    ) -> None:
        code = (
            "import signal, subprocess, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
            "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']);"
            "print(child.pid, flush=True); child.wait()"
        )
        stubborn = Child(
            name="stubborn",
            spawn=spawning("stubborn", code),
            answers=lambda: data.log("stubborn").read_text().endswith("\n"),
            grace_seconds=0.2,
        )
        supervisor.start(stubborn)
        supervisor.wait_ready(seconds=20)
        grandchild = psutil.Process(int(data.log("stubborn").read_text()))

        supervisor.stop()

        assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE

    def test_says_which_child_does_not_get_ready_and_why(
        self, supervisor: Supervisor, spawning
    ) -> None:
        code = "raise SystemExit('no such database')"
        late = Child(name="late", spawn=spawning("late", code), answers=lambda: False)
        supervisor.start(late)

        with pytest.raises(InstanceError, match=r"(?s)late did not get ready.*no such database"):
            supervisor.wait_ready(seconds=1)

    def test_turns_a_signal_into_an_orderly_stop(self, supervisor: Supervisor, spawning) -> None:
        child = Child(name="first", spawn=spawning("first", SLEEPER))
        with supervisor.signals():
            supervisor.start(child)
            os.kill(os.getpid(), signal.SIGTERM)

            with pytest.raises(Stopped):
                supervisor.wait_ready(seconds=20)


class TestHold:
    def test_does_not_start_a_child_again_until_it_is_released(
        self, supervisor: Supervisor, spawning
    ) -> None:
        child = Child(name="first", spawn=spawning("first", SLEEPER))
        supervisor.start(child)
        before = child.pid

        supervisor.hold(child, seconds=600)
        for _ in range(3):
            supervisor.look()

        assert child.pid is None
        assert not child.ready
        supervisor.release(child)
        look_until(supervisor, lambda: child.ready)
        assert child.pid not in (None, before)

    def test_ends_by_itself(self, supervisor: Supervisor, spawning) -> None:
        child = Child(name="first", spawn=spawning("first", SLEEPER))
        supervisor.start(child)

        supervisor.hold(child, seconds=0)

        look_until(supervisor, lambda: child.ready)
        assert child.held_until is None

    def test_freezes_a_child_and_thaws_the_same_one(self, supervisor: Supervisor, spawning) -> None:
        child = Child(name="first", spawn=spawning("first", SLEEPER))
        supervisor.start(child)
        process = psutil.Process(child.pid)

        supervisor.hold(child, seconds=600, freeze=True)

        assert processes.wait_until(lambda: process.status() == psutil.STATUS_STOPPED, seconds=20)
        supervisor.release(child)
        assert processes.wait_until(lambda: process.status() != psutil.STATUS_STOPPED, seconds=20)
        assert child.pid == process.pid

    def test_lets_a_frozen_child_hear_that_it_is_to_stop(
        self, supervisor: Supervisor, spawning, data: DataFolder, tmp_path: Path
    ) -> None:
        said = tmp_path / "said"
        child = Child(
            name="first",
            spawn=spawning("first", POLITE, str(said), "first"),
            answers=lambda: "ready" in data.log("first").read_text(),
        )
        supervisor.start(child)
        supervisor.wait_ready(seconds=20)
        supervisor.hold(child, seconds=600, freeze=True)

        supervisor.stop()

        assert said.read_text().split() == ["first"]


class TestReaper:
    def test_ends_the_watched_groups_of_a_process_that_was_killed(self, tmp_path: Path) -> None:
        code = (
            "import sys, time; from pathlib import Path; from project import processes\n"
            "reaper = processes.Reaper(cwd=Path('/'))\n"
            "import subprocess\n"
            "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'],"
            " start_new_session=True)\n"
            "reaper.watch(child.pid, 9); print(child.pid, flush=True); time.sleep(600)"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as owner:
            assert owner.stdout is not None
            child = psutil.Process(int(owner.stdout.readline()))
            owner.kill()

        assert processes.wait_until(
            lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, seconds=10
        )

    def test_spares_a_group_that_was_forgotten(self) -> None:
        reaper = processes.Reaper(cwd=ROOT)
        with subprocess.Popen([sys.executable, "-c", SLEEPER], start_new_session=True) as child:
            reaper.watch(child.pid, signal.SIGKILL)
            reaper.forget(child.pid)
            reaper.close()

            assert child.poll() is None
            child.kill()
