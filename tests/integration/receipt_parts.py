"""Parts of feed connections, made as the hub would make them."""

import uuid
from datetime import UTC, datetime, timedelta

from apps.noc.receipts.store import Part

OPENED = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PROCESS = uuid.UUID(int=1)


def part_of(user, *, epoch, start=0, sent=0, acked=None, **values):
    """A part of ``user``'s connection that was sent the events after ``start`` up to ``sent``."""
    sites = values.pop("sites", None)
    return Part(
        user_id=user.pk,
        tenant_id=user.membership.tenant_id,
        epoch=str(epoch),
        start_seq=start,
        sent_seq=sent,
        acked_seq=start if acked is None else acked,
        sites=None if sites is None else [site.pk for site in sites],
        **{
            "session": uuid.uuid4(),
            "part": 0,
            "process": PROCESS,
            "opened_at": OPENED,
            **values,
        },
    )


def later(seconds):
    return OPENED + timedelta(seconds=seconds)
