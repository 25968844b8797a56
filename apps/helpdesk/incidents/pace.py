"""The speed of a replay: the time between two rows, divided by ``speed``."""

from datetime import datetime
from threading import Event
from time import monotonic


class Pace:
    """The first row is due at once; ``speed`` None means that every row is."""

    def __init__(self, speed: float | None, stop: Event) -> None:
        self.speed = speed
        self._stop = stop
        self._start: tuple[datetime, float] | None = None

    def wait(self, at: datetime) -> None:
        """Return when a row of the time ``at`` is due, or ``stop`` is set."""
        if self.speed is None:
            return
        if self._start is None:
            self._start = at, monotonic()
        first, started = self._start
        due = started + (at - first).total_seconds() / self.speed
        while (seconds := due - monotonic()) > 0:
            if self._stop.wait(min(seconds, 3_600)):  # one wait cannot be longer than some years
                return
