"""What one connection was sent and has confirmed, in parts that each have one scope and no hole."""

import math
import uuid
from collections.abc import Callable, Set
from datetime import UTC, datetime

from apps.noc.feed.admission import Grant
from apps.noc.receipts.store import Part


class Parts:
    """
    The parts of one connection; ``changed`` is called with each that is to be written.

    A new part begins when the scope changes, when the cursor is set outside of what was sent, and
    in another log: so a part's range and scope alone tell whether it covers an event.
    """

    def __init__(
        self,
        *,
        process: uuid.UUID,
        session: uuid.UUID,
        grant: Grant,
        changed: Callable[[Part], None],
    ) -> None:
        self._process = process
        self._session = session
        self._grant = grant
        self._changed = changed
        self._count = 0
        self._part: Part | None = None

    def place(self, after_seq: int, epoch: str, sites: Set[int] | None) -> None:
        """The cursor was set after ``after_seq``."""
        part = self._part
        known = part is not None and part.epoch == epoch
        if part is None or not known or not part.start_seq <= after_seq <= part.sent_seq:
            self._begin(after_seq, epoch, sites)

    def narrow(self, sites: Set[int] | None, position: int) -> None:
        """The scope changed while the cursor stood after ``position``."""
        if self._part is not None:
            self._begin(position, self._part.epoch, sites)

    def sent(self, position: int) -> None:
        """Everything up to ``position`` was walked over, and sent as far as it is in scope."""
        part = self._part
        if part is not None and position > part.sent_seq:
            part.sent_seq = position
            self._changed(part)

    def ack(self, seq: int) -> int | None:
        """Take a confirmation; return what was confirmed before, ``None`` when it tells nothing."""
        part = self._part
        if part is None:
            return None
        before, now = part.acked_seq, min(seq, part.sent_seq)
        if now <= before:
            return None
        part.acked_seq = now
        part.acked_at = datetime.now(UTC)
        self._changed(part)
        return before

    def slowest(self, seconds: float) -> None:
        """Take how long the oldest event of a confirmation waited for it."""
        if self._part is not None:
            milliseconds = min(2**31 - 1, math.ceil(seconds * 1e3))
            self._part.slowest_ack_ms = max(self._part.slowest_ack_ms or 0, milliseconds)

    def slowest_since_opened(self) -> None:
        """Take the longest time that an event of this part can have waited."""
        if self._part is not None:
            self.slowest((datetime.now(UTC) - self._part.opened_at).total_seconds())

    def end(self, code: int | None) -> None:
        """The connection has ended with this close code."""
        part = self._part
        if part is not None:
            part.closed_at, part.close_code = datetime.now(UTC), code
            self._changed(part)
            self._part = None

    def _begin(self, after_seq: int, epoch: str, sites: Set[int] | None) -> None:
        self.end(None)
        self._count += 1
        self._part = Part(
            session=self._session,
            part=self._count,
            process=self._process,
            user_id=self._grant.user_id,
            tenant_id=self._grant.tenant_id,
            sites=None if sites is None else sorted(sites),
            epoch=epoch,
            start_seq=after_seq,
            sent_seq=after_seq,
            acked_seq=after_seq,
            opened_at=datetime.now(UTC),
        )
        self._changed(self._part)
