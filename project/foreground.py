"""Runs a program on our terminal, in a process group of its own, as a shell would."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType

from project import processes
from project.data_folder import ROOT

PATIENCE = 2  # signals that are passed on; the next one kills


def run_foreground(
    argv: Sequence[str], environment: Mapping[str, str], *, reaper: processes.Reaper
) -> int:
    """Run ``argv`` in the checkout and return its exit code (128 + signal when one ended it).

    A Ctrl-C reaches the program alone, since its group has the terminal; a signal to us is passed
    on. What is left of its group afterwards is killed.

    Raises:
        KeyboardInterrupt: it was interrupted, so that no caller goes on with the next step.
    """
    with _signals_passed_on() as passed_on:
        process = subprocess.Popen(list(argv), env=dict(environment), cwd=ROOT, process_group=0)
        passed_on.append(process)
        reaper.watch(process.pid, signal.SIGKILL)
        with _terminal_of(process.pid):
            try:
                code = process.wait()
            finally:
                processes.kill(process)
                reaper.forget(process.pid)
    if code in (-signal.SIGINT, -signal.SIGTERM) or passed_on[1:]:
        raise KeyboardInterrupt
    return code if code >= 0 else 128 - code


@contextlib.contextmanager
def _signals_passed_on() -> Iterator[list[subprocess.Popen[bytes]]]:
    """Send SIGINT and SIGTERM on to the first listed process; each one lengthens the list."""
    listed: list[subprocess.Popen[bytes]] = []

    def handle(signum: int, _frame: FrameType | None) -> None:
        if not listed:
            raise KeyboardInterrupt
        if len(listed) > PATIENCE:
            processes.kill_group(listed[0].pid)
        processes.signal_process(listed[0].pid, signal.SIGINT)
        listed.append(listed[0])

    before = {s: signal.signal(s, handle) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield listed
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


@contextlib.contextmanager
def _terminal_of(group: int) -> Iterator[None]:
    """Make ``group`` the terminal's foreground group while the block runs."""
    if not (sys.stdin.isatty() and os.tcgetpgrp(0) == os.getpgrp()):
        yield
        return
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    try:
        os.tcsetpgrp(0, group)
        yield
    finally:
        with contextlib.suppress(OSError):
            os.tcsetpgrp(0, os.getpgrp())
        signal.signal(signal.SIGTTOU, before)
