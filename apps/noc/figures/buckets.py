"""A small histogram of durations: ten buckets a decade from 1 ms to 100 s. Pure functions."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

# A bucket's upper bound is 1.26 times its lower one, which is how exact a percentile is.
BOUNDS = tuple(round(10 ** (n / 10 - 3), 6) for n in range(51))  # seconds
SIZE = len(BOUNDS) + 1  # the last one is for what took longer than 100 s


def quantiles(counts: Sequence[int], *shares: float) -> list[float | None]:
    """
    Return the seconds that each share of what was counted did not exceed; ``None`` of nothing.

    Within a bucket the durations are taken as evenly spread. What took longer than the last bound
    counts as that bound.
    """
    sums = list(accumulate(counts))
    if not sums or not sums[-1]:
        return [None] * len(shares)
    return [_at(share * sums[-1], sums) for share in shares]


def _at(rank: float, sums: Sequence[int]) -> float:
    place = bisect_left(sums, max(rank, 1e-9))  # not in an empty bucket
    if place >= len(BOUNDS):
        return BOUNDS[-1]
    low, before = (BOUNDS[place - 1], sums[place - 1]) if place else (0.0, 0)
    within = (rank - before) / (sums[place] - before)
    return round(low + (BOUNDS[place] - low) * within, 6)
