"""Checks of what beat is to send: rows that the admin may edit, and so may break."""

from django_celery_beat.models import PeriodicTask

from apps.noc.health import fixes
from apps.noc.health.result import Check, Finding, fail, ok, warn

# What worker/schedule.py makes, with what is lost without it. A test compares them.
NEEDED = {
    "outbox.sweep": "what no worker was nudged for waits for the timers",
    "outbox.verify_log": "a restored database keeps the old epoch",
    "outbox.maintain_partitions": "no partition is made",
    "outbox.forget": "nothing old is dropped",
    "noc.canary": "nobody knows whether changes arrive",
    "noc.roll_up": "the charts stand still",
}


def rows() -> Finding:
    """Is there an enabled row for each task that beat has to send?"""
    found: dict[str, list[PeriodicTask]] = {}
    for row in PeriodicTask.objects.select_related("interval"):
        found.setdefault(row.task, []).append(row)
    absent = [task for task in NEEDED if task not in found]
    if absent:
        return fail(
            f"no row for {', '.join(absent)}",
            why=NEEDED[absent[0]],
            fix=f"beat makes missing rows when it starts: {fixes.start('beat')}",
        )
    disabled = [task for task in NEEDED if not any(row.enabled for row in found[task])]
    if disabled:
        code = (
            "from django_celery_beat.models import PeriodicTask, PeriodicTasks;"
            f" PeriodicTask.objects.filter(task__in={disabled!r}).update(enabled=True);"
            " PeriodicTasks.update_changed()"
        )
        return fail(
            f"disabled: {', '.join(disabled)}",
            why=NEEDED[disabled[0]],
            fix=fixes.shell(code),
        )
    doubled = [task for task in NEEDED if sum(row.enabled for row in found[task]) > 1]
    if doubled:
        return warn(
            f"more than one row for {', '.join(doubled)}",
            why="each is sent as often",
            fix="/admin/django_celery_beat/periodictask/: leave one enabled",
        )
    return ok(f"{len(NEEDED)} rows, enabled")


SCHEDULE: dict[str, Check] = {"periodic tasks": rows}
