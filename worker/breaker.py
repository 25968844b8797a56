"""A circuit breaker: after a failure, do not try again for a while."""

from collections.abc import Callable
from time import monotonic


class Breaker:
    """Open for ``seconds`` after :meth:`trip`. Racing threads may each try once; that is fine."""

    def __init__(self, *, seconds: float, clock: Callable[[], float] = monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._open_until = float("-inf")

    @property
    def is_open(self) -> bool:
        return self._clock() < self._open_until

    def trip(self) -> bool:
        """Open the breaker; return whether it had been closed."""
        was_closed = not self.is_open
        self._open_until = self._clock() + self._seconds
        return was_closed
