"""Checks of the site: origins, who may watch, and whether a websocket opens."""

import http.client
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import validate_host

from apps.noc.health import fixes
from apps.noc.health.perch import perch
from apps.noc.health.result import Check, Finding, fail, not_asked, ok, warn
from apps.noc.health.watch import NotWatching, Watch, shown
from apps.tenancy.models import CANARY_SLUG, Capability, Membership
from apps.tenancy.tickets import TooManyTickets

SECONDS = 3.0
EXAMPLE = "ALLOWED_ORIGINS=https://noc.example.com in the environment of web"


def origins() -> Finding:
    """May the pages of this site open the websocket?"""
    given = settings.ALLOWED_ORIGINS
    if not given:
        return fail(
            "ALLOWED_ORIGINS is empty",
            why="every browser's websocket is refused with HTTP 403",
            fix=EXAMPLE,
        )
    for origin in given:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
            return fail(
                f"{origin!r} is no origin",
                why="an origin is scheme, host and port: this one matches no page",
                fix=EXAMPLE,
            )
        if not validate_host(parts.hostname, settings.ALLOWED_HOSTS):
            return warn(
                f"the host of {origin} is not in ALLOWED_HOSTS",
                why="this site does not serve that page, so it is one of somebody else",
                fix=f"ALLOWED_HOSTS with {parts.hostname}, or ALLOWED_ORIGINS without it",
            )
        if (parts.scheme == "https") is not settings.HTTPS:
            return warn(
                f"{origin}, and HTTPS is {str(settings.HTTPS).lower()}",
                why="the page's origin would have the other scheme, and its websocket is refused",
                fix="HTTPS=true with https:// origins behind TLS, or HTTPS=false with http://",
            )
    return ok(", ".join(given))


def watchers() -> Finding:
    """Is there anybody who may watch the feed?"""
    members = Membership.objects.filter(
        user__is_active=True,
        tenant__suspended_at=None,
        capabilities__contains=[Capability.NOC_VIEW],
    ).exclude(tenant__slug=CANARY_SLUG)
    if members.exists():
        return ok("there are users with noc:view")
    return warn(
        "no active user of a tenant has noc:view",
        why="everybody's websocket is refused with HTTP 403",
        fix="/admin/tenancy/membership/ gives the capability; sample users: "
        + fixes.manage("seed_demo"),
    )


def web() -> Finding:
    """Does a web process answer where the canary opens its websocket?"""
    if not settings.FEED_URL:
        return _no_url()
    url = urlsplit(settings.FEED_URL)
    kind = http.client.HTTPSConnection if url.scheme == "wss" else http.client.HTTPConnection
    connection = kind(url.hostname or "", url.port, timeout=SECONDS)
    where = f"{shown(settings.FEED_URL)}"
    try:
        # As the proxy in front asks, or the site would redirect to https or refuse the host.
        host = next((host.lstrip(".") for host in settings.ALLOWED_HOSTS if host != "*"), "")
        headers = {"X-Forwarded-Proto": "https"} | ({"Host": host} if host else {})
        connection.request("GET", "/livez", headers=headers)
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return fail(
            f"GET /livez at {url.hostname}:{url.port or 'default port'}:"
            f" {error or type(error).__name__}",
            why="no page and no websocket is served",
            fix=fixes.start("web"),
        )
    finally:
        connection.close()
    if status == 200:
        return ok(f"answers beside {where}")
    return fail(
        f"GET /livez at {url.hostname} answered HTTP {status}",
        why="something else answers there, or a proxy that does not reach the web process",
        fix="NOC_FEED_URL with the address of a web process, like ws://web:8000/ws/noc/",
    )


def websocket() -> Finding:
    """Does a websocket open with a ticket, and is it brought to the end of the log?"""
    if not settings.FEED_URL:
        return not_asked("NOC_FEED_URL is not set")
    try:
        with Watch(settings.FEED_URL, perch().ticket()) as watch:
            return ok(f"opened, greeted and synced at event {watch.hello.get('head')}")
    except (NotWatching, TooManyTickets) as error:
        return fail(
            str(error) or "too many unused tickets: ask again in 30 s",
            why="pages cannot follow the feed; a proxy in front must pass Upgrade and Connection",
            fix=fixes.start("web"),
        )


def _no_url() -> Finding:
    return warn(
        "NOC_FEED_URL is not set",
        why="neither the canary nor this check opens a websocket",
        fix="NOC_FEED_URL=ws://web:8000/ws/noc/ in the environment of the worker",
    )


SITE: dict[str, Check] = {"allowed origins": origins}
SITE_IN_DATABASE: dict[str, Check] = {"users with noc:view": watchers}
WEB: dict[str, Check] = {"web process": web}
WEBSOCKET: dict[str, Check] = {"websocket": websocket}
