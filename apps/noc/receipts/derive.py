"""Who received an event, and when it was confirmed: derived from the parts of the connections."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from apps.noc.feed.wire import event_of
from apps.noc.receipts.models import FeedSession
from apps.tenancy.http.bodies import BIGGEST_ID
from apps.tenancy.streams import stream_of, tenant_of
from outbox import log
from outbox.log import LogRow


@dataclass(frozen=True, slots=True)
class Receipt:
    """That one connection received an event. ``part_id`` is the row that says so."""

    part_id: int
    user_id: int
    session: UUID
    confirmed: bool
    confirmed_by: datetime | None  # a time by which it was confirmed at the latest


def row_of(tenant_id: int, seq: int) -> LogRow | None:
    """Return the tenant's event from the log; ``None`` when it is not there, or not any more."""
    if not 1 <= seq <= BIGGEST_ID:
        return None
    rows = log.read(stream_of(tenant_id), seq - 1, 1)
    return rows[0] if rows and rows[0].seq == seq else None


def receipts(row: LogRow) -> Collection[Receipt]:
    """
    Return the receipts of an event, one for each connection, in one query.

    When two parts of a connection received it (the scope was narrowed, and it resumed behind), the
    one that was confirmed first counts.
    """
    event = event_of(row)
    found: dict[UUID, Receipt] = {}
    parts = FeedSession.objects.filter(
        tenant_id=tenant_of(row.stream),
        epoch=row.epoch,
        start_seq__lt=row.seq,
        sent_seq__gte=row.seq,
    ).order_by("-id")
    for part in parts.iterator():
        if event.visible(None if part.sites is None else frozenset(part.sites)):
            receipt = _receipt(part, row)
            other = found.get(receipt.session)
            if other is None or _order(receipt) < _order(other):
                found[receipt.session] = receipt
    return found.values()


def users(of: Iterable[Receipt]) -> int:
    """Count the users, each once."""
    return len({receipt.user_id for receipt in of})


def _receipt(part: FeedSession, row: LogRow) -> Receipt:
    confirmed = row.seq <= part.acked_seq
    by = part.acked_at if confirmed else None
    if by is not None and part.slowest_ack_ms is not None and row.recorded_at >= part.opened_at:
        by = min(by, row.recorded_at + timedelta(milliseconds=part.slowest_ack_ms))
    return Receipt(part.pk, part.user_id, part.session, confirmed, by)


def _order(receipt: Receipt) -> tuple[bool, float]:
    by = receipt.confirmed_by
    return not receipt.confirmed, by.timestamp() if by is not None else float("inf")
