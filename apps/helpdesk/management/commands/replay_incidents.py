"""Replay a ServiceNow audit export; see docs/incidents.md for what its columns become."""

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from threading import Event
from time import monotonic
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from apps.helpdesk.foreground import stop_on_signals, without_a_line_per_change
from apps.helpdesk.incidents.pace import Pace
from apps.helpdesk.incidents.places import sites_of
from apps.helpdesk.incidents.reader import AuditRow, UnreadableExport, read
from apps.helpdesk.incidents.replay import Replay
from apps.helpdesk.incidents.report import Report
from apps.helpdesk.reconnect import Interrupted, outlasting

PLAIN_LINE_SECONDS = 5.0
INTERRUPTED_EXIT_CODE = 130
MOST = 1_000_000_000


class Command(BaseCommand):
    help = "Create and change tickets as a ServiceNow audit export tells. Running again continues."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path)
        parser.add_argument(
            "--speed",
            type=speed,
            default=None,
            metavar="X|max",
            help="times real time; default max",
        )
        parser.add_argument(
            "--tenants", type=count, default=3, metavar="N", help="share the locations among N"
        )
        parser.add_argument("--limit", type=count, metavar="ROWS", help="stop after the first ROWS")
        parser.add_argument("--json", action="store_true", help="report as one line of JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        started = monotonic()
        try:
            export = read(options["file"])
        except UnreadableExport as error:
            raise CommandError(str(error)) from error
        rows = export.rows[: options["limit"]]
        report = Report(str(options["file"]), incidents=len({row.number for row in rows}))
        for refused in export.refused:
            report.refusals.add(refused.line, refused.reason)
        with stop_on_signals() as stop:
            try:
                self.replay(rows, report, Pace(options["speed"], stop), stop, options["tenants"])
            except Interrupted:
                report.interrupted = True
        report.seconds = monotonic() - started
        self.stdout.write(
            json.dumps(report.as_dict()) if options["json"] else "\n".join(report.lines())
        )
        if report.interrupted:
            sys.exit(INTERRUPTED_EXIT_CODE)

    def replay(
        self, rows: list[AuditRow], report: Report, pace: Pace, stop: Event, tenants: int
    ) -> None:
        locations = Counter(row.location for row in rows)
        sites = outlasting(lambda: sites_of(locations, tenants=tenants), stop=stop)
        report.tenants = sorted({site.tenant.name for site in sites.values()})
        replay = outlasting(
            lambda: Replay(rows, sites, pace=pace, stop=stop, report=report), stop=stop
        )
        with without_a_line_per_change():
            for _ in shown(replay, len(rows), Console(stderr=True)):
                pass


def speed(text: str) -> float | None:
    """Return the factor of ``--speed``, None for ``max``."""
    if text == "max":
        return None
    try:
        factor = float(text)
    except ValueError:
        factor = 0
    if not 0 < factor < float("inf"):
        raise ArgumentTypeError(f"{text!r} is neither max nor a number above 0")
    return factor


def count(text: str) -> int:
    if not (text.isdecimal() and 0 < int(text) <= MOST):
        raise ArgumentTypeError(f"{text!r} is not a whole number from 1 to {MOST:,}")
    return int(text)


def shown(rows: Iterable[AuditRow], total: int, console: Console) -> Iterator[AuditRow]:
    """Yield the rows; show a progress bar in a terminal, else a line every few seconds."""
    if not console.is_terminal:
        yield from lines_shown(rows, total, console)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("Replaying", total=total)
        for row in rows:
            progress.update(task, advance=1, description=f"{row.updated_at:%Y-%m-%d %H:%M}")
            yield row


def lines_shown(rows: Iterable[AuditRow], total: int, console: Console) -> Iterator[AuditRow]:
    due = monotonic() + PLAIN_LINE_SECONDS
    for done, row in enumerate(rows, start=1):
        if monotonic() >= due or done == total:
            console.print(
                f"{done:,} of {total:,} rows, at {row.updated_at:%Y-%m-%d %H:%M}",
                highlight=False,
                soft_wrap=True,
            )
            due = monotonic() + PLAIN_LINE_SECONDS
        yield row
