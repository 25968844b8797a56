"""The events that a process keeps: in order, bounded in bytes, the largest ring gives way."""

import pytest

from apps.noc.feed.ring import Budget, Ring
from apps.noc.feed.wire import Event


def event(seq: int, *, text: str = "") -> Event:
    return Event("event_failed", seq, "e", "id", "2026-01-01T00:00:00Z", {"event_type": text})


def filled(budget: Budget, count: int, *, base: int = 0) -> Ring:
    ring = Ring(budget)
    ring.restart(base)
    for seq in range(base + 1, base + count + 1):
        ring.append(event(seq))
    return ring


def seqs(ring: Ring, after: int, limit: int = 100) -> list[int] | None:
    found = ring.after(after, limit)
    return None if found is None else [each.seq for each in found]


class TestRing:
    def test_gives_what_follows_a_position(self) -> None:
        ring = filled(Budget(10**9), 5, base=10)

        assert seqs(ring, 12) == [13, 14, 15]
        assert seqs(ring, 10, limit=2) == [11, 12]
        assert seqs(ring, 15) == []

    def test_gives_nothing_for_a_position_before_its_base(self) -> None:
        assert seqs(filled(Budget(10**9), 5, base=10), 9) is None

    def test_gives_nothing_yet_for_a_position_beyond_its_head(self) -> None:
        assert seqs(filled(Budget(10**9), 5), 7) == []

    def test_refuses_a_hole(self) -> None:
        with pytest.raises(AssertionError):
            filled(Budget(10**9), 5).append(event(7))

    def test_goes_on_elsewhere_after_a_restart(self) -> None:
        budget = Budget(10**9)
        ring = filled(budget, 5)

        ring.restart(100)

        assert (ring.base, ring.head, budget.used_bytes) == (100, 100, 0)


class TestBudget:
    def test_takes_the_oldest_from_the_largest(self) -> None:
        size = event(1).size_bytes
        budget = Budget(60 * size)
        small, large = filled(budget, 10), filled(budget, 50)

        small.append(event(11))

        assert (small.base, large.base) == (0, 13)
        assert budget.used_bytes <= budget.limit_bytes
        assert seqs(large, 12) is None
        assert large.head == 50

    def test_counts_to_nothing_when_all_is_closed(self) -> None:
        budget = Budget(10**9)
        rings = [filled(budget, 3), filled(budget, 4)]

        for ring in rings:
            ring.close()

        assert (budget.used_bytes, budget.rings) == (0, set())

    def test_lets_one_event_that_is_too_large_pass_through(self) -> None:
        budget = Budget(5_000)
        ring = filled(budget, 1)

        ring.append(event(2, text="x" * 9_000))

        assert (ring.base, ring.head, budget.used_bytes) == (2, 2, 0)
