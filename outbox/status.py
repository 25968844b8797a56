"""How far each lane is, with counts that stay cheap on a large backlog."""

from dataclasses import dataclass

from django.db import connections

from outbox import sql

COUNT_LIMIT = 10_001  # a pending count of this much means "or more"


@dataclass(frozen=True, slots=True)
class LaneStatus:
    lane: int
    low_id: int
    publish_failures: int
    paused: bool
    why: str | None  # who stopped its publishing and what for, or what the sink said last
    pending: int  # messages not recorded, counted up to COUNT_LIMIT
    oldest_seconds: float | None  # age of the oldest of them
    streams: int
    unpublished: int  # events recorded and not handed to the sink


def lanes(*, using: str = "default") -> list[LaneStatus]:
    """Return one status per lane, of one moment."""
    with connections[using].cursor() as cursor:
        cursor.execute(sql.STATUS)
        return [LaneStatus(*row) for row in cursor.fetchall()]
