"""
What a status save costs: plain, captured, waking a worker, and broadcasting as the seed did.

The plain and the seed's variant run on a twin of the ticket table without triggers; the seed's
reads the original in ``pre_save`` and broadcasts to both groups in ``post_save``, as its text says.
"""

import sys
from collections.abc import Callable
from time import perf_counter
from typing import Any

from bench import harness
from bench.harness import Target


def main() -> int:
    parser = harness.parser(__doc__ or "")
    parser.add_argument("--saves", type=int, default=40, help="saves per variant and round")
    options = parser.parse_args()
    harness.prepare()
    from django.test.utils import override_settings

    from apps.helpdesk.models import Ticket
    from bench import seed_path
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

    def timed(run: Callable[[], None], before: Callable[[], Any] = lambda: None) -> float:
        total = 0.0
        for _ in range(options.saves):
            before()
            began = perf_counter()
            run()
            total += perf_counter() - began
        return total / options.saves * 1e6

    def without_wake() -> float:
        with override_settings(OUTBOX=quiet_outbox()):
            return timed(save("captured"))

    figures = harness.interleave(
        {
            "plain": lambda: timed(save("plain")),
            "captured": without_wake,
            "captured, each waking": lambda: timed(save("captured"), lambda: client().delete(flag)),
            "captured, wake coalesced": lambda: timed(
                save("captured"), lambda: client().set(flag, 1, px=60_000)
            ),
            "seed, inline broadcast": lambda: timed(seed_save),
        },
        rounds=options.rounds or 15,
    )
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


def wake_again(flag: str) -> None:
    """Let the next save's nudge find no flag, with the nudges of earlier saves out of the way."""
    from worker import wake
    from worker.redis_client import client

    wake._mailbox().flush(seconds=5)
    client().delete(flag)


def quiet_outbox() -> dict[str, Any]:
    from django.conf import settings

    return {**settings.OUTBOX, "waker": "bench.save.no_nudge"}


def no_nudge(lanes: object) -> None:
    """A waker that wakes nobody."""


if __name__ == "__main__":
    sys.exit(main())
