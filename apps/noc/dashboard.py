"""The page at ``/``: what an operator has open all shift. It is filled and kept by its scripts."""

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from apps.tenancy.access import access_of, refusal_of
from apps.tenancy.models import Capability, Tenant

OPEN_STATUSES = [
    ("NEW", "New"),
    ("IN_PROGRESS", "In progress"),
    ("ON_HOLD", "On hold"),
    ("RESOLVED", "Resolved"),
]


@never_cache
@login_required
def board(request: HttpRequest) -> HttpResponse:
    """Show the board, or say why this account has none (403)."""
    access = access_of(request.user)
    if access is None or not access.may(Capability.NOC_VIEW):
        return render(
            request, "noc/refused.html", {"refusal": refusal_of(request.user)}, status=403
        )
    tenant = Tenant.objects.get(pk=access.tenant_id)
    return render(request, "noc/board.html", {"tenant": tenant, "statuses": OPEN_STATUSES})
