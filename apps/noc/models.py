"""What the monitoring finds: findings and anomalies. Their creation is captured."""

from typing import Any

from django.db import models
from django.db.models.functions import Now

from apps.tenancy.models import Site, Tenant
from apps.tenancy.streams import stream_of
from apps.tenancy.triggers import tenant_is_fixed
from outbox import capture_insert
from outbox.capture import utc
from outbox.captured import Captured

SITE = {
    "site_id": "NEW.site_id",
    "site_name": "(SELECT s.name FROM tenancy_site s WHERE s.id = NEW.site_id)",
}
FINITE = {"gt": float("-inf"), "lt": float("inf")}  # JSON has neither NaN nor infinity


def _captured(type_: str, subject: str, payload: dict[str, str]) -> Any:
    return capture_insert(
        type_,
        stream="'tenant:' || NEW.tenant_id",
        subject=f"'{subject}:' || NEW.id",
        payload=payload,
    )


class Severity(models.TextChoices):
    LOW = "LOW", "Low"
    MEDIUM = "MEDIUM", "Medium"
    HIGH = "HIGH", "High"
    CRITICAL = "CRITICAL", "Critical"


class Sighting(Captured):
    """What findings and anomalies share."""

    # A second foreign key in the database, (site_id, tenant_id), keeps the site in the tenant.
    tenant = models.ForeignKey(Tenant, on_delete=models.PROTECT, db_index=False, editable=False)
    # Unindexed by itself, since an index of each begins with it: what was seen there, by time.
    site = models.ForeignKey(
        Site,
        on_delete=models.PROTECT,
        db_index=False,
        null=True,
        blank=True,
        help_text="Empty: of the whole tenant, seen only by who sees every site.",
    )
    severity = models.CharField(
        max_length=16, choices=Severity, default=Severity.MEDIUM, db_default=Severity.MEDIUM
    )

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(
                condition=models.Q(severity__in=Severity.values), name="%(class)s_known_severity"
            )
        ]
        indexes = [
            # the list of a tenant, newest first, paged by id
            models.Index(fields=["tenant", "id"], name="%(class)s_by_tenant"),
        ]

    def outbox_stream(self) -> str:
        return stream_of(self.tenant_id)


class Finding(Sighting):
    """Something that a check found to be wrong."""

    class Status(models.TextChoices):
        NEW = "NEW", "New"
        ACKNOWLEDGED = "ACKNOWLEDGED", "Acknowledged"
        RESOLVED = "RESOLVED", "Resolved"
        FALSE_POSITIVE = "FALSE_POSITIVE", "False positive"

    title = models.CharField(max_length=200)
    status = models.CharField(
        max_length=16, choices=Status, default=Status.NEW, db_default=Status.NEW
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta(Sighting.Meta):
        indexes = [
            *Sighting.Meta.indexes,
            models.Index(fields=["site", "created_at"], name="finding_by_site"),
        ]
        constraints = [
            *Sighting.Meta.constraints,
            models.CheckConstraint(
                condition=models.Q(
                    status__in=["NEW", "ACKNOWLEDGED", "RESOLVED", "FALSE_POSITIVE"]
                ),
                name="finding_known_status",
            ),
        ]
        triggers = [
            tenant_is_fixed(),
            _captured(
                "finding_created",
                "finding",
                {
                    "finding_id": "NEW.id",
                    "title": "NEW.title",
                    "severity": "NEW.severity",
                    **SITE,
                    "status": "NEW.status",
                    "created_at": utc("NEW.created_at"),
                },
            ),
        ]

    def __str__(self) -> str:
        return self.title


class Anomaly(Sighting):
    """A metric that was not where it was expected."""

    metric = models.CharField(max_length=200)
    observed = models.FloatField()
    expected = models.FloatField()
    detected_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta(Sighting.Meta):
        verbose_name_plural = "anomalies"
        indexes = [
            *Sighting.Meta.indexes,
            models.Index(fields=["site", "detected_at"], name="anomaly_by_site"),
        ]
        constraints = [
            *Sighting.Meta.constraints,
            models.CheckConstraint(
                condition=models.Q(
                    **{
                        f"{name}__{op}": v
                        for name in ("observed", "expected")
                        for op, v in FINITE.items()
                    }
                ),
                name="anomaly_finite_numbers",
            ),
        ]
        triggers = [
            tenant_is_fixed(),
            _captured(
                "anomaly_detected",
                "anomaly",
                {
                    "anomaly_id": "NEW.id",
                    "metric": "NEW.metric",
                    "observed": "NEW.observed",
                    "expected": "NEW.expected",
                    "severity": "NEW.severity",
                    **SITE,
                    "detected_at": utc("NEW.detected_at"),
                },
            ),
        ]

    def __str__(self) -> str:
        return f"{self.metric}: {self.observed:g}, expected {self.expected:g}"


from apps.noc.feed.models import FeedLease, FeedProcess  # noqa: E402, F401 - Django finds them here
from apps.noc.figures.models import (  # noqa: E402, F401 - Django finds them here
    DeliveryCount,
    EventCount,
    EventCursor,
    OpenSample,
    SampleRun,
)
from apps.noc.health.models import Canary  # noqa: E402, F401 - Django finds it here
from apps.noc.receipts.models import FeedSession  # noqa: E402, F401 - Django finds it here
from apps.noc.saved_views.models import SavedView  # noqa: E402, F401 - Django finds it here
