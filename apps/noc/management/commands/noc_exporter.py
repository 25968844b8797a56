import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from prometheus_client import CollectorRegistry, generate_latest, start_http_server

from apps.noc.exporter.collector import DatabaseCollector


class Command(BaseCommand):
    help = (
        "Serve the state that PostgreSQL holds to Prometheus, until a signal comes. Run one of it."
        " It needs no login: keep its port inside your network."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--address", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=9101)
        parser.add_argument("--once", action="store_true", help="print the metrics and end")

    def handle(self, *args: Any, **options: Any) -> None:
        collector = DatabaseCollector()
        registry = CollectorRegistry()
        registry.register(collector)
        try:
            if options["once"]:
                self.stdout.write(generate_latest(registry).decode(), ending="")
            else:
                self._serve(registry, options["address"], options["port"])
        finally:
            collector.close()

    def _serve(self, registry: CollectorRegistry, address: str, port: int) -> None:
        ended = threading.Event()
        for signum in (signal.SIGTERM, signal.SIGINT):
            signal.signal(signum, lambda *_: ended.set())
        try:
            server, _ = start_http_server(port, addr=address, registry=registry)
        except OSError as error:
            raise CommandError(
                f"cannot listen on {address}:{port} ({error.strerror}): choose another --port"
            ) from error
        self.stdout.write(f"http://{address}:{server.server_port}/metrics")
        ended.wait()
        server.shutdown()
        server.server_close()
