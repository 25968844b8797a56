"""The page ``/demo/``: breaks the instance on purpose, and shows how it catches up.

It acts on the whole instance, every tenant in it, so it is there only where the supervisor of a
demo gave its socket (``settings.DEMO_CONTROL``), and for who runs a tenant.
"""

import json
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_POST

from apps.tenancy.access import Access, access_of
from apps.tenancy.models import Capability, Tenant
from project.demo.address import ControlError, ask
from project.demo.figures import figures

View = Callable[..., HttpResponse]


def for_admins(view: Callable[..., HttpResponse]) -> View:
    """Let only who runs a tenant in; ``view`` gets their access as its second argument."""

    @wraps(view)
    def checked(request: HttpRequest, *args: Any, **names: Any) -> HttpResponse:
        access = access_of(request.user)
        if access is None or not access.may(Capability.TENANT_ADMIN):
            return render(request, "noc/refused.html", {"refusal": "no_tenant_admin"}, status=403)
        return view(request, access, *args, **names)

    return never_cache(login_required(checked))


@require_GET
@for_admins
def show(request: HttpRequest, access: Access) -> HttpResponse:
    """Show the page; its script fills it."""
    tenant = Tenant.objects.get(pk=access.tenant_id)
    everything = access.sites is None and access.may(Capability.NOC_VIEW)
    return render(request, "noc/break.html", {"tenant": tenant, "everything": everything})


@require_GET
@for_admins
def state(request: HttpRequest, access: Access) -> HttpResponse:
    """What is broken now, and how far the events of the tenant are."""
    return answer(access, {})


@require_POST
@for_admins
def change(request: HttpRequest, access: Access, fault: str) -> HttpResponse:
    """Begin or end a fault: ``{"on": true}``."""
    try:
        on = json.loads(request.body)["on"] is True
    except (ValueError, KeyError, TypeError, RecursionError):
        return problem(400, 'Send {"on": true} or {"on": false}.')
    return answer(access, {"fault": fault, "on": on})


def answer(access: Access, wish: dict[str, Any]) -> HttpResponse:
    try:
        asked = ask(Path(settings.DEMO_CONTROL), wish)
    except ControlError as error:
        return problem(409, str(error))
    return JsonResponse({**asked, "figures": figures(access.tenant_id)})


def problem(status: int, detail: str) -> HttpResponse:
    body = {"type": "about:blank", "status": status, "detail": detail}
    return JsonResponse(body, status=status, content_type="application/problem+json")
