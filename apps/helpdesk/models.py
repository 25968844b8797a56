"""The ticket, the notes on it, and whether somebody has seen it."""

from django.conf import settings
from django.db import models
from django.db.models.functions import Now

import apps.helpdesk.incidents.models  # noqa: F401  (its tables are this app's)
from apps.helpdesk.acknowledgement_events import acknowledgement_triggers, ticket_side_triggers
from apps.helpdesk.events import comment_trigger, note_site_trigger, ticket_triggers
from apps.helpdesk.status import Priority, Status
from apps.helpdesk.versioning import Versioned, version_trigger
from apps.tenancy.models import Site, Tenant
from apps.tenancy.streams import stream_of
from apps.tenancy.triggers import tenant_is_fixed
from outbox.captured import Captured


class Ticket(Versioned, Captured):
    """One request for help. Every change that viewers see is captured, whoever makes it."""

    Status = Status
    Priority = Priority

    # Both foreign keys are one in the database: (site_id, tenant_id), so that a ticket can never
    # sit in a site of another tenant. It and the indexes below make Django's own superfluous.
    tenant = models.ForeignKey(
        Tenant, on_delete=models.PROTECT, db_index=False, db_constraint=False, editable=False
    )
    site = models.ForeignKey(
        Site, on_delete=models.PROTECT, related_name="tickets", db_index=False, db_constraint=False
    )
    ticket_no = models.CharField(max_length=64, verbose_name="ticket")  # like SITE001#42
    status = models.CharField(
        max_length=16, choices=Status, default=Status.NEW, db_default=Status.NEW
    )
    priority = models.CharField(
        max_length=16, choices=Priority, default=Priority.MEDIUM, db_default=Priority.MEDIUM
    )
    assigned_to = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, blank=True
    )
    description = models.TextField(max_length=10_000, default="", db_default="", blank=True)
    hold_reason = models.CharField(max_length=200, default="", db_default="", blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "ticket_no"], name="ticket_no_once"),
            models.CheckConstraint(
                condition=models.Q(status__in=Status.values), name="ticket_known_status"
            ),
            models.CheckConstraint(
                condition=models.Q(priority__in=Priority.values), name="ticket_known_priority"
            ),
        ]
        indexes = [
            # the snapshot (open ones of a tenant) and lists by status; newest first within each
            models.Index(fields=["tenant", "status", "id"], name="ticket_by_status"),
            # the list of a tenant, newest first, paged by id
            models.Index(fields=["tenant", "id"], name="ticket_by_tenant"),
            # the list of one site, and the check when a site is deleted
            models.Index(fields=["site", "id"], name="ticket_by_site"),
            # what changed lately, of a tenant
            models.Index(fields=["tenant", "updated_at"], name="ticket_by_change"),
        ]
        triggers = [
            version_trigger(),
            tenant_is_fixed(),
            *ticket_triggers(),
            *ticket_side_triggers(),
        ]

    def __str__(self) -> str:
        return self.ticket_no

    def outbox_stream(self) -> str:
        return stream_of(self.tenant_id)


class TicketNote(Captured):
    """What somebody wrote on a ticket: with a change of its status, or as a comment by itself."""

    ticket = models.ForeignKey(Ticket, on_delete=models.CASCADE, related_name="notes")
    # Where the ticket was then, set by the database: who does not see that site does not see what
    # was written there, as with events. The site may have gone since.
    site = models.ForeignKey(
        Site,
        on_delete=models.DO_NOTHING,
        related_name="+",
        null=True,
        editable=False,
        db_index=False,
        db_constraint=False,
    )
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True)
    status = models.CharField(
        max_length=16,
        choices=Status,
        default="",
        db_default="",
        blank=True,
        help_text="The status it went with; empty: a comment.",
    )
    text = models.TextField(max_length=2_000)
    written_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        triggers = [note_site_trigger(), comment_trigger()]

    def __str__(self) -> str:
        return f"{self.status or 'comment'}: {self.text}"[:80]

    def outbox_stream(self) -> str:
        return self.ticket.outbox_stream()


class Acknowledgement(Captured):
    """
    That somebody has seen a ticket as it is; no row: nobody has.

    A table of its own, so that it does not raise the ticket's version. The database ends it, see
    apps/helpdesk/acknowledgement_events.py, and deletes it after its ticket.
    """

    ticket = models.OneToOneField(
        Ticket,
        on_delete=models.DO_NOTHING,  # ON DELETE CASCADE in the database
        db_constraint=False,
        primary_key=True,
        related_name="acknowledgement",
    )
    acknowledged_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True
    )
    acknowledged_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        triggers = acknowledgement_triggers()

    def __str__(self) -> str:
        return f"ticket {self.ticket_id}, {self.acknowledged_at}"

    def outbox_stream(self) -> str:
        return self.ticket.outbox_stream()
