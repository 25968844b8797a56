"""Which lane a stream belongs to: the same hash in Python and in SQL (``outbox_lane_of``)."""

from hashlib import sha256


def lane_of(stream: str, lanes: int) -> int:
    """Return the lane of ``stream``, 0 to ``lanes`` - 1, as the database computes it."""
    return int.from_bytes(sha256(stream.encode()).digest()[:3], "big") % lanes
