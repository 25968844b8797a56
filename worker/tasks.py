"""The tasks: thin, named for Flower, keyword arguments only, safe to repeat."""

import logging
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import Any

from django.utils import timezone

from apps.noc.figures import forgetting, rollup, samples
from apps.noc.health import beats, canary
from apps.noc.receipts import store
from apps.tenancy import lockout, sessions
from apps.tenancy.http import once, throttles
from outbox import epoch, heartbeat, partitions, relay, replay, retention
from outbox.conf import outbox_settings
from worker import wake
from worker.app import app

logger = logging.getLogger("worker.tasks")

ROLL_UP_SECONDS = 10  # of the 15 between two runs
FORGET_SECONDS = 30  # what is left over is for the next run
DRAIN_SECONDS = 20  # a longer backlog goes on in the next task, so that lanes share the workers


@app.task(name="outbox.drain", ignore_result=True, bind=True)
def drain(self: Any, *, lane: int) -> None:
    """Drain one lane. Safe to repeat and to run twice at once: the lane row lock lets one in."""
    wake.clear(lane)
    with heartbeat.doing(self.request.id):
        more = relay.drain(lane, deadline=monotonic() + DRAIN_SECONDS)
    if more:
        wake.send([lane])


@app.task(name="outbox.sweep", ignore_result=True, expires=10, bind=True)
def sweep(self: Any) -> None:
    """Nudge the lanes that have work. Safe to repeat: it only looks."""
    wake.clear(wake.ANY)
    if self.request.get("periodic_task_name"):  # beat's; the others follow a write without a lane
        heartbeat.beat(heartbeat.SWEEP)
        beats.heard(self.request.origin)
    if lanes := relay.pending_lanes():
        wake.send(lanes)
    if replay.due():
        advance_replays.delay()


@app.task(name="outbox.advance_replays", ignore_result=True, expires=2)
def advance_replays() -> None:
    """Send what the running replays' rates allow. Safe to repeat: one process steps at a time."""
    replay.step()


@app.task(name="outbox.verify_log", ignore_result=True, expires=60)
def verify_log() -> None:
    """Renew the epoch after a restore; look below the low water. Safe to repeat: it compares."""
    epoch.renew_if_moved()
    relay.find_below_low_water()


@app.task(name="noc.canary", ignore_result=True, expires=50)
def send_canary() -> None:
    """
    Let one change go the whole way to a websocket, 20 s at most. Safe to repeat: each is its own.

    Not in the queue of the drains, so that none waits behind it.
    """
    canary.run()


@app.task(name="noc.roll_up", ignore_result=True, expires=15)
def roll_up() -> None:
    """Bring the figures of the charts up to date. Safe to repeat: each counts and samples once."""
    samples.take()
    rollup.count(deadline=monotonic() + ROLL_UP_SECONDS)


@app.task(name="outbox.maintain_partitions", ignore_result=True, expires=600)
def maintain_partitions() -> None:
    """Make the log's partitions ahead. Safe to repeat."""
    partitions.ensure_ahead(now=timezone.now())


@app.task(name="outbox.forget", ignore_result=True, expires=600)
def forget() -> None:
    """Let go of what is older than it is kept, within a time budget. Safe to repeat."""
    now, deadline = timezone.now(), monotonic() + FORGET_SECONDS
    before = now - timedelta(days=outbox_settings().keep_days)  # receipts of events that are gone
    forgotten = {
        "failures": retention.forget_failures(now=now, deadline=deadline),
        "receipts": retention.in_batches(partial(store.forget, before=before), deadline=deadline),
        "figures": retention.in_batches(partial(forgetting.forget, now=now), deadline=deadline),
        "lockouts": retention.in_batches(lockout.forget_ended, deadline=deadline),
        "sessions": retention.in_batches(sessions.forget_expired, deadline=deadline),
        "kept_answers": retention.in_batches(once.forget, deadline=deadline),
        "throttles": retention.in_batches(throttles.forget, deadline=deadline),
    }
    canary.forget(now=now)
    beats.forget()
    # Last: it waits for who reads the log, and may give up.
    forgotten["partitions"] = len(partitions.drop_old(now=now))
    logger.info("Forgot what is old", extra=forgotten)
