"""Starting and ending local processes, so that none outlives the command that started it.

# Note [How nothing is left behind]
Every child leads a session of its own: a Ctrl-C reaches only the command in the foreground, and the
whole group, grandchildren included, can be ended at once. When that command itself is killed -9:
1. its ``Reaper``, a process that waits for the end of a pipe, ends the registered groups;
2. the kernel signals each direct child (PR_SET_PDEATHSIG), in case the reaper was killed as well;
3. the next start on the same data folder ends what is still there (``leftovers``).
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

MARKER = "NOC_SUPERVISED"  # in a child's environment: the data folder that it works for
_PR_SET_PDEATHSIG = 1
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


@dataclass(frozen=True)
class Account:
    """An unprivileged user, for a program that refuses to run as root."""

    name: str
    uid: int
    gid: int


def die_with_parent(signum: int, parent: int) -> Callable[[], None]:
    """Return a ``preexec_fn``: the kernel sends ``signum`` to the child when ``parent`` ends.

    ``subprocess`` calls it after the change of user, which would clear the setting.
    """

    def preexec() -> None:
        if _prctl is not None:
            _prctl(_PR_SET_PDEATHSIG, int(signum), 0, 0, 0)
            if os.getppid() != parent:  # it ended before the call
                os._exit(1)

    return preexec


def spawn(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: Path,
    log: Path,
    account: Account | None = None,
    stdin: bytes = b"",
    parent_death: int = signal.SIGKILL,
) -> subprocess.Popen[bytes]:
    """Start ``argv`` in a session of its own, its output appended to ``log``.

    ``stdin``: at most 64 KiB, for what must not be seen on a command line.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(part) for part in argv],
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=die_with_parent(parent_death, os.getpid()),
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
    if process.stdin:
        with contextlib.suppress(BrokenPipeError), process.stdin as pipe:
            pipe.write(stdin)
    return process


def signal_process(pid: int, signum: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signum)


def kill_group(pgid: int) -> None:
    """End every process of the group, and wait until they are gone."""

    def gone() -> bool:
        try:
            os.killpg(pgid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            return True
        return False

    if not gone():
        wait_until(gone, seconds=1, every=0.01)  # longer only when nobody collects the dead


def wait_until(condition: Callable[[], bool], *, seconds: float, every: float = 0.05) -> bool:
    """Poll ``condition`` and return whether it became true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(every)
    return True


def kill(process: subprocess.Popen[bytes]) -> None:
    """End the whole group of its leader ``process`` at once."""
    if process.poll() is None:
        process.kill()
        process.wait()
    kill_group(process.pid)


def end(process: subprocess.Popen[bytes], *, signum: int, grace_seconds: float) -> None:
    """Ask the leader with ``signum``, wait at most ``grace_seconds``, then end the whole group."""
    if process.poll() is None:
        signal_process(process.pid, signum)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_seconds)
    kill(process)


class Reaper:
    """Ends the registered process groups when this process ends, however it ends."""

    def __init__(self, *, cwd: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(__file__).with_name("reaper.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            cwd=cwd,
            start_new_session=True,
        )

    def _tell(self, line: str) -> None:
        pipe = self._process.stdin
        if pipe is not None and not pipe.closed:
            with contextlib.suppress(BrokenPipeError):
                pipe.write(line.encode())
                pipe.flush()

    def watch(self, pgid: int, signum: int) -> None:
        """Remember a group: its leader gets ``signum`` first, what remains after 10 s is killed."""
        self._tell(f"watch {pgid} {int(signum)}\n")

    def forget(self, pgid: int) -> None:
        self._tell(f"forget {pgid} 0\n")

    def close(self) -> None:
        """Let the reaper end what is still registered, and wait for it."""
        if self._process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._process.stdin.close()
        self._process.wait()


def _own_line() -> set[int]:
    """This process and its ancestors."""
    return {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}


def leftovers(folder: Path | None, *, inside: Collection[Path]) -> Iterator[psutil.Process]:
    """Yield the processes that an earlier run on ``folder`` left behind (None: servers only).

    Ours by the marker in the environment; PostgreSQL and Redis overwrite theirs with their title,
    so these are known by their working folder, which is one of ``inside`` or below.
    """
    own_line = _own_line()
    for process in psutil.process_iter():
        if process.pid in own_line:
            continue
        try:
            if process.name() in ("postgres", "redis-server"):
                cwd = Path(process.cwd())
                if any(cwd.is_relative_to(place) for place in inside):
                    yield process
            elif folder is not None and process.environ().get(MARKER) == str(folder):
                yield process
        except (psutil.Error, OSError):
            continue  # ended meanwhile, or another user's


def end_leftovers(folder: Path | None, *, inside: Collection[Path]) -> list[int]:
    """End what an earlier run left behind, PostgreSQL by a fast shutdown; return the ids."""
    found = list(leftovers(folder, inside=inside))
    pids = {process.pid for process in found}
    for process in found:
        with contextlib.suppress(psutil.Error):
            if process.name() != "postgres":
                process.kill()
            elif process.ppid() not in pids:  # the postmaster; its own children follow it
                process.send_signal(signal.SIGINT)
    _, alive = psutil.wait_procs(found, timeout=10)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(alive, timeout=5)
    return sorted(pids)
