"""The canary: once a minute, one change goes the whole way from a save to a websocket.

It is written like any change, by a row whose insertion a trigger captures, in a tenant that nobody
else sees; see docs/adr/0017-canary-tenant.md. The socket is opened first, so what is measured is
the way and not the connect. Each run keeps how far it came and why it came no further. Several at
once do no harm: each waits for its own event.
"""

import logging
from datetime import datetime, timedelta
from time import monotonic, sleep

from django.conf import settings
from django.db import transaction

from apps.noc.health.models import Canary
from apps.noc.health.perch import perch
from apps.noc.health.watch import NotWatching, Watch
from apps.noc.receipts.models import FeedSession
from apps.tenancy.streams import stream_of
from apps.tenancy.tickets import TooManyTickets
from outbox import log
from outbox.models import LogEntry

logger = logging.getLogger(__name__)

SECONDS = 10.0  # a run waits no longer; opening the websocket has its own limit
LOOK_SECONDS = 0.1  # between two looks at the log, when there is no websocket to wait at
KEPT = timedelta(days=7)

Stage = Canary.Stage
UNWATCHED = "NOC_FEED_URL is not set, so no websocket was opened"


def run(*, seconds: float = SECONDS) -> Canary:
    """
    Write a canary and wait until it is received, ``seconds`` at most; return the run.

    Without ``settings.FEED_URL`` it goes as far as the channel layer, and says so.

    Raises:
        Error: the database failed (``django.db.Error``); there may be no row of this run.
    """
    place = perch()
    try:
        watch = Watch(settings.FEED_URL, place.ticket()) if settings.FEED_URL else None
    except (NotWatching, TooManyTickets) as error:
        return _follow(place.tenant_id, None, str(error) or type(error).__name__, seconds)
    if watch is None:
        return _follow(place.tenant_id, None, UNWATCHED, seconds)
    with watch:
        return _follow(place.tenant_id, watch, "", seconds)


def forget(*, now: datetime) -> None:
    """Delete the runs that are older than they are kept, and what their sockets left."""
    before = now - KEPT
    Canary.objects.filter(sent_at__lt=before).delete()
    for tenant_id in Canary.objects.values_list("tenant_id", flat=True)[:1]:
        FeedSession.objects.filter(tenant_id=tenant_id, closed_at__lt=before).delete()


def _follow(tenant_id: int, watch: Watch | None, error: str, seconds: float) -> Canary:
    after = log.head(stream_of(tenant_id)).last_seq
    began = monotonic()
    with transaction.atomic():
        canary = Canary.objects.create(tenant_id=tenant_id)
    try:
        if watch is not None and watch.received(canary.pk, seconds=seconds):
            return _ended(canary, Stage.RECEIVED, monotonic() - began, "")
    except NotWatching as ended:
        error = str(ended)
    # It was not seen, so tell by the log how far it came. There is time left without a websocket.
    while (stage := _stage(canary, after)) is not Stage.PUBLISHED and monotonic() < began + seconds:
        sleep(LOOK_SECONDS)
    return _ended(canary, stage, monotonic() - began, error or f"not seen within {seconds:g} s")


def _stage(canary: Canary, after: int) -> Canary.Stage:
    entry = LogEntry.objects.filter(
        stream=canary.outbox_stream(), seq__gt=after, subject=f"canary:{canary.pk}"
    ).first()
    if entry is None:
        return Stage.WRITTEN
    published = log.head(canary.outbox_stream()).published_seq >= entry.seq
    return Stage.PUBLISHED if published else Stage.RECORDED


def _ended(canary: Canary, stage: Canary.Stage, seconds: float, error: str) -> Canary:
    canary.stage, canary.seconds, canary.error = stage, seconds, error
    Canary.objects.filter(pk=canary.pk).update(stage=stage, seconds=seconds, error=error)
    if stage is not Stage.RECEIVED and error != UNWATCHED:
        logger.warning("The canary was not received", extra={"stage": stage, "error": error})
    return canary
