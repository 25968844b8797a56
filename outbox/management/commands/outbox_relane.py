from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from outbox.errors import BadSettings
from outbox.relane import relane


class Command(BaseCommand):
    help = "Change the number of lanes. Needs the tables' owner; restart the workers afterwards."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("lanes", type=int)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            moved = relane(options["lanes"])
        except BadSettings as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{options['lanes']} lanes; {moved} waiting messages changed lane.")
