"""Beat's health check: exit 0 when the sweep was sent lately, whatever process claims to do it.

Beat writes the times of its runs to the database every three minutes, not with each run, so after a
start the time is an old one for so long; rows that never ran tell when they were made.
"""

import os
import sys
from datetime import timedelta

MAX_AGE = timedelta(minutes=8)


def main() -> int:
    """Return 0, or 1 after saying when the sweep was sent last."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    import django

    django.setup()
    from django.utils import timezone
    from django_celery_beat.models import PeriodicTask

    rows = PeriodicTask.objects.filter(task="outbox.sweep", enabled=True)
    newest = max((row.last_run_at or row.date_changed for row in rows), default=None)
    if newest is not None and timezone.now() - newest < MAX_AGE:
        return 0
    sys.stderr.write(f"the sweep was last sent at {newest}\n")
    return 1


if __name__ == "__main__":
    sys.path.insert(0, os.getcwd())
    sys.exit(main())
