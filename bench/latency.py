"""
From the commit to the frame in a websocket client, against the seed's inline broadcast.

A web process and a worker are started for ours, a web process with the seed's consumer for the
other. The clock of a sample starts when the save has committed: in ours when the commit hook
runs, in the seed's before its broadcast. Both clients live in this process, so one clock serves.
"""

import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
from contextlib import suppress
from time import perf_counter, sleep
from typing import Any

from bench import harness
from bench.harness import Target

_committed: list[float] = [0.0]


def noted_nudge(lanes: Any) -> None:
    """The waker of this run: note the moment after the commit, then do the real one."""
    from worker import wake

    _committed[0] = perf_counter()
    wake.nudge(lanes)


def main() -> int:
    parser = harness.parser(__doc__ or "")
    parser.add_argument("--events", type=int, default=200, help="samples per variant and round")
    options = parser.parse_args()
    harness.prepare()
    from django.conf import settings

    settings.OUTBOX = {**settings.OUTBOX, "waker": "bench.latency.noted_nudge"}
    from knox.models import AuthToken

    from apps.helpdesk.models import Ticket
    from apps.tenancy.models import Membership
    from bench import seed_path

    seed_path.make_table()
    tenant, site, user = seed_path.make_site()
    Membership.objects.update_or_create(
        user=user, defaults={"tenant": tenant, "capabilities": ["noc:view"], "all_sites": True}
    )
    _, token = AuthToken.objects.create(user)
    common = {**seed_path.TICKET, "tenant": tenant, "site": site, "assigned_to": user}
    # A tenant of its own: the seed's consumer has no handler for our messages.
    other, other_site, _ = seed_path.make_site("bench-seed")
    plain = seed_path.Plain.objects.create(
        ticket_no="B1#2", **{**common, "tenant": other, "site": other_site}
    )
    ticket, _ = Ticket.objects.update_or_create(ticket_no="B1#1", defaults=common)

    ports = _free_port(), _free_port()
    uvicorn = [sys.executable, "-m", "uvicorn", "--host", "127.0.0.1", "--log-level", "warning"]
    flags = ["--ws", "websockets-sansio", "--ws-per-message-deflate", "false"]
    celery = [sys.executable, "-m", "celery", "-A", "worker.app", "worker", "--concurrency", "2"]
    commands = [
        [*uvicorn, *flags, "--port", str(ports[0]), "project.asgi:application"],
        [*uvicorn, *flags, "--port", str(ports[1]), "bench.seed_asgi:application"],
        [*celery, "-Q", "celery,outbox", "--loglevel", "WARNING", "--without-gossip"],
    ]
    children = [
        subprocess.Popen(command, env=os.environ, stdout=sys.stderr, start_new_session=True)
        for command in commands
    ]
    try:
        ours = Client(
            f"ws://127.0.0.1:{ports[0]}/ws/noc/", lambda frame: frame.get("version"), token
        )
        seeds = Client(
            f"ws://127.0.0.1:{ports[1]}/ws/seed/{other.id}/", lambda frame: frame.get("key"), None
        )

        def save_ours(_: int) -> tuple[int, float]:
            seed_path.toggle(ticket)
            ticket.save()
            return ticket.version, _committed[0]

        keys = iter(range(1, 10**9))

        def save_seeds(_: int) -> tuple[int, float]:
            original = seed_path.original_status(plain)
            seed_path.toggle(plain)
            plain.save()
            committed, key = perf_counter(), next(keys)
            seed_path.broadcast(plain, original, key=key)
            return key, committed

        _warm_up(ours, save_ours)
        _warm_up(seeds, save_seeds)
        figures: dict[str, list[float]] = {}
        targets = []
        for rate in (20, 100):
            names = {f"ours {rate}/s": (ours, save_ours), f"inline {rate}/s": (seeds, save_seeds)}
            samples: dict[str, list[list[float]]] = {name: [] for name in names}
            for number in range(options.rounds or 5):
                for name, (client, save) in names.items():
                    samples[name].append(_paced(client, save, rate, options.events))
                print(f"{rate}/s: round {number + 1}", end="\r", file=sys.stderr, flush=True)
            for name, rounds in samples.items():
                figures[f"{name} p50"] = [_quantile(one, 50) for one in rounds]
                figures[f"{name} p99"] = [_quantile(one, 99) for one in rounds]
            for quantile, bound, absolute in ((50, 2.5, 200), (99, 3, 250)):
                mine = f"ours {rate}/s p{quantile}"
                value = harness.ratio(figures, mine, f"inline {rate}/s p{quantile}")
                targets.append(
                    Target(f"p{quantile} ours / inline, {rate}/s", value, bound, at_most=True)
                )
                seen = statistics.median(figures[mine])
                targets.append(Target(f"{mine}, the seed's ms", seen, absolute, at_most=True))
    finally:
        for child in children:
            os.killpg(child.pid, signal.SIGTERM)
        for child in children:
            child.wait()
    print(file=sys.stderr)
    return harness.report("latency", "ms", harness.medians(figures), targets, as_json=options.json)


class Client(threading.Thread):
    """A websocket client that notes when the frame with each key arrived."""

    def __init__(self, url: str, key_of: Any, token: str | None) -> None:
        super().__init__(daemon=True)
        self._url, self._key_of = url, key_of
        self._headers = {"Authorization": f"Token {token}"} if token else {}
        self.arrived: dict[int, float] = {}
        self._changed = threading.Condition()
        self.connected = threading.Event()
        self.start()
        if not self.connected.wait(60):
            raise TimeoutError(f"no websocket at {url}")

    def run(self) -> None:
        import json

        from websockets.exceptions import ConnectionClosed
        from websockets.sync.client import connect

        deadline = perf_counter() + 60
        while True:
            try:
                socket_ = connect(self._url, additional_headers=self._headers, compression=None)
                break
            except OSError:
                if perf_counter() > deadline:
                    raise
                sleep(0.2)
        self.connected.set()
        with suppress(ConnectionClosed):  # the servers end before this client does
            for text in socket_:
                now = perf_counter()
                key = self._key_of(json.loads(text))
                if key is not None:
                    with self._changed:
                        self.arrived.setdefault(key, now)
                        self._changed.notify_all()

    def wait_for(self, key: int, *, seconds: float = 30) -> float:
        with self._changed:
            if not self._changed.wait_for(lambda: key in self.arrived, seconds):
                raise TimeoutError(f"the frame {key} never came")
        return self.arrived[key]


def _warm_up(client: Client, save: Any) -> None:
    """Save until twenty frames arrived; the first may be lost while the client subscribes."""
    arrived = 0
    for number in range(40):
        key, _ = save(number)
        with suppress(TimeoutError):
            client.wait_for(key, seconds=2)
            arrived += 1
        if arrived == 20:
            return
    raise TimeoutError("no frames arrive: see the processes' output above")


def _paced(client: Client, save: Any, rate: int, count: int) -> list[float]:
    """Save ``count`` times at ``rate`` per second; return each delay in ms."""
    began, sent = perf_counter(), []
    for number in range(count):
        if (ahead := began + number / rate - perf_counter()) > 0:
            sleep(ahead)
        sent.append(save(number))
    return [(client.wait_for(key) - committed) * 1e3 for key, committed in sent]


def _quantile(samples: list[float], percent: int) -> float:
    return statistics.quantiles(samples, n=100)[percent - 1]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


if __name__ == "__main__":
    from bench import latency  # the waker is found as bench.latency, so run that module's main

    sys.exit(latency.main())
