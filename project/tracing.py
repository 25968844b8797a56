"""A span for each HTTP request, under the caller's; only in use when ``OTEL_ENDPOINT`` is set."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware
from django.utils.encoding import escape_uri_path
from opentelemetry.trace import SpanKind, StatusCode, format_trace_id
from structlog.contextvars import bound_contextvars

from apps.noc import tracing
from outbox import context
from project.around import Answered, around
from project.request_id import HEADER, MAX_PATH

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


@sync_and_async_middleware
def trace(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Stands outside of ``project.request_id``, so that the line of the request has the trace."""
    tracing.start()
    return around(get_response, _one_request)


@contextmanager
def _one_request(request: HttpRequest) -> Iterator[Answered]:
    method = request.method if request.method in _METHODS else "_OTHER"
    attributes = {
        "http.request.method": method,
        "url.path": escape_uri_path(request.path)[:MAX_PATH],
    }
    parent = tracing.caller(request.headers)
    with tracing.span(method, SpanKind.SERVER, context=parent, attributes=attributes) as span:

        def answered(response: HttpResponseBase) -> HttpResponseBase:
            span.set_attribute("http.response.status_code", response.status_code)
            span.set_attribute("noc.request_id", response.headers.get(HEADER, ""))
            if request.resolver_match is not None:
                span.set_attribute("http.route", request.resolver_match.route)
                span.update_name(f"{method} {request.resolver_match.route}")
            if response.status_code >= 500:
                span.set_status(StatusCode.ERROR)
            return response

        trace_id = format_trace_id(span.get_span_context().trace_id)
        with context(traceparent=tracing.traceparent()), bound_contextvars(trace_id=trace_id):
            yield answered
