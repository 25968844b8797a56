"""A web process of its own, with the feed or with the seed's consumer, and what it costs."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from time import perf_counter, sleep
from urllib.request import urlopen

import psutil

from project import processes
from project.data_folder import ROOT
from project.instance import origins

UVICORN = [
    *("--ws", "websockets-sansio", "--ws-per-message-deflate", "false"),
    *("--ws-max-size", "65536", "--timeout-graceful-shutdown", "20", "--log-level", "warning"),
]
START_SECONDS = 60
QUIET_SHARE = 0.1  # of a core; below it nothing but timers is at work
QUIET_SECONDS = 30


def command(kind: str, port: int) -> list[str]:
    """Return what starts the web process of ``kind``: "ours", or "plain" Channels."""
    address = ["--host", "127.0.0.1", "--port", str(port)]
    if kind == "ours" and (ROOT / "project" / "web.py").exists():
        return [sys.executable, "-m", "project.web", *address]
    application = {"ours": "project.asgi", "plain": "bench.seed_asgi"}[kind]
    return [sys.executable, "-m", "uvicorn", *UVICORN, *address, f"{application}:application"]


class Web:
    """One running web process. ``cores``: the only ones that it may use, empty for any."""

    def __init__(self, kind: str, cores: Collection[int] = ()) -> None:
        self.kind = kind
        self.port = _free_port()
        self._child = subprocess.Popen(
            command(kind, self.port),
            cwd=ROOT,
            env={**os.environ, **origins(self.port)},  # a browser's, if there is one
            stdout=sys.stderr,
            start_new_session=True,
            preexec_fn=processes.die_with_parent(signal.SIGTERM, os.getpid()),
        )
        self._process = psutil.Process(self._child.pid)
        if cores:
            self._process.cpu_affinity(list(cores))  # at once: its threads inherit it
        if not processes.wait_until(self._listens, seconds=START_SECONDS):
            self.stop()
            raise TimeoutError(f"the web process of {kind} does not start: see its output above")

    def _listens(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False

    def path(self, tenant_id: int) -> str:
        return "/ws/noc/" if self.kind == "ours" else f"/ws/seed/{tenant_id}/"

    def cpu_seconds(self) -> float:
        """Return the processor time that it has used so far, in user and system mode."""
        times = self._process.cpu_times()
        return times.user + times.system

    def own_bytes(self) -> int:
        """Return the memory that would be free without this process: what it shares not counted."""
        return self._process.memory_full_info().uss

    def counter(self, name: str) -> float | None:
        """Return the sum of a counter on /metrics, ``None`` when there is none of that name."""
        with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=30) as page:
            lines = page.read().decode().splitlines()
        if f"# TYPE {name} counter" not in lines:
            return None
        starts = f"{name} ", f"{name}{{"
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(starts))

    def settle(self) -> None:
        """Wait until it has nothing to do, for two looks in a row."""
        until = perf_counter() + QUIET_SECONDS
        quiet = 0
        while quiet < 2 and perf_counter() < until:
            before, began = self.cpu_seconds(), perf_counter()
            sleep(0.5)
            busy = (self.cpu_seconds() - before) / (perf_counter() - began) > QUIET_SHARE
            quiet = 0 if busy else quiet + 1

    def stop(self) -> None:
        processes.end(self._child, signum=signal.SIGTERM, grace_seconds=25)


@contextmanager
def web(kind: str, cores: Collection[int] = ()) -> Iterator[Web]:
    """Run a web process for the length of the block."""
    process = Web(kind, cores)
    try:
        yield process
    finally:
        process.stop()


def split_cores() -> tuple[list[int], list[int]]:
    """
    Return one core for the web process and the others for everything else, and move the servers
    and this process to the others. Both are empty when there is one core only.
    """
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        return [], []
    first, others = cores[:1], cores[1:]
    servers = psutil.Process().parent()
    for process in servers.children(recursive=True) if servers else []:
        with suppress(psutil.Error):
            if process.name() in ("postgres", "redis-server") or process.pid == os.getpid():
                process.cpu_affinity(others)
    return first, others


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
