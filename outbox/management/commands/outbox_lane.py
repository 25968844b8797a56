from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from outbox import controls
from outbox.errors import OutboxError
from outbox.operator import operator


class Command(BaseCommand):
    help = (
        "Pause, resume or skip the publishing of a lane. Recording goes on, and readers of the log"
        " miss nothing; outbox_status lists the lanes."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=["pause", "resume", "skip"])
        parser.add_argument("lane", type=int)
        parser.add_argument("--reason", required=True, help="why; it is kept with your name")

    def handle(self, *args: Any, **options: Any) -> None:
        lane: int = options["lane"]
        how: dict[str, Any] = {"actor": operator(), "reason": options["reason"]}
        try:
            self.stdout.write(self._act(options["action"], lane, how))
        except OutboxError as error:
            raise CommandError(str(error)) from error

    def _act(self, action: str, lane: int, how: dict[str, Any]) -> str:
        if action == "skip":
            return f"lane {lane}: {controls.skip(lane, **how)} events skipped"
        if action == "pause":
            changed, otherwise = controls.pause(lane, **how), "was paused already"
        else:
            changed, otherwise = controls.resume(lane, **how), "was neither paused nor failing"
        return f"lane {lane} {f'is {action}d' if changed else otherwise}"
