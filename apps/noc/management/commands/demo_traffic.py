"""Let tickets change in the demo tenants, at a steady rate, until told to stop."""

import logging
import random
from argparse import ArgumentParser, ArgumentTypeError
from threading import Event
from time import monotonic
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.helpdesk.foreground import stop_on_signals, without_a_line_per_change
from apps.helpdesk.reconnect import Interrupted, outlasting
from apps.noc.traffic_desk import Desk, NobodyThere

logger = logging.getLogger(__name__)

LOG_SECONDS = 10.0
LATE_SECONDS = 1.0  # what fell due longer ago, as in an outage, is left out


class Command(BaseCommand):
    help = "Change tickets in the proportions of a real service desk. Ends on SIGTERM or Ctrl-C."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--rate", type=positive, default=2.0, metavar="R", help="changes per second; default 2"
        )
        parser.add_argument("--duration", type=positive, metavar="S", help="end after S seconds")
        parser.add_argument(
            "--tenants", nargs="+", default=[], metavar="SLUG", help="only these; default all"
        )
        parser.add_argument("--seed", type=int, help="of the dice, for the same choices again")

    def handle(self, *args: Any, **options: Any) -> None:
        dice = random.Random(options["seed"])  # noqa: S311  (traffic, no secret)
        with stop_on_signals() as stop, without_a_line_per_change():
            try:
                desk = outlasting(lambda: Desk(options["tenants"], dice), stop=stop)
                run(desk, options["rate"], options["duration"] or float("inf"), stop)
            except NobodyThere as error:
                raise CommandError(str(error)) from error
            except Interrupted:
                pass


def positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0
    if not 0 < number < float("inf"):
        raise ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def run(desk: Desk, rate: float, duration: float, stop: Event) -> None:
    """Do ``rate`` deeds per second for ``duration`` seconds, unevenly as people do."""
    started = due = logged = monotonic()
    end, done = started + duration, 0
    while not stop.wait(max(min(due, end) - monotonic(), 0)) and monotonic() < end:
        done += outlasting(desk.work, stop=stop) is not None
        now = monotonic()
        due = max(due + desk.dice.uniform(0.5, 1.5) / rate, now - LATE_SECONDS)
        if now - logged >= LOG_SECONDS:
            logger.info(
                "Demo traffic: %d changes in %.0f s, %d open tickets", done, now - logged, desk.size
            )
            done, logged = 0, now
    logger.info("Demo traffic: ended after %.0f s", monotonic() - started)
