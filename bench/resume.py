"""
A thousand clients that reconnect at once, each missing a hundred events.

First the web process lives on while all sockets break, then it is another one that has nothing in
memory. The clock runs from the first connect until the last client has its events and `synced`.
Plain Channels is there to compare with: it only accepts, and what was missed stays missed.
"""

import sys
from collections.abc import Callable

from bench import harness
from bench.harness import Target

SOCKETS = 1_000
MISSED = 100
LOG_READS = "noc_feed_log_reads_total"


def main() -> int:
    parser = harness.parser(__doc__ or "")
    options = parser.parse_args()
    harness.prepare()
    from bench import feed_events as events
    from bench.feed_clients import Crowd
    from bench.web_process import Web, web

    tenant = events.make_tenant()
    tokens = events.make_tokens(tenant, SOCKETS)
    events.record(MISSED)
    events.drain()
    figures: dict[str, list[float]] = {}

    def lives_on() -> float:
        with web("ours") as server, crowd() as clients:
            clients.join(server.port, server.path(tenant.pk))
            server.settle()
            clients.cut()
            server.settle()
            miss()
            server.settle()
            return rejoin("process lives on", server, clients)

    def restarted() -> float:
        with crowd() as clients:
            with web("ours") as before:
                clients.join(before.port, before.path(tenant.pk))
                clients.cut()
            miss()
            with web("ours") as server:
                return rejoin("process restarted", server, clients)

    def plain() -> float:
        with web("plain") as server, Crowd(tokens, greeted=False) as clients:
            clients.join(server.port, server.path(events.PLAIN_TENANT))
            clients.cut()
            server.settle()
            used = server.cpu_seconds()
            seconds = clients.join(server.port, server.path(events.PLAIN_TENANT))
            note("plain accepts, CPU s", server.cpu_seconds() - used)
            return seconds

    def crowd() -> Crowd:
        return Crowd(tokens, greeted=True)

    def miss() -> None:
        events.record(MISSED)
        events.drain()

    def rejoin(name: str, server: Web, clients: Crowd) -> float:
        for client in clients.clients:
            client.events = client.bytes = 0
        reads = server.counter(LOG_READS)
        tried, used = clients.retries, server.cpu_seconds()
        seconds = clients.join(server.port, server.path(tenant.pk), resume=True)
        assert all(client.events == MISSED for client in clients.clients)
        note(f"{name}, CPU s", server.cpu_seconds() - used)
        note(f"{name}, told to come later", clients.retries - tried)
        note(f"{name}, MB sent", sum(client.bytes for client in clients.clients) / 1e6)
        if reads is not None:
            note(f"{name}, log reads", (server.counter(LOG_READS) or 0) - reads)
        return seconds

    def note(name: str, value: float) -> None:
        figures.setdefault(name, []).append(value)

    variants: dict[str, Callable[[], float]] = {
        "process lives on, s": lives_on,
        "process restarted, s": restarted,
        "plain accepts, s": plain,
    }
    measured = harness.interleave(variants, rounds=options.rounds or 3)
    figures = {name: values[1:] for name, values in figures.items()} | measured  # one warm-up
    targets = []
    for name in ("process lives on", "process restarted"):
        seen = harness.medians(figures)
        targets.append(Target(f"{name}: all current, s", seen[f"{name}, s"], 10, at_most=True))
        if (reads := seen.get(f"{name}, log reads")) is not None:
            targets.append(Target(f"{name}: log reads", reads, 2, at_most=True))
    figures["process lives on / plain accepts"] = [
        harness.ratio(figures, "process lives on, s", "plain accepts, s")
    ]
    shown = dict(sorted(harness.medians(figures).items()))
    return harness.report("resume", "s", shown, targets, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
