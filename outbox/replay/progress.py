"""How far a replay is, and what came of it."""

from typing import Any

from outbox.models import Replay

OUTCOMES = ("replayed", "discarded", "already", "superseded", "failed")


def progress(replay: Replay) -> dict[str, Any]:
    """
    Return the replay as its callers show it.

    ``done`` of ``total`` events have an outcome; ``already``: another replay was faster;
    ``superseded``: its subject has moved on; ``failed``: see ``first_error``.
    """
    counts = {name: getattr(replay, name) for name in OUTCOMES}
    return {
        "id": replay.pk,
        "action": replay.action,
        "source": replay.source,
        "state": replay.state,
        "total": replay.total,
        "done": sum(counts.values()),
        **counts,
        "first_error": replay.first_error,
        "reason": replay.reason,
        "actor": replay.actor,
        "forced": replay.forced,
        "rate": replay.rate,
        "filters": replay.filters,
        "requested_at": replay.requested_at.isoformat(),
        "finished_at": replay.finished_at and replay.finished_at.isoformat(),
        "cancelled_by": replay.cancelled_by,
    }
