"""How long to wait before the next connect."""

import random

FIRST_SECONDS = 1.0
BASE_SECONDS = 0.5
MAX_SECONDS = 20.0
HEALTHY_SECONDS = 30.0  # a connection that lived this long starts the pauses anew


class Backoff:
    """Full jitter: after an outage the clients must not come back in step."""

    def __init__(self) -> None:
        self._attempt = 0

    def lived(self, seconds: float) -> None:
        """Take how long the last connection lived."""
        if seconds >= HEALTHY_SECONDS:
            self._attempt = 0

    def pause(self, retry_after_ms: int) -> float:
        """Return the seconds to wait: never less than the server asked for."""
        longest = FIRST_SECONDS
        if self._attempt:
            longest = min(MAX_SECONDS, BASE_SECONDS * 2 ** min(self._attempt, 10))
        self._attempt += 1
        return retry_after_ms / 1000 + random.uniform(0, longest)  # noqa: S311 - no secret
