"""A client of the feed for Python programs; needs nothing of Django. See docs/protocol.md."""

from apps.noc.client.errors import FeedStopped
from apps.noc.client.feed import FeedClient
from apps.noc.client.follower import Event, Reset

__all__ = ["Event", "FeedClient", "FeedStopped", "Reset"]
