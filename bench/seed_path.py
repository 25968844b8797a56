"""
The seed's way, to compare with: a ticket table without triggers, and a broadcast inside the save.

``Plain`` is a twin of the ticket table. ``broadcast`` is what the seed's ``post_save`` does.
"""

from typing import Any

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.contrib.auth.models import User
from django.db import connection, models

from apps.tenancy.models import Site, Tenant

TICKET = {
    "priority": "HIGH",
    "status": "NEW",
    "description": "Network connectivity issue. " * 6,
}


class Plain(models.Model):
    """The ticket's columns without captures, version rule or nudge."""

    tenant = models.ForeignKey(Tenant, on_delete=models.DO_NOTHING, related_name="+")
    site = models.ForeignKey(Site, on_delete=models.DO_NOTHING, related_name="+")
    ticket_no = models.CharField(max_length=64)
    status = models.CharField(max_length=16)
    priority = models.CharField(max_length=16)
    assigned_to = models.ForeignKey(User, on_delete=models.DO_NOTHING, related_name="+", null=True)
    description = models.TextField()
    hold_reason = models.CharField(max_length=200, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    version = models.PositiveIntegerField(default=1)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        app_label = "bench"
        db_table = "bench_plain"


def make_table() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS bench_plain")
        cursor.execute("CREATE TABLE bench_plain (LIKE helpdesk_ticket INCLUDING ALL)")


def make_site(slug: str = "bench") -> tuple[Tenant, Site, User]:
    tenant, _ = Tenant.objects.get_or_create(slug=slug, defaults={"name": slug})
    site, _ = Site.objects.get_or_create(tenant=tenant, code="B1", defaults={"name": "Bench"})
    user, _ = User.objects.get_or_create(username="bench")
    return tenant, site, user


def toggle(ticket: Any) -> None:
    """Give the ticket its other status."""
    ticket.status = "RESOLVED" if ticket.status == "IN_PROGRESS" else "IN_PROGRESS"


def original_status(ticket: Any) -> str:
    """Read what the seed's ``pre_save`` reads."""
    return str(Plain.objects.get(pk=ticket.pk).status)


def broadcast(ticket: Any, original: str, **extra: Any) -> None:
    """Send to both groups as the seed does, one ``async_to_sync`` call each."""
    message = {
        "type": "ticket_updated",
        "ticket_id": ticket.pk,
        "ticket_no": ticket.ticket_no,
        "old_status": original,
        "new_status": ticket.status,
        "priority": ticket.priority,
        "assigned_to": ticket.assigned_to.get_full_name() or ticket.assigned_to.username,
        "site_id": ticket.site_id,
        "site_name": ticket.site.name,
        "description": ticket.description[:200],
        "updated_at": ticket.updated_at.isoformat(),
        **extra,
    }
    layer = get_channel_layer()
    async_to_sync(layer.group_send)(f"noc_tenant_{ticket.tenant_id}", message)
    async_to_sync(layer.group_send)(f"noc_site_{ticket.site_id}", message)
