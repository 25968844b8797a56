"""Where a connection stands in the log of its tenant, and what it may be told from there."""

from collections.abc import Set
from dataclasses import dataclass

from apps.noc.feed.outlet import Frame
from apps.noc.feed.wire import Event
from outbox.log import Head

TOO_FAR_EVENTS = 50_000  # from here on a snapshot is cheaper than the events


@dataclass
class Cursor:
    """
    ``position`` is the last event that was walked over, seen or not.

    ``prev`` is the last one that this connection was told about, or where it was placed. Without
    a filter they are the same.
    """

    epoch: str
    sites: Set[int] | None
    position: int = 0
    prev: int = 0

    def place(self, seq: int, epoch: str) -> None:
        """Stand after ``seq``."""
        self.position = self.prev = seq
        self.epoch = epoch

    def narrow(self, sites: Set[int]) -> None:
        """See only those of ``sites`` that were seen before."""
        self.sites = sites if self.sites is None else self.sites & sites

    def step(self, event: Event) -> Frame | None:
        """Walk over the next event; return its frame when it is seen. It must be the next one."""
        assert event.seq == self.position + 1  # noqa: S101 - a hole would be a silent loss
        self.position = event.seq
        if self.sites is None:
            self.prev = event.seq
            return event.whole
        if not event.visible(self.sites):
            return None
        prev, self.prev = self.prev, event.seq
        return Frame(event.text(prev=prev, sites=self.sites))


def reset_reason(head: Head, *, after_seq: int, epoch: str) -> str | None:
    """Return why a connection cannot go on after ``after_seq``; ``None`` when it can."""
    if epoch != str(head.epoch):
        return "epoch"
    if after_seq > head.last_seq:
        return "ahead"
    if after_seq < head.min_seq - 1:
        return "trimmed"
    if head.last_seq - after_seq > TOO_FAR_EVENTS:
        return "too_far"
    return None
