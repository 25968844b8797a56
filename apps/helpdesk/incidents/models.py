"""What the import remembers, so that a second run continues where the first one stopped."""

from django.db import models

from apps.helpdesk.status import Status
from apps.tenancy.models import Site


class ImportedLocation(models.Model):
    """The site that a location became. The first run decides, whatever ``--tenants`` is later."""

    location = models.CharField(max_length=100, unique=True)
    site = models.ForeignKey(Site, on_delete=models.CASCADE)

    class Meta:
        app_label = "helpdesk"

    def __str__(self) -> str:
        return self.location


class ImportedIncident(models.Model):
    """
    How far the history of an incident is in its ticket.

    Written in the transaction of each change, so that both are there or neither. ``status`` and
    ``priority`` are what the file last said: an operator may have changed the ticket since.
    """

    number = models.CharField(max_length=64, unique=True, help_text="INC0000045")
    ticket = models.ForeignKey(
        "helpdesk.Ticket", on_delete=models.SET_NULL, null=True, help_text="Null: it was deleted."
    )
    status = models.CharField(max_length=16, choices=Status)
    priority = models.CharField(max_length=16)
    # The place of the last row that changed something: time, modification count, and its number
    # among the rows that share both.
    updated_at = models.DateTimeField()
    mod_count = models.PositiveIntegerField()
    nth = models.PositiveIntegerField()
    applied = models.PositiveIntegerField(
        default=1,
        help_text="Counts the rows that changed something; two runs at once notice by it.",
    )

    class Meta:
        app_label = "helpdesk"

    def __str__(self) -> str:
        return self.number
