"""How many sockets each user has, over all web processes: rows that only leases.py writes."""

from django.conf import settings
from django.db import models


class FeedProcess(models.Model):
    """A web process that serves the feed. One that was not seen for a minute counts as gone."""

    id = models.UUIDField(primary_key=True)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return str(self.id)


class FeedLease(models.Model):
    """
    The place of one socket under its user's limit; it counts as long as its process does.

    Neither key is a constraint in the database: removing a process must not wait for one that takes
    a lease at that moment, and a lease must not stop anybody from deleting a user.
    """

    id = models.UUIDField(primary_key=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, db_constraint=False
    )
    process = models.ForeignKey(FeedProcess, on_delete=models.CASCADE, db_constraint=False)

    def __str__(self) -> str:
        return f"socket {self.id} of user {self.user_id}"
