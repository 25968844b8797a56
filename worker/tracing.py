"""
Spans of tasks and of what they publish; only in use when ``OTEL_ENDPOINT`` is set.

Spans are sent by a thread, so they begin after the fork. The worker's main process, which forks
again and again, has none: what its timer publishes is in no trace.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from celery.signals import (
    task_failure,
    task_postrun,
    task_prerun,
    worker_process_init,
    worker_process_shutdown,
)
from opentelemetry.trace import Span, SpanKind, format_trace_id
from structlog.contextvars import bind_contextvars

from apps.noc import broadcast, tracing
from outbox.log import LogRow
from worker import logs  # noqa: F401 - its receivers come first: they clear what is bound here

_running: dict[str, tuple[Span, ExitStack]] = {}  # by the task's id


def deliver(rows: Sequence[LogRow]) -> Any:
    """The sink: ``apps.noc.broadcast.deliver`` in a span."""
    sink: Callable[[Sequence[LogRow]], Any] = broadcast.deliver
    with tracing.publishing(rows):
        return sink(rows)


@worker_process_init.connect
def _start(**_: Any) -> None:
    tracing.start()


@worker_process_shutdown.connect
def _stop(**_: Any) -> None:
    tracing.stop()


@task_prerun.connect
def _begin(*, task_id: str, task: Any, **_: Any) -> None:
    stack = ExitStack()
    attributes = {"celery.task": task.name, "celery.task_id": task_id}
    span = stack.enter_context(tracing.span(task.name, SpanKind.CONSUMER, attributes=attributes))
    _running[task_id] = span, stack
    if (found := span.get_span_context()).is_valid:
        bind_contextvars(trace_id=format_trace_id(found.trace_id))


@task_failure.connect
def _fail(*, task_id: str, exception: BaseException, **_: Any) -> None:
    if task_id in _running:
        tracing.fail(_running[task_id][0], exception)


@task_postrun.connect  # also after a task that failed
def _end(*, task_id: str, **_: Any) -> None:
    if task_id in _running:
        _running.pop(task_id)[1].close()
