"""The words for a ticket's state and urgency; other programs read them, so they never change."""

from django.db import models


class Status(models.TextChoices):
    NEW = "NEW", "new"
    IN_PROGRESS = "IN_PROGRESS", "in progress"
    ON_HOLD = "ON_HOLD", "on hold"
    RESOLVED = "RESOLVED", "resolved"
    CLOSED = "CLOSED", "closed"
    CANCELLED = "CANCELLED", "cancelled"


class Priority(models.TextChoices):
    LOW = "LOW", "low"
    MEDIUM = "MEDIUM", "medium"
    HIGH = "HIGH", "high"
    CRITICAL = "CRITICAL", "critical"


# On the board until somebody closes or cancels it.
OPEN = (Status.NEW, Status.IN_PROGRESS, Status.ON_HOLD, Status.RESOLVED)
