"""Which task a log line of the worker belongs to; and that Celery leaves the log as it is set."""

from collections.abc import Mapping
from typing import Any

from celery.signals import setup_logging, task_postrun, task_prerun
from structlog.contextvars import bind_contextvars, clear_contextvars


@setup_logging.connect
def _leave_it(**_: Any) -> None:
    """Who answers this signal sets up the log; ``settings.LOGGING`` has done so already."""


@task_prerun.connect
def _bind(*, task_id: str, task: Any, kwargs: Mapping[str, Any], **_: Any) -> None:
    clear_contextvars()
    bind_contextvars(task=task.name, task_id=task_id)
    if "lane" in kwargs:
        bind_contextvars(lane=kwargs["lane"])


@task_postrun.connect  # also after a task that failed
def _clear(**_: Any) -> None:
    clear_contextvars()
