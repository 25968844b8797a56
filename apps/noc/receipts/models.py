"""Who was sent what and confirmed it: rows that only store.py writes."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q

from apps.tenancy.models import Tenant


class FeedSession(models.Model):
    """
    One part of one connection to the feed: a slice of the log, sent to a user in one scope.

    A connection begins a new part when its scope changes and when it resumes further on. Event N of
    the epoch was received by the part when ``start_seq`` < N <= ``sent_seq`` and its scope sees the
    event, and confirmed when N <= ``acked_seq``. There is never a row per event and client.

    An open part is updated every few seconds. So pages have room, and no index holds a column that
    moves: the update stays on its page and touches no index.
    """

    session = models.UUIDField(help_text="The connection, as its hello named it.")
    part = models.PositiveIntegerField(help_text="Counts the parts of the connection.")
    process = models.UUIDField(help_text="The web process that served it.")
    # Both foreign keys are made in SQL, ON DELETE CASCADE: Django's own would first read every row
    # of the user, and list it in the admin.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        related_name="feed_sessions",
    )
    tenant = models.ForeignKey(
        Tenant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    sites = ArrayField(
        models.BigIntegerField(), null=True, help_text="The scope; null: every site."
    )
    epoch = models.UUIDField(help_text="Of the log that the numbers belong to.")
    start_seq = models.BigIntegerField(help_text="Events after this one were sent.")
    sent_seq = models.BigIntegerField(help_text="Up to and with this one.")
    acked_seq = models.BigIntegerField(help_text="The client confirmed up to and with this one.")
    opened_at = models.DateTimeField()
    acked_at = models.DateTimeField(null=True, help_text="When it last confirmed anything.")
    slowest_ack_ms = models.BigIntegerField(
        null=True,
        help_text="The longest time from an event that occurred while the part was open to its "
        "confirmation, in milliseconds.",
    )
    closed_at = models.DateTimeField(null=True)
    close_code = models.PositiveIntegerField(
        null=True, help_text="Empty: still open, followed by another part, or its process ended."
    )

    class Meta:
        constraints = [
            # Its index finds the row of a part that is saved again.
            models.UniqueConstraint(fields=["session", "part"], name="feedsession_once"),
            models.CheckConstraint(
                condition=Q(start_seq__gte=0, sent_seq__gte=F("start_seq")),
                name="feedsession_slice_of_the_log",
            ),
            models.CheckConstraint(
                condition=Q(acked_seq__lte=F("sent_seq")), name="feedsession_confirmed_was_sent"
            ),
            models.CheckConstraint(
                condition=Q(close_code__isnull=True) | Q(closed_at__isnull=False),
                name="feedsession_code_of_a_closed_one",
            ),
        ]
        indexes = [
            # The receipts of an event: parts that began before it.
            models.Index(fields=["tenant", "epoch", "start_seq"], name="feedsession_by_place"),
            # The list of a tenant in the admin, newest first.
            models.Index(fields=["tenant", "id"], name="feedsession_by_tenant"),
            # The sessions of a user in the admin, and their removal with the user.
            models.Index(fields=["user", "id"], name="feedsession_by_user"),
            # Parts that an ended process left open. A row leaves this index once, when it closes.
            models.Index(
                fields=["process"], condition=Q(closed_at__isnull=True), name="feedsession_open"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.session} part {self.part}"
