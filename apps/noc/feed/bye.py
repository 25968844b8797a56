"""Why a connection ends, told to the client in its last frame."""

import random

DRAIN, RESUME_HERE = 4000, 4001  # come back
SLOW, RATE, OVERLOADED = 4100, 4101, 4102  # come back, but not at once
EXPIRED, REVOKED, LIMIT = 4401, 4403, 4409  # do not come back by yourself

REASONS = {
    EXPIRED: "the login has ended",
    REVOKED: "this user may not watch any more",
}


class Bye(Exception):
    """The connection is to end with this close code."""

    def __init__(self, code: int, reason: str = "", *, retry_after_ms: int = 0) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason or REASONS[code]
        self.retry_after_ms = retry_after_ms


class Gone(Exception):
    """The client has left; nothing can be told to it."""

    code = 1005


def spread_ms(low: float = 1_000, high: float = 5_000) -> int:
    """Return a moment to come again that is another for each, in milliseconds."""
    return round(random.uniform(low, high))  # noqa: S311 - no secret
