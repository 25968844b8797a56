"""
The figures as they are kept: one row per minute, and per tenant or site, only when there is one.

Keys to tenant and site are made in SQL, ON DELETE CASCADE: Django's own would first read every row.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models

from apps.tenancy.models import Site, Tenant


class EventCount(models.Model):
    """How many events of each kind were recorded in a minute; rollup.py writes it."""

    pk = models.CompositePrimaryKey("tenant_id", "minute", "site_id")
    tenant = models.ForeignKey(
        Tenant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    minute = models.DateTimeField()
    site_id = models.BigIntegerField(help_text="0: of no site, seen by who sees every site.")
    ticket = models.IntegerField()
    finding = models.IntegerField()
    anomaly = models.IntegerField()

    def __str__(self) -> str:
        return f"tenant {self.tenant_id}, site {self.site_id}, {self.minute:%Y-%m-%d %H:%M}"


class EventCursor(models.Model):
    """Up to where a tenant's log is counted."""

    tenant = models.OneToOneField(
        Tenant,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        primary_key=True,
        related_name="+",
    )
    epoch = models.UUIDField()
    seq = models.BigIntegerField(help_text="The last event that is counted.")
    recorded_at = models.DateTimeField(help_text="Of that event; before the first: where it began.")

    def __str__(self) -> str:
        return f"tenant {self.tenant_id}: {self.seq}"


class DeliveryCount(models.Model):
    """How long the deliveries of a minute took, by the buckets of buckets.py; see delays.py."""

    pk = models.CompositePrimaryKey("tenant_id", "minute")
    tenant = models.ForeignKey(
        Tenant, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    minute = models.DateTimeField()
    counts = ArrayField(models.IntegerField())

    def __str__(self) -> str:
        return f"tenant {self.tenant_id}, {self.minute:%Y-%m-%d %H:%M}"


class OpenSample(models.Model):
    """The open tickets of a site from a minute on, until the next sample; samples.py writes it."""

    pk = models.CompositePrimaryKey("site_id", "minute")
    site = models.ForeignKey(
        Site, on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    minute = models.DateTimeField()
    new = models.IntegerField()
    in_progress = models.IntegerField()
    on_hold = models.IntegerField()
    resolved = models.IntegerField()

    def __str__(self) -> str:
        return f"site {self.site_id}, {self.minute:%Y-%m-%d %H:%M}"


class SampleRun(models.Model):
    """A minute in which samples were taken: without one, nobody knows what was open."""

    minute = models.DateTimeField(primary_key=True)

    def __str__(self) -> str:
        return f"{self.minute:%Y-%m-%d %H:%M}"
