import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from outbox import status


class Command(BaseCommand):
    help = "Show how far each lane is: pending, oldest, unpublished."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true")
        parser.add_argument(
            "--max-age-seconds",
            type=float,
            help="fail when a message has waited longer than this to be recorded",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        lanes = status.lanes()
        oldest = max((lane.oldest_seconds or 0.0 for lane in lanes), default=0.0)
        total = {
            "pending": sum(lane.pending for lane in lanes),
            "unpublished": sum(lane.unpublished for lane in lanes),
            "oldest_seconds": round(oldest, 3),
        }
        if options["json"]:
            self.stdout.write(json.dumps(total | {"lanes": [asdict(lane) for lane in lanes]}))
        else:
            self._print(lanes)
        limit = options["max_age_seconds"]
        if limit is not None and oldest > limit:
            raise CommandError(
                f"the oldest message has waited {oldest:.0f} s, more than {limit:g} s: "
                "no worker records its lane"
            )

    def _print(self, lanes: list[status.LaneStatus]) -> None:
        self.stdout.write(f"{'lane':>4} {'pending':>8} {'oldest s':>9} {'unpublished':>11}  state")
        for lane in lanes:
            state = "paused" if lane.paused else "failing" if lane.publish_failures else "ok"
            state += f" ({lane.publish_failures} failures)" if lane.publish_failures else ""
            state += f": {lane.why}" if lane.why else ""
            age = f"{lane.oldest_seconds:.1f}" if lane.oldest_seconds is not None else "-"
            self.stdout.write(
                f"{lane.lane:>4} {lane.pending:>8} {age:>9} {lane.unpublished:>11}  {state}"
            )
