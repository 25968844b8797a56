"""Whether the canary arrives: the check of its last runs."""

from datetime import timedelta

from django.conf import settings
from django.utils import timezone

from apps.noc.health import fixes
from apps.noc.health.models import Canary
from apps.noc.health.result import Finding, State, first_line, not_asked, of, ok, warn

LATE_SECONDS = 180.0  # three runs
SLOW_SECONDS = 5.0


def canary() -> Finding:
    """Did the last changes that tested the whole way arrive?"""
    runs = list(Canary.objects.order_by("-pk")[:3])
    now = timezone.now()
    # One that is still on its way tells nothing yet.
    done = [run for run in runs if run.seconds is not None or now - run.sent_at > _CUT_SHORT]
    if not done:
        return not_asked("none has flown yet; beat sends one every minute")
    last, age = done[0], (now - done[0].sent_at).total_seconds()
    if age > LATE_SECONDS:
        return warn(
            f"the last one flew {age:.0f} s ago",
            why="it should every minute, so nobody knows whether changes arrive",
            fix=fixes.start("beat"),
        )
    if last.stage == Canary.Stage.RECEIVED:
        state = State.WARN if (last.seconds or 0.0) > SLOW_SECONDS else State.OK
        return of(
            state,
            f"{last.seconds:.2f} s from save to websocket, {age:.0f} s ago",
            why="changes reach the pages late",
            fix=fixes.manage("noc_doctor"),
        )
    if last.stage == Canary.Stage.PUBLISHED and not settings.FEED_URL:
        return ok(f"{last.seconds:.2f} s from save to channel layer; NOC_FEED_URL is not set")
    lost = [run for run in done if run.stage != Canary.Stage.RECEIVED]
    return of(
        State.FAIL if len(lost) > 1 else State.WARN,
        f"the last one was {last.stage} and came no further: "
        + (first_line(last.error) or "cut short"),
        why="a change does not reach a websocket" + (" again and again" if len(lost) > 1 else ""),
        fix=_FREE_WAY[Canary.Stage(last.stage)](),
    )


_FREE_WAY = {  # by the last stage that was reached
    Canary.Stage.WRITTEN: lambda: fixes.start("worker"),
    Canary.Stage.RECORDED: lambda: fixes.server("redis", "redis-layer"),
    Canary.Stage.PUBLISHED: lambda: fixes.start("web"),
}

_CUT_SHORT = timedelta(seconds=30)
