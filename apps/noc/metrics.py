"""What the web process measures, and the page from which Prometheus fetches it.

No tenant, ticket or user is a label: the number of series stays that of types and statuses.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Gauge, Histogram
from prometheus_client import generate_latest as render
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from apps.noc.feed import bye

if TYPE_CHECKING:
    from apps.noc.feed.wire import Event

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

FEED_CONNECTIONS = Gauge("noc_feed_connections", "Websockets that are open.")
FEED_LAG = Gauge(
    "noc_feed_lag_events", "How far the socket that is furthest behind is from its tenant's head."
)
GAPS = Counter(
    "noc_feed_gaps_total",
    "Gaps filled from the log. lost: a later event came first; tail: a look at the log found it;"
    " jump: too many, left to the sockets.",
    ["cause"],
)
HEAL_SECONDS = Histogram(
    "noc_feed_heal_seconds", "From the notice of a gap until it was filled.", buckets=_SECONDS
)
LOG_READS = Counter(
    "noc_feed_log_reads_total",
    "Slices read from the log. page: for sockets behind the ring; gap: to fill one.",
    ["purpose"],
)
CLOSED = Counter(
    "noc_feed_closed_total",
    "Websockets that ended, by close code; 1005: the client left, 4403 before accept: 403.",
    ["code"],
)
ACK_SECONDS = Histogram(
    "noc_feed_ack_seconds",
    "From the write of a change until a client confirmed it; the slowest of each confirmation.",
    buckets=_SECONDS,
)
LAYER_REBUILDS = Counter(
    "noc_feed_layer_rebuilds_total", "How often a channel layer that stayed silent was left."
)

# There from the start with 0: an alert on the increase of a counter does not see its first value.
for _cause in ("lost", "tail", "jump"):
    GAPS.labels(_cause)
for _purpose in ("page", "gap"):
    LOG_READS.labels(_purpose)
for _code in (bye.DRAIN, bye.SLOW, bye.RATE, bye.OVERLOADED, bye.EXPIRED, bye.REVOKED, bye.LIMIT):
    CLOSED.labels(_code)

# What is counted for every frame of every socket is kept in plain numbers by the one thread that
# sends: prometheus_client's own counters take a lock each time, which costs more than the sending.


class Sent(Collector):
    """Event frames handed to sockets, by type, old and new status."""

    def __init__(self) -> None:
        self._counts: defaultdict[tuple[str, str, str], int] = defaultdict(int)

    def count(self, events: Iterable["Event"]) -> None:
        for event in events:
            self._counts[event.labels] += 1

    def collect(self) -> Iterator[CounterMetricFamily]:
        names = ["consumer", "message_type", "old_status", "new_status"]
        family = CounterMetricFamily(
            "websocket_message_sent", "Event frames handed to sockets.", labels=names
        )
        for labels, count in list(self._counts.items()):
            family.add_metric(["noc", *labels], count)
        yield family


class Delivery(Collector):
    """From the write of a change until its frame was handed to the socket; live frames only."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_SECONDS) + 1)
        self._sum = 0.0

    def observe(self, events: Iterable["Event"], now: float) -> None:
        """Measure events that were sent ``now``, in seconds since 1970."""
        for event in events:
            seconds = max(0.0, now - event.written)  # the clocks of two machines may differ
            self._counts[bisect_left(_SECONDS, seconds)] += 1
            self._sum += seconds

    def collect(self) -> Iterator[HistogramMetricFamily]:
        total, buckets = 0, []
        for bound, count in zip((*map(float, _SECONDS), "+Inf"), self._counts, strict=True):
            total += count
            buckets.append((str(bound), total))
        yield HistogramMetricFamily(
            "websocket_message_delivery_seconds",
            "From the write of a change until its frame was handed to the socket; live only.",
            buckets=buckets,
            sum_value=self._sum,
        )


SENT, DELIVERY = Sent(), Delivery()
REGISTRY.register(SENT)
REGISTRY.register(DELIVERY)


def view(request: HttpRequest) -> HttpResponse:
    """Answer a scrape from one of ``METRICS_CLIENTS``, and staff who look at it in a browser."""
    if not (is_scraper(request) or is_staff(request)):
        raise PermissionDenied
    return HttpResponse(render(REGISTRY), content_type=CONTENT_TYPE_LATEST)


def is_scraper(request: HttpRequest) -> bool:
    """Tell whether the request comes from one of ``METRICS_CLIENTS``; asks no database."""
    try:
        client = ip_address(request.META.get("REMOTE_ADDR", ""))
    except ValueError:
        return False
    client = getattr(client, "ipv4_mapped", None) or client
    return any(client in ip_network(network) for network in settings.METRICS_CLIENTS)


def is_staff(request: HttpRequest) -> bool:
    """Tell whether somebody of the staff is logged in."""
    return request.user.is_active and request.user.is_staff
