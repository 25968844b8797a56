"""How many beats there are, told by the sweeps that reach a worker: each names its sender.

Two beats double every periodic task. A sweep names the process that sent it, and the worker that
runs it leaves a heartbeat under that name. This sees no beat whose sweeps reach no worker: one of
another broker, or one whose sweeps expire in a queue. Two that name themselves alike, by the same
host name and process id in two containers, count as one.
"""

from django.db import connection

from outbox import heartbeat

PREFIX = "beat "
FRESH_SECONDS = 20.0  # a beat is heard of every 5 s; a restarted one has another name at once

FORGET = """
DELETE FROM outbox_heartbeat
 WHERE starts_with(name, %s) AND beaten_at < clock_timestamp() - interval '1 day'
"""


def heard(sender: str | None) -> None:
    """Note that this process, as Celery names the sender of a task, has sent a sweep."""
    heartbeat.beat(f"{PREFIX}{sender or 'unknown'}")


def alive(ages: dict[str, float]) -> list[str]:
    """Return the senders of sweeps that were heard of lately, from all heartbeats."""
    return sorted(
        name.removeprefix(PREFIX)
        for name, seconds in ages.items()
        if name.startswith(PREFIX) and seconds < FRESH_SECONDS
    )


def forget() -> None:
    """Delete the heartbeats of beats that ended more than a day ago."""
    with connection.cursor() as cursor:
        cursor.execute(FORGET, [PREFIX])
