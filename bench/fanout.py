"""
Frames per second of one web process on one core, against plain Channels.

`ours` is the feed: events go through the outbox, the relay, its sink and the layer. `plain` is a
consumer per socket that joins the tenant's group and answers each message with ``send_json``; its
messages are published in one round trip. The web process has a core for itself, and everything else
(clients, relay, Redis, PostgreSQL) the others.
"""

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter, sleep

import psutil

from bench import harness
from bench.harness import Target

SIZES = {200: (2_000, 400), 1_000: (400, 80)}  # sockets: events of ours, of plain
LIVE_SOCKETS, LIVE_EVENTS, LIVE_PER_SECOND = 200, 100, 20


def main() -> int:
    parser = harness.parser(__doc__ or "")
    options = parser.parse_args()
    harness.prepare()
    from bench import feed_events as events
    from bench.feed_clients import Crowd
    from bench.web_process import Web, split_cores, web

    first, others = split_cores()
    tenant = events.make_tenant()
    tokens = events.make_tokens(tenant, max(SIZES))
    events.record(1_000)
    events.drain()
    layer_messages = events.last_messages(tenant, 1_000)
    figures: dict[str, list[float]] = {}

    def burst(server: Web, sockets: int, count: int, publish: Callable[[], None]) -> float:
        """Send ``count`` events to ``sockets`` clients; return frames per second."""
        name = f"{server.kind}, {sockets} sockets"
        with crowd(server, sockets) as clients, ThreadPoolExecutor(1) as pool:
            used, idle, began = server.cpu_seconds(), _idle_seconds(others), perf_counter()
            done = pool.submit(clients.receive, count)
            publish()
            seconds = done.result() - began
            used = server.cpu_seconds() - used
            idle = _idle_seconds(others) - idle
        note(f"{name}, CPU us per frame", used / (sockets * count) * 1e6)
        note(f"{name}, share of its core", used / seconds)
        if others:
            note(f"{name}, clients' cores idle", idle / seconds / len(others))
        server.settle()
        return sockets * count / seconds

    def live(server: Web, publish_one: Callable[[int], None]) -> float:
        """Send events one by one; return the processor's microseconds per frame."""
        with crowd(server, LIVE_SOCKETS) as clients, ThreadPoolExecutor(1) as pool:
            used, began = server.cpu_seconds(), perf_counter()
            done = pool.submit(clients.receive, LIVE_EVENTS)
            for number in range(LIVE_EVENTS):
                if (ahead := began + number / LIVE_PER_SECOND - perf_counter()) > 0:
                    sleep(ahead)
                publish_one(number)
            done.result()
            used = server.cpu_seconds() - used
        server.settle()
        return used / (LIVE_SOCKETS * LIVE_EVENTS) * 1e6

    def crowd(server: Web, sockets: int) -> Crowd:
        made = Crowd(tokens[:sockets], greeted=server.kind == "ours")
        made.join(server.port, server.path(events.PLAIN_TENANT))
        server.settle()
        return made

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    def ours_burst(sockets: int) -> float:
        count = SIZES[sockets][0]
        events.record(count)
        return burst(ours, sockets, count, events.drain)

    def plain_burst(sockets: int) -> float:
        sent = layer_messages[: SIZES[sockets][1]]
        return burst(plain, sockets, len(sent), lambda: events.send_plain(sent))

    def ours_live(_: int) -> None:
        events.record_one()
        events.drain()

    def plain_live(number: int) -> None:
        events.send_plain([layer_messages[number]])

    variants: dict[str, Callable[[], float]] = {}
    for sockets in SIZES:
        variants[f"ours, {sockets} sockets"] = lambda n=sockets: ours_burst(n)
        variants[f"plain, {sockets} sockets"] = lambda n=sockets: plain_burst(n)
    live_name = f"{LIVE_SOCKETS} sockets, {LIVE_PER_SECOND} events/s, CPU us per frame"
    variants[f"ours, {live_name}"] = lambda: live(ours, ours_live)
    variants[f"plain, {live_name}"] = lambda: live(plain, plain_live)
    with web("ours", first) as ours, web("plain", first) as plain:
        measured = harness.interleave(variants, rounds=options.rounds or 3)
    figures = {name: values[1:] for name, values in figures.items()} | measured  # one warm-up
    targets = []
    for sockets in SIZES:
        one, other = f"ours, {sockets} sockets", f"plain, {sockets} sockets"
        value = harness.ratio(figures, one, other)
        targets.append(Target(f"frames/s ours / plain, {sockets} sockets", value, 8, at_most=False))
        value = harness.ratio(figures, f"{other}, CPU us per frame", f"{one}, CPU us per frame")
        targets.append(
            Target(f"CPU per frame plain / ours, {sockets} sockets", value, 8, at_most=False)
        )
    figures["CPU per frame plain / ours, one by one"] = [
        harness.ratio(figures, f"plain, {live_name}", f"ours, {live_name}")
    ]
    shown = dict(sorted(harness.medians(figures).items()))
    return harness.report("fanout", "frames/s", shown, targets, as_json=options.json)


def _idle_seconds(cores: list[int]) -> float:
    times = psutil.cpu_times(percpu=True)
    return sum(times[core].idle for core in cores)


if __name__ == "__main__":
    sys.exit(main())
