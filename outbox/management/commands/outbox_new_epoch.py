from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from outbox.epoch import renew


class Command(BaseCommand):
    help = "Give the event log a new epoch: every reader takes a new snapshot."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reason", required=True, help="why; it is logged")

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(f"epoch {renew(reason=options['reason'])}")
