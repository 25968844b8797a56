"""After the commit, tell a worker that something is there to drain; losing it costs latency."""

from django.db import connections, transaction

from outbox.conf import outbox_settings
from outbox.lanes import lane_of


class _Nudge:
    """One pending hint; a class of our own so that a transaction keeps one per lane."""

    def __init__(self, lane: int | None) -> None:
        self.lane = lane
        # Django prints it when a robust hook fails, and takes it for granted.
        self.__qualname__ = type(self).__qualname__

    def __call__(self) -> None:
        outbox_settings().nudge(None if self.lane is None else (self.lane,))


def wake(stream: str | None, *, using: str = "default") -> None:
    """
    Nudge the lane of ``stream`` once the current transaction has committed.

    ``None`` means that the streams are not known (a bulk write): any lane may have work.
    """
    lane = None if stream is None else lane_of(stream, outbox_settings().lanes)
    # One is enough, in whichever savepoint it was made: that one is open, or released into one that
    # is, so a rollback that takes it along takes this write along too.
    for _, hook, *_ in connections[using].run_on_commit:
        if isinstance(hook, _Nudge) and hook.lane == lane:
            return
    transaction.on_commit(_Nudge(lane), using=using, robust=True)
