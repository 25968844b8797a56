"""What ends a client, and what only ends one of its connections."""

REMEDIES = {
    403: "GET /api/v1/auth/me/ with the same token says why",
    404: "check the address: the feed is at /ws/noc/",
    4400: "this client does not speak the server's protocol: update it",
    4401: "get a new token by POST /api/v1/auth/token/",
    4403: "an administrator gives the user the capability noc:view",
    4409: "close another connection of this user",
}


class FeedStopped(Exception):
    """
    The server does not want this client back; ``str()`` names the remedy.

    ``code`` is the close code, or the HTTP status of a refused connect.
    """

    def __init__(self, code: int, reason: str) -> None:
        remedy = REMEDIES.get(code, "see docs/protocol.md")
        super().__init__(f"The server ended the feed ({code}): {reason}. Remedy: {remedy}.")
        self.code = code
        self.reason = reason


class BadFrame(ValueError):
    """The server sent what is no frame of the protocol."""


class Lost(Exception):
    """A connection ended; another one goes on where it was."""

    def __init__(self, reason: str, *, retry_after_ms: int = 0, at_once: bool = False) -> None:
        super().__init__(reason)
        self.retry_after_ms = retry_after_ms
        self.at_once = at_once
