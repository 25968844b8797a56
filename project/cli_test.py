"""``./noc test``: the tests, on servers of their own."""

import contextlib
import os
import sys
import uuid

import psutil

from project import browser, embedded, processes, promtool
from project.foreground import run_foreground
from project.instance import clean_environment, origins

TEST_RUN = "NOC_TEST_RUN"  # in the environment of everything that the tests start
FOLDER = "NOC_TEST_FOLDER"  # where they make their data folders
INTERRUPTED = 2  # pytest's exit code
# Two processes: the first sets Django up, the second must not need it.
PARTS = (["tests/unit", "tests/integration"], ["tests/e2e"])


def main(arguments: list[str]) -> int:
    """Run pytest with ``arguments``, or without any the whole suite; nothing stays behind."""
    run = uuid.uuid4().hex
    with embedded.throwaway("test") as servers:
        environment = {
            **clean_environment(),
            **servers.environment("noc_owner"),
            **origins(8000),
            TEST_RUN: run,
            FOLDER: str(servers.data.path),
        }
        if chromium := browser.ensure():
            environment[browser.VARIABLE] = chromium
        if found := promtool.ensure():
            environment[promtool.VARIABLE] = found
        try:
            return _run_parts(arguments, environment, servers.reaper)
        finally:
            end_run(run)


def _run_parts(arguments: list[str], environment: dict[str, str], reaper: processes.Reaper) -> int:
    worst = 0
    for part in [arguments] if arguments else PARTS:
        code = run_foreground([sys.executable, "-m", "pytest", *part], environment, reaper=reaper)
        worst = worst or code
        if code == INTERRUPTED:
            break
    return worst


def end_run(run: str) -> None:
    """End what the tests of this run left running, instances first, which end their own."""
    found = [process for process in psutil.process_iter() if _belongs(process, run)]
    for process in found:
        with contextlib.suppress(psutil.Error):
            process.terminate()
    _, alive = psutil.wait_procs(found, timeout=20)
    for process in alive:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _belongs(process: psutil.Process, run: str) -> bool:
    try:
        return process.pid != os.getpid() and process.environ().get(TEST_RUN) == run
    except (psutil.Error, OSError):
        return False
