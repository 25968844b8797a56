"""
What a status save costs: plain, captured, waking a worker, and broadcasting as the seed did.

The plain and the seed's variant run on a twin of the ticket table without triggers; the seed's
reads the original in ``pre_save`` and broadcasts to both groups in ``post_save``, as its text says.
"""

import random
import statistics
import sys
from collections.abc import Callable
from time import perf_counter, sleep
from typing import Any

from bench import harness
from bench.harness import Target


def main() -> int:
    parser = harness.parser(__doc__ or "")
    parser.add_argument("--saves", type=int, default=40, help="saves per variant and round")
    options = parser.parse_args()
    harness.prepare()
    from django.conf import settings

    from apps.helpdesk.models import Ticket
    from bench import seed_path
    from outbox.conf import outbox_settings
    from worker import wake
    from worker.redis_client import client

    seed_path.make_table()
    tenant, site, user = seed_path.make_site()
    common = {**seed_path.TICKET, "tenant": tenant, "site": site, "assigned_to": user}
    tickets: dict[str, Any] = {
        name: seed_path.Plain.objects.create(ticket_no=f"B1#{name}", **common)
        for name in ("plain", "seed")
    }
    tickets["captured"], _ = Ticket.objects.update_or_create(ticket_no="B1#1", defaults=common)
    lane = wake_lane(tenant.id)
    flag = wake._flag(lane)

    def save(name: str) -> Callable[[], None]:
        def run() -> None:
            seed_path.toggle(tickets[name])
            tickets[name].save()

        return run

    def seed_save() -> None:
        original = seed_path.original_status(tickets["seed"])
        save("seed")()
        seed_path.broadcast(tickets["seed"], original)

    def use_waker(path: str) -> None:
        settings.OUTBOX = {**settings.OUTBOX, "waker": path}
        outbox_settings.cache_clear()
        assert outbox_settings().nudge

    def settle(*, flag_set: bool = False, waker: str = "worker.wake.nudge") -> None:
        """Before each save: earlier nudges are out of the way, and the flag is as it should be."""
        wake._mailbox().flush(seconds=5)
        use_waker(waker)
        if flag_set:
            client().set(flag, 1, px=60_000)
        else:
            client().delete(flag)

    variants: dict[str, tuple[Callable[[], None], Callable[[], None]]] = {
        "plain": (settle, save("plain")),
        "captured": (lambda: settle(waker="bench.save.no_nudge"), save("captured")),
        "captured, each waking": (settle, save("captured")),
        "captured, wake coalesced": (lambda: settle(flag_set=True), save("captured")),
        "seed, inline broadcast": (settle, seed_save),
    }
    figures: dict[str, list[float]] = {name: [] for name in variants}
    rounds = options.rounds or 15
    shuffled = random.Random(1)  # whoever comes after the seed's would pay for its threads
    for number in range(rounds + 1):  # the first is thrown away
        samples: dict[str, list[float]] = {name: [] for name in variants}
        for _ in range(options.saves):
            for name, (before, run) in shuffled.sample(list(variants.items()), len(variants)):
                before()
                sleep(0.002)  # what the save before left behind is over
                began = perf_counter()
                run()
                samples[name].append((perf_counter() - began) * 1e6)
        for name, values in samples.items():
            if number:
                figures[name].append(statistics.median(values))
        print(f"round {number} of {rounds}", end="\r", file=sys.stderr, flush=True)
    for name, waker in (("captured", "bench.save.no_nudge"), ("waking", "worker.wake.nudge")):
        settle(waker=waker)
        figures[f"back to back, {name}"] = [back_to_back(save("captured")) for _ in range(rounds)]
    print(file=sys.stderr)
    targets = [
        Target(f"{name} / {base}", harness.ratio(figures, name, base), bound, at_most=True)
        for name, base, bound in (
            ("captured", "plain", 1.3),
            ("captured, each waking", "plain", 2.2),
            ("captured, wake coalesced", "plain", 1.4),
            ("captured, each waking", "seed, inline broadcast", 0.2),
            ("captured, wake coalesced", "seed, inline broadcast", 0.2),
        )
    ]
    return harness.report("save", "us", harness.medians(figures), targets, as_json=options.json)


def wake_lane(tenant_id: int) -> int:
    from outbox.conf import outbox_settings
    from outbox.lanes import lane_of

    return lane_of(f"tenant:{tenant_id}", outbox_settings().lanes)


def back_to_back(run: Callable[[], None], count: int = 40) -> float:
    """Return the mean time of saves without a pause, the nudging thread beside them. In us."""
    began = perf_counter()
    for _ in range(count):
        run()
    return (perf_counter() - began) / count * 1e6


def no_nudge(lanes: object) -> None:
    """A waker that wakes nobody."""


if __name__ == "__main__":
    sys.exit(main())
