"""The beat's rows: made once if missing, then the admin's to edit."""

import json
from typing import Any

from celery.signals import beat_init

# name: (task, every, period, expires after seconds)
SCHEDULE: dict[str, tuple[str, int, str, int]] = {
    "Outbox: sweep the lanes": ("outbox.sweep", 2, "seconds", 2),
    "Outbox: verify the log": ("outbox.verify_log", 60, "seconds", 60),
    "NOC: canary": ("noc.canary", 60, "seconds", 50),
    "NOC: figures of the charts": ("noc.roll_up", 15, "seconds", 15),
    "Outbox: maintain the partitions": ("outbox.maintain_partitions", 1, "hours", 600),
    "Outbox: forget what is old": ("outbox.forget", 1, "hours", 600),
}


def ensure_schedule() -> None:
    """Make the rows that are missing; what an admin changed stays."""
    from django_celery_beat.models import IntervalSchedule, PeriodicTask

    for name, (task, every, period, expires) in SCHEDULE.items():
        if PeriodicTask.objects.filter(task=task).exists():
            continue
        interval, _ = IntervalSchedule.objects.get_or_create(every=every, period=period)
        PeriodicTask.objects.create(
            name=name,
            task=task,
            interval=interval,
            expire_seconds=expires,
            kwargs=json.dumps({}),
        )


@beat_init.connect
def _on_beat_init(**_: Any) -> None:
    ensure_schedule()
