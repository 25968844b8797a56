"""
Judges a run of the relay from what writers and sinks wrote down and what the tables hold.

It shares no code with the project. The tickets are those of ``outbox_fixtures``: each change has a
name of its own and moves a ticket from one state to the next.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any

import psycopg


@dataclass(frozen=True, slots=True)
class Change:
    """One ticket's part in a write; ``name`` is unique per write, ``ticket`` within it."""

    stream: str
    ticket: int
    name: str


@dataclass(slots=True)
class Transaction:
    """A writer's transaction in its own eyes; times of one monotonic clock, any unit."""

    began: float
    changes: list[Change] = field(default_factory=list)
    ended: float = 0
    committed: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of the log. ``before``, ``after`` and ``version`` are the ticket's."""

    stream: str
    seq: int
    event_id: str
    ticket: int
    name: str
    before: int
    after: int
    version: int
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Publication:
    """One event as a sink got it."""

    stream: str
    seq: int
    event_id: str
    name: str


@dataclass(slots=True)
class Evidence:
    transactions: Sequence[Transaction]
    publications: Sequence[Publication]
    log: Sequence[Entry]
    heads: dict[str, tuple[int, int]]  # stream -> (last_seq, published_seq)
    waiting: int  # messages that are not recorded
    tickets: dict[int, tuple[int, int]]  # ticket -> (state, version)


def read(
    connection: psycopg.Connection[Any],
    transactions: Sequence[Transaction],
    publications: Sequence[Publication],
) -> Evidence:
    """Read the tables of one moment."""
    with connection.transaction(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        cursor.execute(
            "SELECT stream, seq, event_id::text, (payload->>'ticket')::bigint, payload->>'name',"
            " (payload->>'before')::bigint, (payload->>'after')::bigint,"
            " (payload->>'version')::bigint, recorded_at FROM event_log ORDER BY stream, seq"
        )
        log = [Entry(*row) for row in cursor.fetchall()]
        cursor.execute("SELECT name, last_seq, published_seq FROM outbox_stream")
        heads = {name: (last, published) for name, last, published in cursor.fetchall()}
        cursor.execute("SELECT count(*) FROM outbox_message")
        ((waiting,),) = cursor.fetchall()
        cursor.execute("SELECT id, state, version FROM relay_ticket")
        tickets = {id_: (state, version) for id_, state, version in cursor.fetchall()}
    return Evidence(transactions, publications, log, heads, waiting, tickets)


def check(evidence: Evidence) -> list[str]:
    """Return one line per broken promise; none is what a run must end with."""
    return [
        *_once_each(evidence),
        *_no_hole(evidence),
        *_commit_order_per_ticket(evidence),
        *_real_time_order_per_stream(evidence),
        *_published(evidence),
        *_settled(evidence),
        *_time_rises(evidence),
    ]


def _once_each(evidence: Evidence) -> Iterator[str]:
    committed = {c for t in evidence.transactions if t.committed for c in t.changes}
    logged = Counter(Change(e.stream, e.ticket, e.name) for e in evidence.log)
    for change in sorted(committed - logged.keys(), key=str):
        yield f"lost: {change}"
    for change, times in logged.items():
        if change not in committed:
            yield f"phantom: {change} is of a rollback, or of nobody"
        if times > 1:
            yield f"twice: {change} is in the log {times} times"


def _no_hole(evidence: Evidence) -> Iterator[str]:
    for stream, entries in _by_stream(evidence.log).items():
        found = [entry.seq for entry in entries]
        last = evidence.heads.get(stream, (0, 0))[0]
        if found != list(range(1, last + 1)):
            missing = sorted(set(range(1, last + 1)) - set(found))
            yield f"hole: {stream} ends at {last}, holds {len(found)}, lacks {missing[:10]}"
    for event_id, times in Counter(e.event_id for e in evidence.log).items():
        if times > 1:
            yield f"twice: event_id {event_id} has {times} numbers"


def _commit_order_per_ticket(evidence: Evidence) -> Iterator[str]:
    chains: dict[int, list[Entry]] = defaultdict(list)
    for entry in evidence.log:  # a ticket never changes its stream, so seq is the order
        chains[entry.ticket].append(entry)
    for ticket, entries in chains.items():
        state, version = 0, 1
        for entry in entries:
            if entry.before != state or entry.version != version + 1:
                yield (
                    f"chain: ticket {ticket} seq {entry.seq} goes from {entry.before} to version "
                    f"{entry.version} after state {state} version {version}"
                )
            state, version = entry.after, entry.version
    for ticket, final in evidence.tickets.items():
        entries = chains[ticket]
        told = (entries[-1].after, entries[-1].version) if entries else (0, 1)
        if told != final:
            yield f"chain: ticket {ticket} is {final}, its last event says {told}"


def _real_time_order_per_stream(evidence: Evidence) -> Iterator[str]:
    """A's commit returned before B began, then A comes first: O(n), by the latest start so far."""
    times = {(c, c.stream): t for t in evidence.transactions if t.committed for c in t.changes}
    for stream, entries in _by_stream(evidence.log).items():
        latest_start, its_seq = 0.0, 0
        for entry in entries:
            transaction = times.get((Change(stream, entry.ticket, entry.name), stream))
            if transaction is None:
                continue
            if transaction.ended < latest_start:
                yield f"real time: {stream} {entry.seq} had ended before {its_seq} began"
            if transaction.began > latest_start:
                latest_start, its_seq = transaction.began, entry.seq


def _published(evidence: Evidence) -> Iterator[str]:
    identities: dict[tuple[str, int], set[tuple[str, str]]] = defaultdict(set)
    for row in evidence.publications:
        identities[row.stream, row.seq].add((row.event_id, row.name))
    for (stream, seq), events in identities.items():
        if len(events) > 1:
            yield f"published otherwise: {stream} {seq} was {len(events)} events"
    logged = {(e.stream, e.seq): (e.event_id, e.name) for e in evidence.log}
    for place, event in logged.items():
        if event not in identities[place]:
            yield f"never published: {place} {event[1]}"
    for place in identities.keys() - logged.keys():
        yield f"published otherwise: {place} is not in the log"


def _settled(evidence: Evidence) -> Iterator[str]:
    if evidence.waiting:
        yield f"waiting: {evidence.waiting} messages are not recorded"
    for stream, (last, published) in evidence.heads.items():
        if last != published:
            yield f"mark: {stream} is at {last}, marked as published up to {published}"


def _time_rises(evidence: Evidence) -> Iterator[str]:
    for stream, entries in _by_stream(evidence.log).items():
        for earlier, later in pairwise(entries):
            if later.recorded_at < earlier.recorded_at:
                yield f"time falls: {stream} {later.seq} is older than {earlier.seq}"


def _by_stream(log: Iterable[Entry]) -> dict[str, list[Entry]]:
    streams: dict[str, list[Entry]] = defaultdict(list)
    for entry in sorted(log, key=lambda entry: (entry.stream, entry.seq)):
        streams[entry.stream].append(entry)
    return streams
