"""
Memory of the web process per idle connection, and per connection that does not read.

Each sample is a fresh process. Memory is what only this process has (unique set size). Idle: the
growth by a thousand connections. Slow: the growth while events are sent to one client that reads
and fifty that do not, less the growth without the fifty, and the same of the kernel's memory for
sockets, where by itself most of a backlog comes to lie. The events are large: more than that fits.
"""

import resource
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, sleep

from bench import harness
from bench.harness import Target

SOCKETS = 1_000
WARM = 50  # connections before the first look: what is imported or made once is there then
SLOW = 50
SLOW_EVENTS = 2_000
DESCRIPTION = "Network connectivity issue. " * 150
SMALL_BUFFER = 4_096  # bytes; the kernel of a client that does not read takes little
SETTLE_SECONDS = 3
KEEPALIVE_SECONDS = 38  # uvicorn ends a connection that has not answered its ping by then


def main() -> int:
    parser = harness.parser(__doc__ or "")
    parser.add_argument("--events", type=int, default=SLOW_EVENTS, help="sent to slow connections")
    options = parser.parse_args()
    harness.prepare()
    from bench import feed_events as events
    from bench.feed_clients import Crowd
    from bench.web_process import Web, web

    tenant = events.make_tenant()
    tokens = events.make_tokens(tenant, SOCKETS + WARM + 10)
    events.record(options.events, description=DESCRIPTION)
    events.drain()
    layer_messages = events.last_messages(tenant, options.events)
    parts: dict[str, list[float]] = {}

    def idle(kind: str) -> float:
        """Return the KB per idle connection."""
        with web(kind) as server:
            crowd(server, tokens[-WARM:]).cut()
            before = settled_bytes(server)
            with crowd(server, tokens[:SOCKETS]):
                return (settled_bytes(server) - before) / SOCKETS / 1e3

    def slow(kind: str) -> float:
        """Return the KB per connection that did not read, of the process and of the kernel."""
        per_socket = [
            (together - alone) / SLOW / 1e3
            for alone, together in zip(growth(kind, 0), growth(kind, SLOW), strict=True)
        ]
        for part, value in zip(("process", "kernel"), per_socket, strict=True):
            parts.setdefault(f"{kind}, slow, of the {part}", []).append(value)
        return sum(per_socket)

    def growth(kind: str, count: int) -> tuple[float, float]:
        """Return the bytes of the process, and of all TCP sockets, that the events left behind."""
        with web(kind) as server:
            crowd(server, tokens[-WARM:]).cut()
            began = perf_counter()
            with (
                crowd(server, tokens[:count], receive_buffer=SMALL_BUFFER),
                crowd(server, tokens[-1:]) as reader,
            ):
                server.settle()  # the layer does not wait until Redis has it subscribed
                publish(kind, 10)
                reader.receive(10)
                before, kernel_before = settled_bytes(server), _tcp_bytes()
                publish(kind, options.events)
                reader.receive(options.events)
                after, kernel_after = settled_bytes(server), _tcp_bytes()
                if perf_counter() - began > KEEPALIVE_SECONDS:
                    raise TimeoutError("the slow connections were ended before they were measured")
                return after - before, kernel_after - kernel_before

    def publish(kind: str, count: int) -> None:
        if kind == "ours":
            events.record(count, description=DESCRIPTION)
            events.drain()
        else:
            events.send_plain(layer_messages[:count])

    def crowd(server: Web, for_tokens: list[str], receive_buffer: int | None = None) -> Crowd:
        greeted = server.kind == "ours"
        made = Crowd(for_tokens, greeted=greeted, receive_buffer=receive_buffer)
        made.join(server.port, server.path(events.PLAIN_TENANT))
        return made

    def settled_bytes(server: Web) -> float:
        server.settle()
        sleep(SETTLE_SECONDS)
        return server.own_bytes()

    variants: dict[str, Callable[[], float]] = {
        f"{kind}, {state}": lambda measure=measure, kind=kind: measure(kind)
        for state, measure in (("idle", idle), ("slow", slow))
        for kind in ("ours", "plain")
    }
    figures = harness.interleave(variants, rounds=options.rounds or 3)
    targets = [
        Target(
            f"{state} connection, ours / plain",
            harness.ratio(figures, f"ours, {state}", f"plain, {state}"),
            1.0,
            at_most=True,
        )
        for state in ("idle", "slow")
    ]
    figures |= {name: values[1:] for name, values in parts.items()}
    return harness.report(
        "idle", "KB per connection", harness.medians(figures), targets, as_json=options.json
    )


def _tcp_bytes() -> int:
    """Return the kernel's memory for all TCP sockets of this machine."""
    lines = Path("/proc/net/sockstat").read_text(encoding="ascii").splitlines()
    words = next(line for line in lines if line.startswith("TCP:")).split()
    return int(words[words.index("mem") + 1]) * resource.getpagesize()


if __name__ == "__main__":
    sys.exit(main())
