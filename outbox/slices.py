"""Slices of streams: which are due, reading them from the log, and marking them as published."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import psycopg

from outbox import sql
from outbox.heartbeat import worker_name
from outbox.log import LogRow


@dataclass(frozen=True, slots=True)
class Slice:
    """The events ``after`` < seq <= ``last`` of a stream."""

    stream: str
    after: int
    last: int


def of_rows(rows: Sequence[LogRow]) -> list[Slice]:
    """Return the slices that ``rows`` are, which are ordered by stream and seq."""
    found = []
    for stream, group in groupby(rows, key=lambda row: row.stream):
        members = list(group)
        found.append(Slice(stream, members[0].seq - 1, members[-1].seq))
    return found


def count(slices: Iterable[Slice]) -> int:
    return sum(each.last - each.after for each in slices)


def before(slices: Iterable[Slice], rest: Sequence[LogRow]) -> list[Slice]:
    """Return the beginnings of ``slices``, up to the first of ``rest`` in each."""
    firsts: dict[str, int] = {}
    for row in rest:
        firsts.setdefault(row.stream, row.seq)
    cut = [
        Slice(each.stream, each.after, firsts.get(each.stream, each.last + 1) - 1)
        for each in slices
    ]
    return [each for each in cut if each.last > each.after]


def behind(connection: psycopg.Connection, lane: int) -> list[Slice]:
    """Return what is recorded in ``lane`` and not marked as published."""
    return [Slice(*row) for row in connection.execute(sql.BEHIND, {"lane": lane}).fetchall()]


def read(connection: psycopg.Connection, slices: Sequence[Slice]) -> list[LogRow]:
    """Return the rows of ``slices``, ordered by stream and seq."""
    bounds = {
        "names": [each.stream for each in slices],
        "afters": [each.after for each in slices],
        "lasts": [each.last for each in slices],
    }
    return [LogRow(*row) for row in connection.execute(sql.READ_SLICES, bounds).fetchall()]


def pages(slices: Iterable[Slice], *, size: int) -> Iterator[list[Slice]]:
    """Cut ``slices`` into lists of at most ``size`` events each."""
    page: list[Slice] = []
    room = size
    for each in slices:
        after = each.after
        while after < each.last:
            last = min(each.last, after + room)
            page.append(Slice(each.stream, after, last))
            room -= last - after
            after = last
            if not room:
                yield page
                page, room = [], size
    if page:
        yield page


def mark(
    connection: psycopg.Connection, slices: Iterable[Slice], sent: Sequence[dict[str, Any]]
) -> None:
    """
    Move the published marks over ``slices``, and write down what was ``sent`` where.

    ``sent``: objects with the keys stream, first_seq, last_seq, targets.
    """
    # A missed slice and the new one of a stream adjoin: one mark, from the first to the last.
    joined: dict[str, tuple[int, int]] = {}
    for each in slices:
        low, high = joined.get(each.stream, (each.after, each.last))
        joined[each.stream] = (min(low, each.after), max(high, each.last))
    bounds = {
        "names": list(joined),
        "firsts": [after + 1 for after, _ in joined.values()],
        "lasts": [last for _, last in joined.values()],
        "sent": json.dumps(sent),
        "worker": worker_name(),
    }
    connection.execute(sql.MARK_PUBLISHED, bounds)
