"""The dry run: how many, which, what would become of them, and a fingerprint of all that."""

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from django.db import connections
from django.db.backends.utils import CursorWrapper

from outbox.log import LogRow
from outbox.replay import candidates
from outbox.replay.candidates import READY, Candidate
from outbox.replay.choice import DEAD_LETTERS, Choice

SAMPLE = 20  # events that a plan shows, those that would not be sent first
REPLAY, DISCARD = "replay", "discard"


class Sample(NamedTuple):
    """One chosen event as a plan shows it. ``verdict``: ready, already, superseded or failed."""

    stream: str
    seq: int
    event_id: str
    type: str
    subject: str
    verdict: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """
    What a replay would do now.

    ``blocked`` counts by reason what would not be sent. ``fingerprint`` stands for the set and its
    verdicts: :func:`outbox.replay.start` refuses one that does not fit any more.
    """

    total: int
    ready: int
    blocked: Mapping[str, int]
    sample: tuple[Sample, ...]
    fingerprint: str
    items: tuple[dict[str, Any], ...]  # of every event, as the replay keeps them


def plan(
    choice: Choice, *, action: str = REPLAY, forced: bool = False, using: str = "default"
) -> Plan:
    """
    Look at what ``choice`` means without changing anything.

    Raises:
        ReplayError: too many are chosen, or logged events are to be discarded.
    """
    with connections[using].cursor() as cursor:
        return look(cursor, choice, action=action, forced=forced)


def look(cursor: CursorWrapper, choice: Choice, *, action: str, forced: bool) -> Plan:
    keys = choice.keys(cursor)
    digest = hashlib.sha256(f"{action}|{forced}|{choice.source}".encode())
    blocked: Counter[str] = Counter()
    items: list[dict[str, Any]] = []
    shown: list[Candidate] = []
    ready = 0
    for candidate in candidates.read(
        cursor,
        choice.source,
        choice.stream,
        keys,
        discard=action == DISCARD,
        forced=forced,
    ):
        row = candidate.row
        digest.update(f"|{row.event_id}{candidate.verdict}{candidate.replayed_at}".encode())
        items.append(_item(candidate, len(items) + 1, choice.source))
        if candidate.verdict == READY:
            ready += 1
        else:
            blocked[candidate.why] += 1
        if len(shown) < SAMPLE or candidate.verdict != READY:
            shown.append(candidate)
            shown.sort(key=lambda each: each.verdict == READY)  # keeps the order otherwise
            del shown[SAMPLE:]
    return Plan(
        total=len(items),
        ready=ready,
        blocked=dict(blocked.most_common()),
        sample=tuple(_sample(each) for each in shown),
        fingerprint=digest.hexdigest()[:32],
        items=tuple(items),
    )


def _item(candidate: Candidate, number: int, source: str) -> dict[str, Any]:
    row: LogRow = candidate.row
    return {
        "number": number,
        "event_id": str(row.event_id),
        "stream": row.stream,
        "seq": row.seq,
        "dead_letter_id": candidate.key if source == DEAD_LETTERS else None,
    }


def _sample(candidate: Candidate) -> Sample:
    row = candidate.row
    return Sample(
        row.stream,
        row.seq,
        str(row.event_id),
        row.type,
        row.subject,
        candidate.verdict,
        candidate.why,
    )
