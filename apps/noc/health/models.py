"""The runs of the canary, each of which is an event of the feed."""

from django.db import models
from django.db.models.functions import Now

from apps.tenancy.models import Tenant
from apps.tenancy.streams import stream_of
from apps.tenancy.triggers import tenant_is_fixed
from outbox import capture_insert
from outbox.capture import utc
from outbox.captured import Captured


class Canary(Captured):
    """
    One run: its insertion is captured like any change, and should come out of a websocket.

    A run that was cut short keeps the stage that it began with, and no error.
    """

    class Stage(models.TextChoices):
        WRITTEN = "written", "written: committed, and not in the log"
        RECORDED = "recorded", "recorded: in the log, and not handed to the channel layer"
        PUBLISHED = "published", "published: handed over, and not seen on a websocket"
        RECEIVED = "received", "received: seen on a websocket"

    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, db_index=False, editable=False)
    sent_at = models.DateTimeField(db_default=Now(), editable=False)
    stage = models.CharField(max_length=16, choices=Stage, default=Stage.WRITTEN)
    seconds = models.FloatField(null=True, help_text="From the save to the stage that it reached.")
    error = models.TextField(default="", help_text="Why it came no further; empty when it did.")

    class Meta:
        verbose_name_plural = "canaries"
        triggers = [
            tenant_is_fixed(),
            capture_insert(
                "canary",
                stream="'tenant:' || NEW.tenant_id",
                subject="'canary:' || NEW.id",
                payload={
                    "canary_id": "NEW.id",
                    "site_id": "NULL::bigint",
                    "sent_at": utc("NEW.sent_at"),
                },
            ),
        ]

    def __str__(self) -> str:
        return f"canary {self.pk}: {self.stage}"

    def outbox_stream(self) -> str:
        return stream_of(self.tenant_id)
