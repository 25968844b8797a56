"""
The page at ``/``: what an operator has open all shift. It is filled and kept by its scripts.

With ``?wall=1`` it hangs on a wall. A browser that is not signed in then gets the page without any
data, whose script has a token from the address's fragment, which never reaches the server.
"""

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache

from apps.noc.version import version
from apps.tenancy.access import access_of, refusal_of
from apps.tenancy.models import Capability, Tenant

OPEN_STATUSES = [
    ("NEW", "New"),
    ("IN_PROGRESS", "In progress"),
    ("ON_HOLD", "On hold"),
    ("RESOLVED", "Resolved"),
]


@never_cache
def board(request: HttpRequest) -> HttpResponse:
    """Show the board, or say why this account has none (403)."""
    page = {
        "wall": request.GET.get("wall") == "1",
        "version": version(),
        "statuses": OPEN_STATUSES,
    }
    if not request.user.is_authenticated:
        if page["wall"]:
            return render(request, "noc/board.html", page)
        return redirect_to_login(request.get_full_path())
    access = access_of(request.user)
    if access is None or not access.may(Capability.NOC_VIEW):
        return render(
            request, "noc/refused.html", {"refusal": refusal_of(request.user)}, status=403
        )
    tenant = Tenant.objects.get(pk=access.tenant_id)
    breakable = bool(settings.DEMO_CONTROL) and access.may(Capability.TENANT_ADMIN)
    return render(request, "noc/board.html", page | {"tenant": tenant, "breakable": breakable})
