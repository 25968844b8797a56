"""The newest events of each stream, in memory: what nearly every socket is sent from."""

from apps.noc.feed.wire import Event


class Budget:
    """The bytes that all rings of a process may hold together."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.used_bytes = 0
        self.rings: set[Ring] = set()

    def add(self, size: int) -> None:
        """Count ``size`` more bytes; the largest ring gives up its oldest until all fits."""
        self.used_bytes += size
        while self.used_bytes > self.limit_bytes:
            max(self.rings, key=lambda ring: ring.size_bytes).shrink()


class Ring:
    """The events after ``base`` up to ``head``, without a hole."""

    def __init__(self, budget: Budget) -> None:
        self.base = 0
        self.size_bytes = 0
        self._events: list[Event] = []
        self._budget = budget
        budget.rings.add(self)

    @property
    def head(self) -> int:
        return self.base + len(self._events)

    def append(self, event: Event) -> None:
        """Add the next event."""
        assert event.seq == self.head + 1  # noqa: S101 - a hole would be a silent loss
        self._events.append(event)
        self.size_bytes += event.size_bytes
        self._budget.add(event.size_bytes)

    def after(self, position: int, limit: int) -> list[Event] | None:
        """Return the next events after ``position``; ``None`` when the ring begins later."""
        if position < self.base:
            return None
        start = position - self.base
        return self._events[start : start + limit]

    def restart(self, base: int) -> None:
        """Hold nothing and go on after ``base``."""
        self._drop(len(self._events))
        self.base = base

    def shrink(self) -> None:
        """Give up the oldest quarter; a slice at a time, since each moves the rest."""
        self._drop((len(self._events) + 3) // 4)

    def close(self) -> None:
        self.restart(self.head)
        self._budget.rings.discard(self)

    def _drop(self, count: int) -> None:
        freed = sum(event.size_bytes for event in self._events[:count])
        del self._events[:count]
        self.base += count
        self.size_bytes -= freed
        self._budget.used_bytes -= freed
