"""The figures above the lists: what is dead, what waits, and whether anybody works."""

from dataclasses import dataclass

from apps.noc.failures.letters import MOST
from apps.noc.failures.scope import Scope
from outbox import heartbeat, status
from outbox.models import DeadLetter, Stream

LATE_SECONDS, BAD_SECONDS = 15, 60  # of a heartbeat, which is written every five seconds
WAITING_SECONDS, LONG_SECONDS = 5, 30  # of the oldest message; above 30 s the worker is unhealthy
FINE, WARNING, BAD = "fine", "warning", "bad"


@dataclass(frozen=True)
class Tile:
    """One figure; ``level`` is said by ``note`` too, never by colour alone."""

    name: str
    label: str
    value: str
    note: str
    level: str = FINE


def tiles(scope: Scope) -> list[Tile]:
    """
    Return the figures for a user: the dead and the retrying ones of their scope; the others are
    of the whole system, and tell nothing of any tenant.
    """
    lanes = status.lanes()
    stopped = [lane for lane in lanes if lane.paused or lane.publish_failures]
    if scope.stream is None:
        retrying = sum(lane.unpublished for lane in stopped)
    else:
        retrying = _behind(scope.stream, [lane.lane for lane in stopped])
    pending = sum(lane.pending for lane in lanes)
    more = "+" if any(lane.pending >= status.COUNT_LIMIT for lane in lanes) else ""
    oldest = max((lane.oldest_seconds or 0 for lane in lanes), default=0)
    return [
        _dead(scope),
        Tile(
            "retrying",
            "Retrying",
            f"{retrying:,}",
            f"lanes paused or failing: {len(stopped)}" if stopped else "no lane is paused",
            WARNING if retrying or stopped else FINE,
        ),
        Tile("pending", "Pending", f"{pending:,}{more}", "not recorded yet, all tenants"),
        Tile(
            "oldest",
            "Oldest pending",
            age(oldest) if pending else "-",
            _waits(oldest) if pending else "nothing waits",
            level(oldest, WAITING_SECONDS, LONG_SECONDS) if pending else FINE,
        ),
        *_beats(),
    ]


def _dead(scope: Scope) -> Tile:
    dead = scope.dead_letters().filter(state=DeadLetter.State.DEAD)[: MOST + 1].count()
    shown = f"{MOST:,}+" if dead > MOST else f"{dead:,}"
    note = "to be replayed or discarded" if dead else "nothing is dead"
    return Tile("dead", "Dead", shown, note, BAD if dead else FINE)


def _behind(stream: str, stopped: list[int]) -> int:
    found = Stream.objects.filter(name=stream, lane__in=stopped).first()
    return found.last_seq - found.published_seq if found else 0


def _beats() -> list[Tile]:
    ages = heartbeat.ages()
    shown = []
    for name, label in ((heartbeat.TIMER, "Workers"), (heartbeat.SWEEP, "Beat")):
        seconds = ages.get(name)
        if seconds is None:
            shown.append(Tile(name, label, "never", "no sign of life yet", BAD))
            continue
        how = level(seconds, LATE_SECONDS, BAD_SECONDS)
        note = {FINE: "alive", WARNING: "late", BAD: "no sign of life"}[how]
        shown.append(Tile(name, label, f"{age(seconds)} ago", note, how))
    return shown


def _waits(seconds: float) -> str:
    return {FINE: "on its way", WARNING: "late", BAD: "nobody records it"}[
        level(seconds, WAITING_SECONDS, LONG_SECONDS)
    ]


def level(seconds: float, late: float, bad: float) -> str:
    return BAD if seconds > bad else WARNING if seconds > late else FINE


def age(seconds: float) -> str:
    """Return a time span like ``4 s``, ``12 min``, ``3 h``, ``2 d``."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(max(seconds, 0))} s"
