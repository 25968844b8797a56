"""What the web process measures, and the page from which Prometheus fetches it.

No tenant, ticket or user is a label: the number of series stays that of types and statuses.
"""

from datetime import datetime
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Gauge, Histogram
from prometheus_client import generate_latest as render

if TYPE_CHECKING:
    from apps.noc.feed.wire import Event

DELIVERY_SECONDS = Histogram(
    "websocket_message_delivery_seconds",
    "From the write of a change until its frame was handed to the socket; live frames only.",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
SENT_TOTAL = Counter(
    "websocket_message_sent_total",
    "Event frames handed to sockets.",
    ["consumer", "message_type", "old_status", "new_status"],
)
FEED_CONNECTIONS = Gauge("noc_feed_connections", "Websockets that are open.")


def count_sent(event: "Event") -> None:
    """Count one event frame; events that change no status have empty status labels."""
    fields = event.fields
    SENT_TOTAL.labels(
        "noc", event.type, fields.get("old_status", ""), fields.get("new_status", "")
    ).inc()


def observe_delivery(written: datetime, sent: datetime) -> None:
    """Measure one live frame; clocks of two machines may differ, so never below zero."""
    DELIVERY_SECONDS.observe(max(0.0, (sent - written).total_seconds()))


def view(request: HttpRequest) -> HttpResponse:
    """Answer a scrape from one of ``METRICS_CLIENTS``, and staff who look at it in a browser."""
    if not (_scraper(request.META.get("REMOTE_ADDR", "")) or _staff(request)):
        raise PermissionDenied
    return HttpResponse(render(REGISTRY), content_type=CONTENT_TYPE_LATEST)


def _scraper(address: str) -> bool:
    try:
        client = ip_address(address)
    except ValueError:
        return False
    client = getattr(client, "ipv4_mapped", None) or client
    return any(client in ip_network(network) for network in settings.METRICS_CLIENTS)


def _staff(request: HttpRequest) -> bool:
    return request.user.is_active and request.user.is_staff
