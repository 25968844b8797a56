"""Look at everything that must be right, and say what is not, why, and what mends it."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand
from rich.console import Console

from apps.noc.health import doctor, words
from apps.noc.health.result import State


class Command(BaseCommand):
    help = "Check database, events, Redis, site and versions; exit 1 when a check fails."
    requires_system_checks: list[str] = []  # what they refuse is what is to be told here

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        groups = doctor.examine_all()
        failed = any(each.state is State.FAIL for group in groups for each in group.results)
        if options["json"]:
            checks = [
                {"group": group.title, **asdict(each)} for group in groups for each in group.results
            ]
            self.stdout.write(json.dumps({"healthy": not failed, "checks": checks}, indent=1))
        else:
            words.show(Console(highlight=False, soft_wrap=True), groups)
        if failed:
            raise SystemExit(1)
