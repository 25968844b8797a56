"""The tasks: thin, named for Flower, keyword arguments only, safe to repeat."""

from datetime import timedelta
from time import monotonic
from typing import Any

from django.utils import timezone

from apps.noc.receipts import store
from outbox import epoch, heartbeat, partitions, relay
from outbox.conf import outbox_settings
from worker import wake
from worker.app import app

DRAIN_SECONDS = 20  # a longer backlog goes on in the next task, so that lanes share the workers


@app.task(name="outbox.drain", ignore_result=True)
def drain(*, lane: int) -> None:
    """Drain one lane. Safe to repeat and to run twice at once: the lane row lock lets one in."""
    wake.clear(lane)
    if relay.drain(lane, deadline=monotonic() + DRAIN_SECONDS):
        wake.send([lane])


@app.task(name="outbox.sweep", ignore_result=True, expires=10, bind=True)
def sweep(self: Any) -> None:
    """Nudge the lanes that have work. Safe to repeat: it only looks."""
    wake.clear(wake.ANY)
    if self.request.get("periodic_task_name"):  # beat's; the others follow a write without a lane
        heartbeat.beat(heartbeat.SWEEP)
    if lanes := relay.pending_lanes():
        wake.send(lanes)


@app.task(name="outbox.verify_log", ignore_result=True, expires=60)
def verify_log() -> None:
    """Renew the epoch after a restore; look below the low water. Safe to repeat: it compares."""
    epoch.renew_if_moved()
    relay.find_below_low_water()


@app.task(name="outbox.maintain_partitions", ignore_result=True, expires=600)
def maintain_partitions() -> None:
    """Make the log's partitions ahead; drop what is older than it is kept. Safe to repeat."""
    now = timezone.now()
    partitions.ensure_ahead(now=now)
    partitions.drop_old(now=now)
    # Receipts of events that are gone; the rest of a large number is for the next hour.
    store.forget(before=now - timedelta(days=outbox_settings().keep_days))
