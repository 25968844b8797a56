"""Asking for a replay of what a dry run showed, and ending one before it is done."""

import json

from django.db import connections, transaction

from outbox import sql
from outbox.errors import ReplayError, StaleSelection, TooManyReplays
from outbox.redaction import cleaned
from outbox.replay.choice import LOG, Choice
from outbox.replay.plan import DISCARD, REPLAY, look

RATE = 50  # events per second unless another rate is asked for
MAX_RATE = 1_000
MAX_RUNNING = 5  # replays of one stream, or of all of them, at once
REASON_LENGTH = 1_000


def start(
    choice: Choice,
    *,
    action: str = REPLAY,
    forced: bool = False,
    reason: str,
    actor: str,
    fingerprint: str,
    rate: int = RATE,
    using: str = "default",
) -> int:
    """
    Keep the chosen events as a replay and return its id; :func:`outbox.replay.step` does the rest.

    ``fingerprint`` is that of the plan that somebody looked at. ``actor`` is who asks, like
    ``user:7``. Who asks twice for the same set at once gets two replays; each event is sent once.

    Raises:
        StaleSelection: the set, or what would become of it, is another one by now.
        TooManyReplays: five run already.
        ReplayError: nothing is chosen, the reason is empty, or the rate is out of its range.
    """
    reason = cleaned(reason).strip()
    if not reason or len(reason) > REASON_LENGTH:
        raise ReplayError(f"give a reason of 1 to {REASON_LENGTH:,} characters: it is kept")
    if not 1 <= rate <= MAX_RATE:
        raise ReplayError(f"the rate is {rate}: use 1 to {MAX_RATE:,} events per second")
    if action not in (REPLAY, DISCARD):
        raise ReplayError(f"action is {action!r}: use {REPLAY} or {DISCARD}")
    if action == DISCARD and choice.source == LOG:
        raise ReplayError("only dead letters are discarded: the log is history")
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute(sql.LOCK_REPLAYS)
        cursor.execute(sql.RUNNING_REPLAYS, {"stream": choice.stream})
        if cursor.fetchone()[0] >= MAX_RUNNING:
            raise TooManyReplays(
                f"{MAX_RUNNING} replays run already: wait until one is done, or cancel one"
            )
        plan = look(cursor, choice, action=action, forced=forced)
        if plan.fingerprint != fingerprint:
            raise StaleSelection(
                f"the events differ from those of the dry run: {plan.total} are chosen now,"
                f" {plan.ready} of them ready. Look at a new dry run and confirm that one."
            )
        if not plan.total:
            raise ReplayError("nothing is chosen: widen the filter")
        cursor.execute(
            sql.ADD_REPLAY,
            {
                "action": action,
                "source": choice.source,
                "stream": choice.stream,
                "filters": json.dumps(choice.filters()),
                "forced": forced,
                "reason": reason,
                "actor": actor,
                "rate": rate,
                "fingerprint": fingerprint,
                "total": plan.total,
            },
        )
        (replay_id,) = cursor.fetchone()
        cursor.execute(sql.ADD_ITEMS, {"replay_id": replay_id, "items": json.dumps(plan.items)})
    return int(replay_id)


def cancel(replay_id: int, *, actor: str, using: str = "default") -> bool:
    """End a replay; what it has sent stays sent. Return whether it was running."""
    with transaction.atomic(using=using), connections[using].cursor() as cursor:
        cursor.execute(sql.LOCK_REPLAYS)  # no step is in the middle of it
        cursor.execute(sql.CANCEL_REPLAY, {"replay_id": replay_id, "actor": actor})
        if not cursor.rowcount:
            return False
        cursor.execute(sql.CANCEL_ITEMS, {"replay_id": replay_id})
    return True
