"""Starts a real instance through ``./noc up --json`` and acts on it from outside."""

import json
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil

NOC = Path(__file__).resolve().parents[2] / "noc"
READY_SECONDS = 150


class Running(dict[str, Any]):
    """The parsed line of a started instance, with its data folder and ways to act on it."""

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        self.process = subprocess.Popen(
            [NOC, "up", "--data", data, "--port", "0", "--json", *options],
            cwd="/",
            env={**os.environ, "NOC_FOLLOW_PARENT": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )

    def wait_ready(self) -> "Running":
        """Read the line that says it is ready."""
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], READY_SECONDS)
        line = self.process.stdout.readline() if readable else b""
        assert line, f"no line from ./noc up; its exit code is {self.process.poll()}"
        self.update(json.loads(line))
        return self

    def state(self) -> dict[str, Any]:
        """What ``state.json`` says now."""
        state: dict[str, Any] = json.loads((self.data / "state.json").read_text())
        return state

    def manage(self, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run a management command against it; fails the test when the command fails."""
        done = manage("--data", str(self.data), *arguments, **options)
        assert done.returncode == 0, done.stderr
        return done

    def processes(self) -> list[psutil.Process]:
        """Everything that runs for it now, its supervisor first."""
        supervisor = psutil.Process(self.process.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def end(self, signum: int = signal.SIGTERM) -> None:
        """Signal the supervisor and assert that nothing of the instance is left."""
        if self.process.poll() is None:
            everything = self.processes()
            self.process.send_signal(signum)
            self.process.wait(60)
            assert not left(everything)
        if self.process.stdout is not None:
            self.process.stdout.close()


def manage(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run ``./noc manage`` and return what it printed."""
    return subprocess.run(
        [NOC, "manage", *arguments], cwd="/", capture_output=True, text=True, check=False, **options
    )


def left(processes: Iterable[psutil.Process], *, seconds: float = 10) -> list[psutil.Process]:
    """Return those that still run after at most ``seconds``; the dead may wait to be collected."""

    def running() -> list[psutil.Process]:
        return [p for p in processes if p.is_running() and _status(p) != psutil.STATUS_ZOMBIE]

    eventually(lambda: not running(), seconds=seconds, fail=False)
    return running()


def _status(process: psutil.Process) -> str:
    try:
        return str(process.status())
    except psutil.NoSuchProcess:
        return psutil.STATUS_ZOMBIE


def eventually(condition: Callable[[], bool], *, seconds: float, fail: bool = True) -> None:
    """Wait until ``condition`` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            assert not fail, f"not within {seconds} s"
            return
        time.sleep(0.1)
