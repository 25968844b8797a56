"""Asking for a replay that somebody looked at, once however often it is confirmed."""

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import User
from django.db import connection, transaction

from outbox import replay, sql
from outbox.models import Replay
from outbox.replay import Choice


@transaction.atomic
def ask(
    choice: Choice,
    *,
    action: str,
    forced: bool,
    reason: str,
    rate: int,
    fingerprint: str,
    user: User,
) -> tuple[int, bool]:
    """
    Start the replay and return its id, and whether it is new.

    A double click, or a second admin who confirms the same set while it runs, gets the replay that
    the first one started. The row in the admin's history is of the same transaction.

    Raises:
        StaleSelection: the set is another one by now.
        TooManyReplays: so many run already.
        ReplayError: nothing is chosen, the reason is empty, or the rate is out of its range.
    """
    with connection.cursor() as cursor:
        cursor.execute(sql.LOCK_REPLAYS)  # start() takes it too; it may be taken twice
    same = Replay.objects.filter(
        state=Replay.State.RUNNING,
        action=action,
        source=choice.source,
        stream=choice.stream,
        fingerprint=fingerprint,
        filters=choice.filters(),
    ).first()
    if same is not None:
        return same.pk, False
    replay_id = replay.start(
        choice,
        action=action,
        forced=forced,
        reason=reason,
        actor=f"user:{user.pk}",
        rate=rate,
        fingerprint=fingerprint,
    )
    note(user, replay_id, f"Started: {reason.strip()}")
    return replay_id, True


@transaction.atomic
def end(replay_id: int, user: User) -> bool:
    """Cancel a replay; return whether it was running."""
    ended = replay.cancel(replay_id, actor=f"user:{user.pk}")
    if ended:
        note(user, replay_id, "Cancelled.")
    return ended


def note(user: User, replay_id: int, what: str) -> None:
    """Show it in the admin's history of the replay, beside the audit rows of the outbox."""
    LogEntry.objects.log_actions(
        user.pk, Replay.objects.filter(pk=replay_id), CHANGE, what, single_object=True
    )
