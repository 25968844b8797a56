"""Whether this process answers, whether it can serve, and whether events get through."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from apps.noc import metrics
from apps.noc.health import pipeline as progress
from apps.noc.health import ready
from apps.noc.health.bounded import within

LOGIN_SECONDS = 3.0  # a session is looked up in the database, which may be frozen


@require_safe
def livez(request: HttpRequest) -> JsonResponse:
    """200 while the process serves requests; asks nothing of the database or Redis."""
    return JsonResponse({"status": "ok"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 when requests can be served here, else 503; names what is amiss."""
    is_ready, reasons = ready.answer()
    if not metrics.is_scraper(request):  # the texts name hosts, and are for few
        reasons = [{"check": each["check"]} for each in reasons]
    return JsonResponse(
        {"status": "ready" if is_ready else "not ready", "reasons": reasons},
        status=200 if is_ready else 503,
    )


@require_safe
@never_cache
def pipeline(request: HttpRequest) -> JsonResponse:
    """200 when events get through (ok or degraded), 503 when they do not; with the reasons."""
    try:
        allowed = metrics.is_scraper(request) or within(
            LOGIN_SECONDS, lambda: metrics.is_staff(request)
        )
    except Exception:  # nobody can tell in time who it is
        allowed = False
    if not allowed:
        raise PermissionDenied
    status, reasons = progress.answer()
    body = {"status": status} | ({"reasons": reasons} if reasons else {})
    return JsonResponse(body, status=503 if status == "failing" else 200)
