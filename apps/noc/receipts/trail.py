"""Which groups an event was handed to, and when: from the audit trail of broadcasts."""

from collections.abc import Iterable
from typing import Any

from apps.tenancy.streams import tenant_of
from outbox.models import Broadcast

MOST = 20  # rounds; several only when a process died or somebody replayed what others had sent
TASK = " task "  # of outbox.heartbeat.worker_name()


def rounds(stream: str, seq: int, *, sites: Iterable[int]) -> list[dict[str, Any]]:
    """
    Return the rounds whose slice holds the event, oldest first.

    ``sites``: those that the event concerns and the reader may see. The slice of a group is its
    first and last event, so it may lie around an event that is none of the group's.
    """
    own = {f"noc_tenant_{tenant_of(stream)}", *(f"noc_site_{site_id}" for site_id in sites)}
    rows = Broadcast.objects.filter(stream=stream, last_seq__gte=seq, first_seq__lte=seq).order_by(
        "last_seq"
    )[:MOST]
    return [
        {
            "published_at": row.published_at,
            "worker": row.worker.partition(TASK)[0],
            "first": row.first_seq,
            "last": row.last_seq,
            "groups": sorted(
                group
                for group, (first, last, *_) in row.targets.items()
                if group in own and first <= seq <= last
            ),
        }
        for row in rows
    ]
