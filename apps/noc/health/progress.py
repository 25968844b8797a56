"""Whether events get through: the checks of /health/pipeline, which the doctor asks too.

Health is progress, never the presence of a process: a worker that lives and records nothing is not
healthy, and a quiet system is. Each check is a few index look-ups, whatever lies in the tables.
"""

from datetime import timedelta

from django.db import connection
from django.utils import timezone

from apps.noc.health import beats, fixes
from apps.noc.health.arrival import canary
from apps.noc.health.result import (
    Check,
    Finding,
    State,
    fail,
    first_line,
    grade,
    not_asked,
    of,
    ok,
    warn,
)
from outbox import heartbeat, partitions, status
from outbox.conf import outbox_settings
from outbox.models import Lane

NO_WORKER = "no worker runs, and it would have to"

UNRECORDED_WARN, UNRECORDED_FAIL = 10.0, 30.0  # seconds; the timer alone takes 1.7
UNPUBLISHED_SECONDS = 60.0
HEARTBEAT_SECONDS = 30.0  # six times as long as one may take
PARTITIONS_AHEAD = 2  # days
COUNT_LIMIT = 1_000

# Events that were recorded and not handed over: how many, and since when.
UNPUBLISHED = """
SELECT coalesce(sum(last_seq - published_seq), 0)::bigint,
       extract(epoch FROM clock_timestamp() - min(last_recorded_at))::float8
  FROM outbox_stream WHERE published_seq < last_seq
"""
DEAD = """
SELECT count(*) FROM (SELECT FROM outbox_dead_letter WHERE state = 'dead' LIMIT %s) d
"""
TODAY_IN_DEFAULT = """
SELECT EXISTS (SELECT FROM event_log_default
                WHERE recorded_at >= date_trunc('day', clock_timestamp(), 'UTC'))
"""
MAKE_PARTITIONS = (
    "from django.utils import timezone; from outbox import partitions;"
    " partitions.ensure_ahead(now=timezone.now())"
)


def unrecorded() -> Finding:
    """How old is the oldest message that is committed and not in the log?"""
    lanes = status.lanes()
    oldest = max((lane.oldest_seconds or 0.0 for lane in lanes), default=0.0)
    waiting = f"{sum(lane.pending for lane in lanes):,}"
    if any(lane.pending >= status.COUNT_LIMIT for lane in lanes):
        waiting += " or more"
    state = grade(oldest, warn_above=UNRECORDED_WARN, fail_above=UNRECORDED_FAIL)
    if state is State.OK:
        return ok(f"{waiting} waiting, the oldest for {oldest:.0f} s")
    stuck = ", ".join(
        str(lane.lane) for lane in lanes if (lane.oldest_seconds or 0) > UNRECORDED_WARN
    )
    return of(
        state,
        f"{waiting} waiting, the oldest for {oldest:.0f} s, in lanes {stuck}",
        why="what was saved since then is on no page; it is kept, and comes when a worker drains",
        fix=fixes.start("worker"),
    )


def worker() -> Finding:
    """Does some worker's timer look at the lanes?"""
    age = heartbeat.ages().get(heartbeat.TIMER)
    if age is not None and age <= HEARTBEAT_SECONDS:
        return ok(f"looked at the lanes {age:.0f} s ago")
    return fail(
        "no worker was ever heard of" if age is None else f"no worker was heard of for {age:.0f} s",
        why="nothing moves events from the outbox into the log",
        fix=fixes.start("worker"),
    )


def beat() -> Finding:
    """Do beat's sweeps reach a worker?"""
    ages = heartbeat.ages()
    age, timer = ages.get(heartbeat.SWEEP), ages.get(heartbeat.TIMER)
    if timer is None or timer > HEARTBEAT_SECONDS:
        return not_asked(NO_WORKER)
    if age is not None and age <= HEARTBEAT_SECONDS:
        return ok(f"its sweep ran {age:.0f} s ago")
    return warn(
        "no sweep ever ran" if age is None else f"no sweep ran for {age:.0f} s",
        why="beat is down, or the broker between it and the workers; timers still find what is"
        " overdue, but no partition is made, nothing old is dropped, and no canary flies",
        fix=fixes.start("beat"),
    )


def single_beat() -> Finding:
    """Do the sweeps come from one process? See :mod:`apps.noc.health.beats` for what is unseen."""
    senders = beats.alive(heartbeat.ages())
    if not senders:
        return not_asked("no sweep was heard of")
    if len(senders) == 1:
        return ok(f"sweeps come from {senders[0]}")
    return warn(
        f"sweeps come from {len(senders)} processes: {', '.join(senders)}",
        why="every periodic task runs as many times; a beat that was restarted is gone from here"
        f" after {beats.FRESH_SECONDS:.0f} s",
        fix="end all beats but one (pid@host above, after gen); compose: one container of beat",
    )


def lanes() -> Finding:
    """Is the publishing of a lane at rest, and why?"""
    now = timezone.now()
    rows = list(Lane.objects.order_by("lane"))
    held = [lane for lane in rows if lane.paused_at is not None]
    if held:
        told = "; ".join(
            f"lane {lane.lane} by {lane.paused_by}: {first_line(lane.pause_reason)}"
            for lane in held[:3]
        )
        return warn(
            f"{len(held)} of {len(rows)} lanes stopped: {told}",
            why="somebody stopped their publishing; pages get these events by their two-second"
            " look at the log, and no group consumer gets them",
            fix=_resume(held[0].lane),
        )
    failing = [
        lane
        for lane in rows
        if lane.publish_failures and lane.publish_after and lane.publish_after > now - _SETTLING
    ]
    if failing:
        worst = max(failing, key=lambda lane: lane.publish_failures)
        return warn(
            f"{len(failing)} of {len(rows)} lanes rest after failures; lane {worst.lane} after"
            f" {worst.publish_failures}: {first_line(worst.publish_error)}",
            why="the channel layer refuses; events are recorded and pages get them by their"
            " two-second look at the log, so they come later",
            fix=fixes.server("redis", "redis-layer"),
        )
    return ok(f"{len(rows)} lanes, none at rest")


_SETTLING = timedelta(minutes=2)  # failures that were not followed by a success or another try


def unpublished() -> Finding:
    """Does what is recorded reach the channel layer?"""
    with connection.cursor() as cursor:
        cursor.execute(UNPUBLISHED)
        count, oldest = cursor.fetchone()
    limit = outbox_settings().batch * outbox_settings().push_rounds
    if count <= limit and (oldest or 0.0) <= UNPUBLISHED_SECONDS:
        return ok(f"{count} recorded and not yet published")
    return warn(
        f"{count} recorded and not published, the oldest stream for {oldest:.0f} s",
        why="pages get these events by their two-second look at the log instead of at once",
        fix=fixes.manage("outbox_status"),
    )


def dead_letters() -> Finding:
    """Are there events that could not be handed over?"""
    with connection.cursor() as cursor:
        cursor.execute(DEAD, [COUNT_LIMIT])
        (count,) = cursor.fetchone()
    if not count:
        return ok("none")
    many = f"{count:,} or more" if count == COUNT_LIMIT else f"{count:,}"
    return warn(
        f"{many} not replayed",
        why="each is an event that viewers saw as event_failed or that its sink refused",
        fix=fixes.manage("outbox_replay --dry-run"),
    )


def partitions_ahead() -> Finding:
    """Does the log have partitions for the days to come?"""
    today = timezone.now().date()
    names = set(partitions.names())
    wanted = [today + timedelta(days=offset) for offset in range(PARTITIONS_AHEAD + 1)]
    missing = [f"{day:%Y-%m-%d}" for day in wanted if f"event_log_p{day:%Y%m%d}" not in names]
    if missing:
        return of(
            State.FAIL if missing[0] == f"{today:%Y-%m-%d}" else State.WARN,
            f"no partition for {', '.join(missing)}",
            why="events of such a day go to the default partition, which is never dropped",
            fix=fixes.shell(MAKE_PARTITIONS),
        )
    with connection.cursor() as cursor:
        cursor.execute(TODAY_IN_DEFAULT)
        (strayed,) = cursor.fetchone()
    if strayed:
        return warn(
            "events of today are in the default partition",
            why="they came before their day had one; they are read like any, and are not dropped"
            " after their time",
            fix=fixes.shell(MAKE_PARTITIONS),
        )
    ahead = sum(name > f"event_log_p{today:%Y%m%d}" for name in names if name[-8:].isdigit())
    return ok(f"{ahead} days ahead, none of today in the default one")


PROGRESS: dict[str, Check] = {
    "unrecorded messages": unrecorded,
    "worker": worker,
    "beat": beat,
    "lanes": lanes,
    "unpublished events": unpublished,
    "canary": canary,
    "dead letters": dead_letters,
    "partitions": partitions_ahead,
}


def _resume(lane: int) -> str:
    return fixes.manage(f"outbox_lane resume {lane} --reason 'it may go on'")
