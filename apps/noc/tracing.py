"""
Optional OpenTelemetry: where the spans go, and how they follow an event between processes.

Imported only where ``settings.OTEL_ENDPOINT`` is set; nothing else imports ``opentelemetry``. A
change is not waited for, so the spans of a request and of the worker that publishes what it wrote
are not parent and child: the latter *links* to the former, whose ``traceparent`` is in each row's
context. Spans hold no error messages, since those of PostgreSQL quote rows and statements.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import (
    Link,
    NoOpTracer,
    Span,
    SpanKind,
    StatusCode,
    Tracer,
    get_current_span,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from outbox.log import LogRow

EXPORT_SECONDS = 5  # that a collector may take; it also holds up the end of a process
MAX_LINKS = 100  # of one span

_propagator = TraceContextTextMapPropagator()
_provider: TracerProvider | None = None


def start(processor: SpanProcessor | None = None) -> None:
    """
    Begin to send spans, unless it was begun before.

    Starts a thread, which a fork would lose: in a worker, call it in the children.
    """
    global _provider
    if _provider is not None:
        return
    if processor is None:
        exporter = OTLPSpanExporter(settings.OTEL_ENDPOINT, timeout=EXPORT_SECONDS)
        processor = BatchSpanProcessor(exporter)
    provider = TracerProvider(resource=Resource.create({"service.name": settings.INSTANCE}))
    provider.add_span_processor(processor)
    _provider = provider


def stop() -> None:
    """Send what is waiting, and end."""
    global _provider
    if _provider is not None:
        _provider.shutdown()
        _provider = None


@contextmanager
def span(name: str, kind: SpanKind, **options: Any) -> Iterator[Span]:
    """Run the block in a span, which fails when the block does."""
    with _tracer().start_as_current_span(
        name, kind=kind, record_exception=False, set_status_on_exception=False, **options
    ) as made:
        try:
            yield made
        except Exception as error:
            fail(made, error)
            raise


def fail(failed: Span, error: BaseException) -> None:
    """Mark the span as failed, by the kind of the error alone."""
    failed.set_attribute("error.type", type(error).__qualname__)
    failed.set_status(StatusCode.ERROR)


@contextmanager
def publishing(rows: Sequence[LogRow]) -> Iterator[None]:
    """Run the block in the span of a batch, linked to the requests that caused its rows."""
    attributes = {"messaging.batch.message_count": len(rows)}
    links = list(_links(rows))
    with span("publish", SpanKind.PRODUCER, links=links, attributes=attributes):
        yield


def caller(headers: Mapping[str, str]) -> Context:
    """Return the context that the caller's ``traceparent`` names; an invalid one is none."""
    names = ("traceparent", "tracestate")
    return _propagator.extract({name: headers[name] for name in names if name in headers})


def traceparent() -> str | None:
    """Return the ``traceparent`` of the span that runs."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent")


def _tracer() -> Tracer:
    return NoOpTracer() if _provider is None else _provider.get_tracer("noc")


def _links(rows: Iterable[LogRow]) -> Iterator[Link]:
    found: dict[str, None] = {}
    for row in rows:
        context = row.context
        given = context.get("traceparent") if type(context) is dict else None
        if type(given) is str and given not in found:
            found[given] = None
            named = get_current_span(caller({"traceparent": given})).get_span_context()
            if named.is_valid:
                yield Link(named)
                if len(found) >= MAX_LINKS:
                    return
