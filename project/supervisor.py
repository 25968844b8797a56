"""Keeps the children of a local instance running, and ends them all in order."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType

from project import processes
from project.data_folder import ROOT, DataFolder, InstanceError
from project.embedded import tail

FIRST_PAUSE_SECONDS = 0.5  # before a restart; doubled by each death
LONGEST_PAUSE_SECONDS = 10.0
HEALTHY_SECONDS = 30.0  # alive for so long, a child's pause starts again at the first
LOOK_SECONDS = 0.1


class Stopped(Exception):
    """A signal asked this command to stop."""


@dataclass(kw_only=True)
class Child:
    """One supervised process: how it starts, when it is ready, how it ends."""

    name: str
    spawn: Callable[[], subprocess.Popen[bytes]]
    answers: Callable[[], bool] = lambda: True
    stop_signal: int = signal.SIGTERM
    death_signal: int = signal.SIGKILL  # when this command was killed itself
    grace_seconds: float = 10.0
    may_finish: bool = False  # ends by itself with 0, and is not started again then

    process: subprocess.Popen[bytes] | None = None
    ready: bool = False
    finished: bool = False
    started_at: float = 0.0
    pause_seconds: float = FIRST_PAUSE_SECONDS
    restart_at: float | None = None
    held_until: float | None = None  # broken on purpose until then, see hold()
    frozen: bool = False

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process is not None else None


@dataclass
class Supervisor:
    """Starts children, restarts those that die, reports every change, ends all in order."""

    data: DataFolder
    changed: Callable[[], None] = lambda: None
    say: Callable[[str], None] = print
    children: dict[str, Child] = field(default_factory=dict)
    stop_order: tuple[str, ...] = ()
    _stopping: bool = False
    _forced: bool = False

    def __post_init__(self) -> None:
        self.reaper = processes.Reaper(cwd=ROOT)

    # --- signals -------------------------------------------------------------------------------
    @contextlib.contextmanager
    def signals(self) -> Iterator[None]:
        """SIGINT, SIGTERM and SIGHUP stop everything; a second one does so without patience."""

        def handle(_signum: int, _frame: FrameType | None) -> None:
            self._forced = self._stopping
            self._stopping = True

        wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {signum: signal.signal(signum, handle) for signum in wanted}
        try:
            yield
        finally:
            for signum, handler in before.items():
                signal.signal(signum, handler)

    def check_stop(self) -> None:
        """Raise `Stopped` once a signal came."""
        if self._stopping:
            raise Stopped

    # --- starting ------------------------------------------------------------------------------
    def start(self, child: Child) -> None:
        self.children[child.name] = child
        self._spawn(child)

    def adopt(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        """Supervise what is running already."""
        self.children[child.name] = child
        child.process = process
        child.started_at = time.monotonic()

    def _spawn(self, child: Child) -> None:
        child.process = child.spawn()
        child.ready = False
        child.restart_at = None
        child.started_at = time.monotonic()
        self.reaper.watch(child.process.pid, child.death_signal)

    def wait_ready(self, *, seconds: float) -> None:
        """Return when every child answers; those that die meanwhile are restarted.

        Raises:
            InstanceError: not in time; the text holds the end of the late child's log.
        """
        deadline = time.monotonic() + seconds
        while late := [child for child in self.children.values() if not child.ready]:
            if time.monotonic() > deadline:
                name = late[0].name
                raise InstanceError(
                    f"{name} did not get ready in {seconds:.0f} s. The end of"
                    f" {self.data.log(name)}:\n{tail(self.data.log(name))}"
                )
            self.look()
            time.sleep(LOOK_SECONDS)

    # --- watching ------------------------------------------------------------------------------
    def look(self) -> None:
        """One look at every child: note deaths, restart those whose pause is over, ask the rest."""
        self.check_stop()
        for child in self.children.values():
            if child.finished:
                continue
            if child.held_until is not None:
                if time.monotonic() >= child.held_until:
                    self.release(child)
            elif child.restart_at is not None:
                if time.monotonic() >= child.restart_at:
                    self._spawn(child)
                    self.changed()
            elif child.process is not None and child.process.poll() is not None:
                self._died(child, child.process)
            elif not child.ready and child.answers():
                child.ready = True
                self.changed()

    def _died(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        processes.kill_group(process.pid)
        self.reaper.forget(process.pid)
        code = process.returncode
        child.process, child.ready = None, False
        if child.may_finish and code == 0:
            child.finished = child.ready = True
            self.say(f"{child.name} is done")
        else:
            if time.monotonic() - child.started_at > HEALTHY_SECONDS:
                child.pause_seconds = FIRST_PAUSE_SECONDS
            how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
            self.say(f"{child.name} {how}; starting it again in {child.pause_seconds:g} s")
            child.restart_at = time.monotonic() + child.pause_seconds
            child.pause_seconds = min(2 * child.pause_seconds, LONGEST_PAUSE_SECONDS)
        self.changed()

    def run(self, every_look: Callable[[], None] = lambda: None) -> None:
        """Watch until a signal comes."""
        with contextlib.suppress(Stopped):
            while True:
                self.look()
                every_look()
                time.sleep(LOOK_SECONDS)

    # --- broken on purpose -----------------------------------------------------------------------
    def hold(self, child: Child, *, seconds: float, freeze: bool = False) -> None:
        """Kill the child and do not start it, or ``freeze`` it, until `release` or ``seconds``."""
        child.held_until = time.monotonic() + seconds
        if freeze and child.process is not None:
            child.frozen = True
            processes.signal_process(child.process.pid, signal.SIGSTOP)
        elif child.process is not None:
            processes.kill(child.process)
            self.reaper.forget(child.process.pid)
            child.process, child.ready = None, False
        self.say(f"{child.name} is {'frozen' if freeze else 'stopped'} for {seconds:g} s")
        self.changed()

    def release(self, child: Child) -> None:
        """End what `hold` began."""
        child.held_until = None
        self.say(f"{child.name} is released")
        if child.process is None:
            self._spawn(child)
        self._thaw(child)
        self.changed()

    def _thaw(self, child: Child) -> None:
        if child.frozen and child.process is not None:
            processes.signal_process(child.process.pid, signal.SIGCONT)
        child.frozen = False

    # --- ending --------------------------------------------------------------------------------
    def stop(self) -> None:
        """End the children, first those that ``stop_order`` names, one after the other."""
        self._stopping = True
        order = [name for name in self.stop_order if name in self.children]
        order = [name for name in self.children if name not in order] + order
        for name in order:
            child = self.children[name]
            if child.process is not None:
                self._thaw(child)  # or it could not hear the signal
                self._end(child, child.process)
                child.process, child.ready = None, False
        self.reaper.close()

    def _end(self, child: Child, process: subprocess.Popen[bytes]) -> None:
        if process.poll() is None:
            processes.signal_process(process.pid, child.stop_signal)
            deadline = time.monotonic() + child.grace_seconds
            while process.poll() is None and time.monotonic() < deadline:
                if self._forced:
                    break
                time.sleep(0.02)
        processes.kill(process)
        self.reaper.forget(process.pid)
