"""The control socket of a demo, with real sockets and small real children."""

import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from project import processes
from project.data_folder import ROOT, DataFolder
from project.demo.address import ControlError, ask, read_line, short
from project.demo.control import FAULTS, HOLD_SECONDS, Control
from project.supervisor import Child, Supervisor

SLEEPER = "import time; time.sleep(600)"


class Demo:
    """A supervisor with its control, which looks while a question waits."""

    def __init__(self, data: DataFolder) -> None:
        self.supervisor = Supervisor(data, say=lambda _text: None)
        self.control = Control(data.control, self.supervisor)
        self.control.open()
        for name in ("web", "worker", "beat", "redis"):

            def spawn(name: str = name) -> subprocess.Popen[bytes]:
                command = [sys.executable, "-c", SLEEPER]
                return processes.spawn(command, env=os.environ, cwd=ROOT, log=data.log(name))

            self.supervisor.start(Child(name=name, spawn=spawn))
        self.supervisor.wait_ready(seconds=20)

    def pid(self, name: str) -> int | None:
        return self.supervisor.children[name].pid

    def ask(self, **request: Any) -> dict[str, Any]:
        with ThreadPoolExecutor(1) as other:
            waiting = other.submit(ask, self.control.path, request)
            assert processes.wait_until(lambda: self._look() or waiting.done(), seconds=20)
            faults: dict[str, Any] = waiting.result()["faults"]
            return faults

    def _look(self) -> None:
        self.control.look()
        self.supervisor.look()

    def look_until_gone(self, pid: int | None, name: str) -> bool:
        return processes.wait_until(
            lambda: self._look() or self.pid(name) not in (None, pid), seconds=20
        )


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    folder = tmp_path / ("long" * 40)  # longer than the address of a socket may be
    data = DataFolder(folder)
    data.prepare()
    demo = Demo(data)
    yield demo
    demo.control.close()
    demo.supervisor.stop()


class TestControl:
    def test_is_for_its_own_user_alone(self, demo: Demo) -> None:
        assert stat.S_IMODE(demo.control.path.stat().st_mode) == 0o600

    def test_tells_that_nothing_is_broken(self, demo: Demo) -> None:
        assert demo.ask() == {
            name: {"on": False, "seconds_left": 0.0, "runs": True} for name in FAULTS
        }

    def test_stops_a_child_and_starts_it_again(self, demo: Demo) -> None:
        before = demo.pid("worker")

        stopped = demo.ask(fault="stop-worker", on=True)["stop-worker"]

        assert stopped["on"]
        assert not stopped["runs"]
        assert 0 < stopped["seconds_left"] <= HOLD_SECONDS
        assert demo.pid("worker") is None
        assert not demo.ask(fault="stop-worker", on=False)["stop-worker"]["on"]
        assert demo.pid("worker") not in (None, before)

    def test_knows_a_frozen_redis_from_a_killed_one(self, demo: Demo) -> None:
        before = demo.pid("redis")

        faults = demo.ask(fault="freeze-redis", on=True)

        assert faults["freeze-redis"]["on"]
        assert not faults["kill-redis"]["on"]
        with pytest.raises(ControlError, match="redis is broken already"):
            demo.ask(fault="kill-redis", on=True)
        demo.ask(fault="freeze-redis", on=False)
        assert demo.pid("redis") == before

    def test_answers_before_it_kills_who_passes_the_answer_on(self, demo: Demo) -> None:
        before = demo.pid("web")

        assert not demo.ask(fault="kill-web", on=True)["kill-web"]["on"]

        assert demo.look_until_gone(before, "web")

    @pytest.mark.parametrize("fault", ["stop-postgres", "", None])
    def test_refuses_what_it_does_not_know(self, demo: Demo, fault: str | None) -> None:
        with pytest.raises(ControlError, match="There is no fault"):
            demo.ask(fault=fault, on=True)

    def test_refuses_a_request_that_is_nested_too_deep(self, demo: Demo) -> None:
        with ThreadPoolExecutor(1) as other, socket.socket(socket.AF_UNIX) as connection:
            with short(demo.control.path) as address:
                connection.connect(address)
            connection.sendall(b"[" * 4000 + b"\n")
            answer = other.submit(read_line, connection)
            assert processes.wait_until(lambda: demo.control.look() or answer.done(), seconds=20)

        assert b"error" in answer.result()

    def test_is_gone_when_it_is_closed(self, demo: Demo) -> None:
        demo.control.close()

        with pytest.raises(ControlError, match="does not answer"):
            ask(demo.control.path, {})
