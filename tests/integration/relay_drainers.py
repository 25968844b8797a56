"""
Drainers as processes, killed and frozen at random: ``python -m tests.integration.relay_drainers``.

The host has the project loaded and forks the drainers, so that a killed one is replaced within
milliseconds. Each appends what it delivers to a file of its own. Options come as JSON on the
command line; closing the host's standard input ends the run, and the host says what it did.
"""

import contextlib
import json
import os
import random
import select
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import django

BATCHES = (1, 3, 20, 500)
SINK_FAILS = 0.02
KILL_EVERY_SECONDS = 0.15
FREEZE_EVERY_SECONDS = 0.7
FROZEN_SECONDS = 0.4
LONG_FROZEN_SECONDS = 5.5  # past the server's patience with an idle transaction

_file: int | None = None


def deliver(rows: Sequence[Any]) -> None:
    """Append one line per row, all of them in one write."""
    if random.random() < SINK_FAILS:
        raise ConnectionError("a failure of the sink was due")
    lines = [
        json.dumps([row.stream, row.seq, str(row.event_id), row.payload["name"]]) for row in rows
    ]
    assert _file is not None
    os.write(_file, ("\n".join(lines) + "\n").encode())


def nudge(lanes: Any) -> None:
    """The drainers look by themselves."""


def drainer(options: dict[str, Any], number: int) -> None:
    """Drain lanes at random until this process is killed."""
    global _file
    import psycopg
    from django.conf import settings

    from outbox import failpoints, relay, sql

    random.seed(options["seed"] * 1_000_003 + number)
    _file = os.open(
        Path(options["folder"]) / f"{number}.jsonl", os.O_CREAT | os.O_APPEND | os.O_WRONLY
    )
    settings.OUTBOX = {
        "lanes": options["lanes"],
        "batch": random.choice(BATCHES),
        "push_rounds": 1_000,  # nothing is left to the readers, so all must come to the sink
        "sink": f"{deliver.__module__}.deliver",
        "waker": f"{deliver.__module__}.nudge",
    }
    failpoints.arm(",".join(f"{point}=kill:0.01" for point in sorted(failpoints.POINTS)))
    relay.LOW_WATER_SLACK = 0  # more moves of the low water to go wrong
    for name, text in options["sql"].items():
        setattr(sql, name, text)
    while True:
        with contextlib.suppress(psycopg.Error):  # its session was ended while it was frozen
            relay.drain(random.choice(options["busy"]), deadline=time.monotonic() + 0.3)
        time.sleep(random.expovariate(1 / 0.01))


class Host:
    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.random = random.Random(options["seed"])
        self.running: dict[int, float] = {}  # pid -> when it is thawed, 0 while it runs
        self.forked = 0
        self.did = {"killed": 0, "killed at a failpoint": 0, "frozen": 0, "broke": 0}

    def run(self) -> None:
        kill = freeze = time.monotonic() + 0.5
        while not select.select([sys.stdin], [], [], 0.01)[0]:
            self.reap()
            while len(self.running) < self.options["drainers"]:
                self.fork()
            now = time.monotonic()
            for pid, until in self.running.items():
                if until and until < now:
                    os.kill(pid, signal.SIGCONT)
                    self.running[pid] = 0
            if now > kill:
                kill = now + self.random.expovariate(1 / KILL_EVERY_SECONDS)
                os.kill(self.random.choice(list(self.running)), signal.SIGKILL)
                self.did["killed"] += 1
            if now > freeze:
                freeze = now + self.random.expovariate(1 / FREEZE_EVERY_SECONDS)
                pid = self.random.choice(list(self.running))
                os.kill(pid, signal.SIGSTOP)
                long = self.random.random() < 0.1
                self.running[pid] = now + (LONG_FROZEN_SECONDS if long else FROZEN_SECONDS)
                self.did["frozen"] += 1
        for pid in self.running:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)

    def fork(self) -> None:
        self.forked += 1
        pid = os.fork()
        if pid == 0:
            try:
                drainer(self.options, self.forked)
            except BaseException:
                import traceback

                traceback.print_exc()
            os._exit(1)
        self.running[pid] = 0

    def reap(self) -> None:
        for pid in list(self.running):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                del self.running[pid]
                if os.WIFEXITED(status):
                    self.did["broke"] += 1
                else:
                    self.did["killed at a failpoint"] += 1


def main() -> None:
    django.setup()
    host = Host(json.loads(sys.argv[1]))
    print("ready", flush=True)  # noqa: T201
    host.run()
    # Every end by a signal was counted; those of our own are not of a failpoint.
    host.did["killed at a failpoint"] -= host.did["killed"]
    print(json.dumps(host.did), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
