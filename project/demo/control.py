"""The supervisor's end of the control socket: faults on purpose, in an instance for a demo.

The supervisor asks it at each of its looks, so nothing here runs beside the supervisor. A fault
that lasts ends by itself, so that nobody leaves an instance broken.
"""

import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from project import processes
from project.demo.address import read_line, short
from project.supervisor import Child, Supervisor

HOLD_SECONDS = 60.0
ANSWER_SECONDS = 0.5  # a caller that is slower must not hold the supervisor


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is done to one child. Without ``lasts`` it is over at once."""

    child: str
    begin: Callable[[Supervisor, Child], None]
    lasts: bool = True
    freezes: bool = False


def stop(supervisor: Supervisor, child: Child) -> None:
    supervisor.hold(child, seconds=HOLD_SECONDS)


def freeze(supervisor: Supervisor, child: Child) -> None:
    supervisor.hold(child, seconds=HOLD_SECONDS, freeze=True)


def sending(signum: int) -> Callable[[Supervisor, Child], None]:
    def send(_supervisor: Supervisor, child: Child) -> None:
        if child.pid is not None:
            processes.signal_process(child.pid, signum)

    return send


FAULTS = {
    "stop-worker": Fault(child="worker", begin=stop),
    "stop-beat": Fault(child="beat", begin=stop),
    "freeze-redis": Fault(child="redis", begin=freeze, freezes=True),
    "kill-redis": Fault(child="redis", begin=stop),
    "cut-sockets": Fault(child="web", begin=sending(signal.SIGUSR1), lasts=False),
    "kill-web": Fault(child="web", begin=sending(signal.SIGKILL), lasts=False),
}


class Refused(Exception):
    """The request cannot be done; the text is the answer."""


class Control:
    def __init__(self, path: Path, supervisor: Supervisor) -> None:
        self.path = path
        self.supervisor = supervisor
        self._listener: socket.socket | None = None

    def open(self) -> None:
        """Listen, for this user alone. Call it while the data folder's lock is held."""
        self.path.unlink(missing_ok=True)  # of a command that was killed
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.setblocking(False)
        mask = os.umask(0o177)
        try:
            with short(self.path) as address:
                self._listener.bind(address)
        finally:
            os.umask(mask)
        self._listener.listen()

    def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        self.path.unlink(missing_ok=True)

    def look(self) -> None:
        """Answer who has called since the last look."""
        while self._listener is not None:
            try:
                connection, _ = self._listener.accept()
            except BlockingIOError:
                return
            with connection, contextlib.suppress(OSError):
                connection.settimeout(ANSWER_SECONDS)
                self._answer(connection)

    def _answer(self, connection: socket.socket) -> None:
        soon: Callable[[], None] | None = None
        try:
            soon = self._do(json.loads(read_line(connection) or b"{}"))
            answer: dict[str, Any] = {"faults": self.state()}
        except (Refused, ValueError, RecursionError) as refusal:
            answer = {"error": str(refusal)}
        connection.sendall(json.dumps(answer).encode() + b"\n")
        if soon is not None:
            soon()

    def _do(self, request: Any) -> Callable[[], None] | None:
        """Do what is asked; return what is to be done after the answer, to who answers it."""
        if not isinstance(request, dict):
            raise Refused("Send an object.")
        if "fault" not in request:
            return None
        name = str(request["fault"])
        fault = FAULTS.get(name)
        child = self.supervisor.children.get(fault.child) if fault is not None else None
        if fault is None or child is None:
            raise Refused(f"There is no fault {name}: one of {', '.join(FAULTS)}.")
        if not fault.lasts:
            return lambda: fault.begin(self.supervisor, child)
        if not request.get("on"):
            if self._is_on(fault):
                self.supervisor.release(child)
        elif child.held_until is None:
            if fault.freezes and child.process is None:
                raise Refused(f"{child.name} does not run: try again when it is back.")
            fault.begin(self.supervisor, child)
        elif not self._is_on(fault):
            raise Refused(f"{child.name} is broken already: release it first.")
        return None

    def _is_on(self, fault: Fault) -> bool:
        child = self.supervisor.children.get(fault.child)
        return child is not None and child.held_until is not None and child.frozen == fault.freezes

    def state(self) -> dict[str, dict[str, Any]]:
        """For each fault: whether it is on and for how long, and whether its child runs."""
        now = time.monotonic()
        state = {}
        for name, fault in FAULTS.items():
            child = self.supervisor.children.get(fault.child)
            on = fault.lasts and self._is_on(fault)
            left = child.held_until - now if on and child and child.held_until else 0.0
            state[name] = {
                "on": on,
                "seconds_left": round(max(0.0, left), 1),
                "runs": child is not None and child.ready and not child.frozen,
            }
        return state
