"""Traces: nothing without the setting; with it, from the caller's span to the worker's."""

import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
import redis
from django.conf import settings
from django.test import Client, override_settings
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from structlog.contextvars import get_contextvars

from apps.noc import tracing
from apps.tenancy.tokens import new_token
from outbox.context import current
from outbox.errors import LaneMissing
from outbox.models import LogEntry
from tests.integration.conftest import World
from tests.integration.log_lines import lines_of
from tests.integration.processes import ROOT, WORKER, celery, until
from tests.integration.test_broadcast import row
from tests.integration.web_process import WebProcess
from worker import wake

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CALLER = f"00-{TRACE}-{PARENT}-01"
MIDDLEWARE = ["project.tracing.trace", *settings.MIDDLEWARE]


class Spans:
    """What was traced in this process."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        tracing.start(SimpleSpanProcessor(self._exporter))

    def all(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def one(self) -> ReadableSpan:
        [span] = self.all()
        return span


@pytest.fixture
def spans() -> Iterator[Spans]:
    try:
        with override_settings(MIDDLEWARE=MIDDLEWARE):
            yield Spans()
    finally:
        tracing.stop()


def parent_of(span: ReadableSpan) -> tuple[str, str] | None:
    found = span.parent
    return found and (f"{found.trace_id:032x}", f"{found.span_id:016x}")


def links_of(span: ReadableSpan) -> list[str]:
    return [f"{link.context.trace_id:032x}-{link.context.span_id:016x}" for link in span.links]


def own_traceparent(span: ReadableSpan) -> str:
    context = span.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-01"


class TestRequest:
    def test_continues_the_trace_of_its_caller(self, world: World, spans: Spans) -> None:
        Client().get("/livez?token=x", headers={"traceparent": CALLER, "X-Request-ID": "r-1"})

        span = spans.one()
        assert (span.name, span.kind.name) == ("GET livez", "SERVER")
        assert parent_of(span) == (TRACE, PARENT)
        assert dict(span.attributes) == {
            "http.request.method": "GET",
            "url.path": "/livez",
            "http.route": "livez",
            "http.response.status_code": 200,
            "noc.request_id": "r-1",
        }
        assert span.status.status_code is StatusCode.UNSET

    @pytest.mark.parametrize("given", ["", "x", CALLER[:-1], f"00-{'0' * 32}-{PARENT}-01"])
    def test_begins_a_trace_without_a_valid_one(
        self, database: None, spans: Spans, given: str
    ) -> None:
        Client().get("/livez", headers={"traceparent": given})

        assert parent_of(spans.one()) is None

    def test_puts_its_span_into_the_events(
        self, world: World, ticket: Any, api: Any, captured: Any, spans: Spans
    ) -> None:
        captured()
        api(world.a.operator).patch(
            f"/api/v1/tickets/{ticket.pk}/",
            {"description": "x"},
            format="json",
            headers={"traceparent": CALLER},
        )

        span = spans.one()
        assert span.name == "PATCH api/v1/tickets/<int:ticket_id>/"
        [event] = captured()
        assert event.context["traceparent"] == own_traceparent(span)
        assert set(event.context) == {"actor", "request_id", "traceparent"}
        assert current() == {}
        assert get_contextvars() == {}

    def test_that_fails_says_so(self, database: None, spans: Spans) -> None:
        refused = ["project.tracing.trace", "tests.integration.test_tracing.broken"]
        with override_settings(MIDDLEWARE=refused):
            Client(raise_request_exception=False).get("/livez")

        assert spans.one().status.status_code is StatusCode.ERROR
        assert spans.one().attributes["http.response.status_code"] == 500

    def test_of_an_unknown_method_has_no_name_of_the_callers(
        self, database: None, spans: Spans
    ) -> None:
        Client().generic("HUNTER2", "/livez")

        assert spans.one().name == "_OTHER livez"


def broken(get_response: Any) -> Any:
    """A middleware whose requests all fail."""

    def middleware(request: Any) -> Any:
        raise ValueError("hunter2")

    return middleware


class TestPublishing:
    def test_links_to_each_request_once_and_to_nothing_invalid(self, spans: Spans) -> None:
        other = CALLER.replace("4bf9", "5bf9")
        contexts: list[Any] = [
            {"traceparent": CALLER},
            *({}, None, [], {"traceparent": 7}, {"traceparent": "x"}),
            {"traceparent": CALLER},
            {"traceparent": other},
        ]

        with tracing.publishing([replace(row(1), context=each) for each in contexts]):
            pass

        span = spans.one()
        assert links_of(span) == [CALLER[3:-3], other[3:-3]]
        assert span.attributes == {"messaging.batch.message_count": 8}

    def test_is_not_linked_to_more_than_a_span_may_hold(self, spans: Spans) -> None:
        rows = [
            replace(row(n), context={"traceparent": f"00-{n:032x}-{PARENT}-01"})
            for n in range(1, 500)
        ]

        with tracing.publishing(rows):
            pass

        assert len(spans.one().links) == tracing.MAX_LINKS

    def test_that_fails_says_so_without_the_words_of_the_error(self, spans: Spans) -> None:
        with pytest.raises(ValueError, match="hunter2"), tracing.publishing([row(1)]):
            raise ValueError("hunter2")

        span = spans.one()
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes["error.type"] == "ValueError"
        assert "hunter2" not in span.to_json()

    def test_is_the_sink_of_the_worker(self, database: None, spans: Spans) -> None:
        from worker.tracing import deliver

        with override_settings(CHANNEL_LAYERS={}):
            deliver([row(1)])

        assert spans.one().name == "publish"


class TestTask:
    def test_has_a_span_that_ends_with_it(self, database: None, spans: Spans) -> None:
        import worker.tracing  # noqa: F401  (connects the signals)
        from worker.tasks import drain

        drain.apply(kwargs={"lane": 1})
        failed = drain.apply(kwargs={"lane": 9999})

        assert isinstance(failed.result, LaneMissing)
        good, bad = spans.all()
        assert (good.name, good.kind.name) == ("outbox.drain", "CONSUMER")
        assert good.status.status_code is StatusCode.UNSET
        assert bad.status.status_code is StatusCode.ERROR
        assert bad.attributes["error.type"] == "LaneMissing"
        assert bad.parent is None
        assert get_contextvars() == {}


class Collector:
    """Takes spans by OTLP over HTTP."""

    def __init__(self) -> None:
        spans: list[tuple[str, Any]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                for of in ExportTraceServiceRequest.FromString(body).resource_spans:
                    service = next(
                        each.value.string_value
                        for each in of.resource.attributes
                        if each.key == "service.name"
                    )
                    spans.extend((service, span) for part in of.scope_spans for span in part.spans)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._spans = spans
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1/traces"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def of(self, service: str, name: str) -> list[Any]:
        return [span for by, span in self._spans if (by, span.name) == (service, name)]

    def linked(self, name: str, to: str) -> Any:
        """Return the worker's span of this name that is linked to that one alone."""
        for span in self.of("worker", name):
            if [f"{link.trace_id.hex()}-{link.span_id.hex()}" for link in span.links] == [to]:
                return span
        return None

    def at(self, name: str, span_id: bytes) -> Any:
        """Return the worker's span of this name and id."""
        return next((span for span in self.of("worker", name) if span.span_id == span_id), None)

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    started = Collector()
    yield started
    started.stop()


@contextmanager
def traced(
    collector: Collector, redis_url: str, folder: Path, **options: object
) -> Iterator[tuple[WebProcess, subprocess.Popen[bytes]]]:
    """A web process and a worker that listens, which send to the collector; named web, worker."""
    options |= {"OTEL_ENDPOINT": collector.url, "LOG_FORMAT": "json", "redis_url": redis_url}
    log = folder / "worker.log"
    with (
        closing(WebProcess(folder / "web.log", NOC_INSTANCE="web", **options)) as web,
        celery("--quiet", *WORKER, log=log, NOC_INSTANCE="worker", **options) as worker,
    ):
        until(lambda: lines_of(log, logger="celery.apps.worker"), seconds=60)
        yield web, worker


class TestProcesses:
    def test_send_spans_that_lead_from_the_caller_to_the_broadcast(
        self, collector: Collector, world: World, ticket: Any, redis_url: str, tmp_path: Path
    ) -> None:
        path = f"/api/v1/tickets/{ticket.pk}/status/"
        name = "POST api/v1/tickets/<int:ticket_id>/status/"
        headers = {
            "Authorization": f"Token {new_token(world.a.operator)}",
            "traceparent": CALLER,
            "X-Request-ID": "traced",
        }
        with traced(collector, redis_url, tmp_path, OTEL_BSP_SCHEDULE_DELAY=100) as (web, _):
            assert post(web, path, {"status": "IN_PROGRESS"}, headers) == 200
            [served] = until(lambda: collector.of("web", name), what="the request's span")
            own = f"{TRACE}-{served.span_id.hex()}"
            published = until(lambda: collector.linked("publish", own), what="the publisher's span")
            tasks = until(
                lambda: collector.at("outbox.drain", published.parent_span_id),
                what="the task's span",
            )

        assert (served.trace_id.hex(), served.parent_span_id.hex()) == (TRACE, PARENT)
        entry = LogEntry.objects.get(context__request_id="traced")
        assert entry.context["traceparent"] == f"00-{own}-01"
        assert tasks.trace_id == published.trace_id != served.trace_id
        [line] = lines_of(tmp_path / "web.log", event="Request", request_id="traced")
        assert line["trace_id"] == TRACE

    def test_send_what_is_left_when_they_end(
        self, collector: Collector, world: World, redis_url: str, tmp_path: Path
    ) -> None:
        # By the clock nothing would be sent for an hour.
        with (
            traced(collector, redis_url, tmp_path, OTEL_BSP_SCHEDULE_DELAY=3_600_000) as both,
            redis.Redis.from_url(redis_url) as client,
        ):
            wake.send([wake.ANY])
            until(lambda: not client.exists("noc:wake:any"), what="the sweep was taken")
            both[1].terminate()
            both[1].wait(60)

        assert collector.of("web", "GET livez")
        assert collector.of("worker", "outbox.sweep")


WITHOUT = "import sys; sys.modules['opentelemetry'] = None;"  # as where it is not installed
PROGRAMS = """
import project.asgi, worker.app
worker.app.app.loader.import_default_modules()
from outbox.conf import outbox_settings
outbox_settings().deliver, outbox_settings().nudge
print([name for name in sys.modules if name.endswith("tracing") or name.startswith("opentel")])
"""


def python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", WITHOUT + program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )


class TestWithoutTheSetting:
    def test_nothing_of_opentelemetry_is_needed_or_imported(self) -> None:
        done = python(PROGRAMS)

        assert done.stdout == "['opentelemetry']\n", done.stderr  # the mark that it is not there
        assert not [name for name in settings.MIDDLEWARE if "tracing" in name]
        assert settings.OUTBOX["sink"] == "apps.noc.broadcast.deliver"


class TestSetting:
    def test_is_refused_where_the_extra_is_not_installed(self) -> None:
        done = python("import project.settings", OTEL_ENDPOINT="http://127.0.0.1:9/v1/traces")

        assert re.search(r"OTEL_ENDPOINT is set, .* requirements-otel\.txt", done.stderr)


def post(web: WebProcess, path: str, body: Any, headers: dict[str, str]) -> int:
    asked = Request(  # noqa: S310 - ours
        f"{web.http}{path}",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **headers},
    )
    with urlopen(asked, timeout=30) as answer:  # noqa: S310 - ours
        return int(answer.status)
