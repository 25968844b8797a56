"""
What happens next in a service desk, in the proportions of a real one.

The counts are those of the incident event log that docs/incidents.md describes: 24,918 incidents
and 63,875 changes of status. Only the seven most frequent changes are published; the rest is
split as in the set's first 5,998 rows, which also give first states and priorities.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from apps.helpdesk.status import Priority, Status

_T = TypeVar("_T")


class Other(Enum):
    """What happens besides a change of status."""

    CREATE = "create"
    ASSIGN = "assign"
    PRIORITY = "priority"
    DESCRIBE = "describe"
    ACKNOWLEDGE = "acknowledge"
    COMMENT = "comment"
    FINDING = "finding"
    ANOMALY = "anomaly"


@dataclass(frozen=True, slots=True)
class Move:
    present: Status
    to: Status


Deed = Move | Other

MOVES: Mapping[Move, int] = {
    Move(Status.RESOLVED, Status.CLOSED): 24_917,
    Move(Status.IN_PROGRESS, Status.RESOLVED): 12_048,
    Move(Status.NEW, Status.IN_PROGRESS): 7_936,
    Move(Status.NEW, Status.RESOLVED): 6_347,
    Move(Status.ON_HOLD, Status.RESOLVED): 4_657,
    Move(Status.IN_PROGRESS, Status.ON_HOLD): 3_629,
    Move(Status.NEW, Status.ON_HOLD): 2_150,
    Move(Status.ON_HOLD, Status.IN_PROGRESS): 1_857,
    Move(Status.RESOLVED, Status.IN_PROGRESS): 317,
    Move(Status.RESOLVED, Status.NEW): 17,
}
OTHERS: Mapping[Other, int] = {
    Other.CREATE: 24_918,
    Other.ASSIGN: 8_000,
    Other.PRIORITY: 1_100,
    Other.DESCRIBE: 1_100,
    # Not in the set: now and then, so that a board shows them too.
    Other.ACKNOWLEDGE: 6_000,
    Other.COMMENT: 3_000,
    Other.FINDING: 900,
    Other.ANOMALY: 900,
}
FIRST_STATUS = {
    Status.NEW: 632,
    Status.IN_PROGRESS: 220,
    Status.RESOLVED: 29,
    Status.ON_HOLD: 9,
}
PRIORITY = {
    Priority.MEDIUM: 5_046,
    Priority.LOW: 573,
    Priority.HIGH: 235,
    Priority.CRITICAL: 144,
}

# Open tickets. As many are created as closed, but chance alone would let them grow without bound,
# and a board with nothing on it shows nothing.
FEW, MANY = 60, 300
WHILE_FEW = 4  # times as many are created


def next_deed(open_tickets: Mapping[Status, Sequence[int]], dice: random.Random) -> Deed:
    """Choose what happens next, of what is possible with these open tickets, by the proportions."""
    total = sum(len(tickets) for tickets in open_tickets.values())
    weights: dict[Deed, int] = {
        move: weight for move, weight in MOVES.items() if open_tickets[move.present]
    }
    for deed, weight in OTHERS.items():
        if deed is Other.CREATE:
            weights[deed] = 0 if total >= MANY else weight * (WHILE_FEW if total < FEW else 1)
        elif deed is Other.ACKNOWLEDGE:
            weights[deed] = weight if open_tickets[Status.NEW] else 0
        elif total or deed in (Other.FINDING, Other.ANOMALY):
            weights[deed] = weight
    return pick(weights, dice)


def pick(weights: Mapping[_T, int], dice: random.Random) -> _T:
    """Choose a key by its weight."""
    return dice.choices(list(weights), list(weights.values()))[0]
