"""
A sink that some events kill, and settings that use it, for real worker processes:
``DJANGO_SETTINGS_MODULE=tests.integration.deadly``.
"""

import os
import signal
from collections.abc import Sequence
from typing import Any

from project.settings import *  # noqa: F403
from project.settings import OUTBOX as OURS

OUTBOX = {**OURS, "sink": f"{__name__}.deliver"}
DEADLY = "kills its worker"


def deliver(rows: Sequence[Any]) -> Any:
    """Deliver as always; an event whose metric says so ends this process at once."""
    from apps.noc import broadcast

    if any(row.payload.get("metric") == DEADLY for row in rows):
        os.kill(os.getpid(), signal.SIGKILL)
    return broadcast.deliver(rows)
