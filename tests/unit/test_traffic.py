"""What the demo's traffic chooses to do next."""

import random
from collections import Counter

from apps.helpdesk import transitions
from apps.helpdesk.status import OPEN, Status
from apps.noc.traffic import FEW, FIRST_STATUS, MANY, MOVES, Move, Other, next_deed, pick


def simulate(deeds: int) -> tuple[Counter, list[int]]:
    """Return how often each deed was chosen, and the count of open tickets after each."""
    dice = random.Random(7)
    tickets: dict[Status, list[int]] = {status: [] for status in OPEN}
    chosen: Counter = Counter()
    sizes = []
    for _ in range(deeds):
        deed = next_deed(tickets, dice)
        chosen[deed] += 1
        if deed is Other.CREATE:
            tickets[pick(FIRST_STATUS, dice)].append(0)
        elif isinstance(deed, Move):
            tickets[deed.present].pop()
            if deed.to in OPEN:
                tickets[deed.to].append(0)
        sizes.append(sum(map(len, tickets.values())))
    return chosen, sizes


class TestNextDeed:
    def test_keeps_the_proportions_of_the_real_set(self):
        chosen, _ = simulate(50_000)

        moves = sum(count for deed, count in chosen.items() if isinstance(deed, Move))
        for move, weight in MOVES.items():
            assert abs(chosen[move] / moves - weight / sum(MOVES.values())) < 0.03, move

    def test_keeps_the_open_tickets_between_few_and_many(self):
        _, sizes = simulate(50_000)

        assert max(sizes) <= MANY
        assert min(sizes[5_000:]) > FEW / 2

    def test_begins_with_what_needs_no_ticket(self):
        nothing: dict[Status, list[int]] = {status: [] for status in OPEN}
        dice = random.Random(7)

        chosen = {next_deed(nothing, dice) for _ in range(2_000)}

        assert chosen == {Other.CREATE, Other.FINDING, Other.ANOMALY}

    def test_only_makes_changes_that_are_allowed(self):
        for move in MOVES:
            transitions.check(move.present, move.to)
