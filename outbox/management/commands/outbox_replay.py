import json
from datetime import datetime
from time import sleep
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError, CommandParser

from outbox import replay
from outbox.errors import ReplayError
from outbox.models import Reason, Replay
from outbox.operator import operator
from outbox.replay import Choice, Plan
from outbox.replay.choice import DEAD_LETTERS, LOG
from outbox.replay.plan import DISCARD, REPLAY
from outbox.replay.progress import OUTCOMES, progress
from outbox.replay.start import RATE

LOOK_SECONDS = 0.2


class Command(BaseCommand):
    help = (
        "Send dead letters or delivered events again. With --dry-run it only shows how many, which,"
        " and what would become of them. It does the work itself and needs no worker."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_argument_group("which events; what is left out does not narrow")
        which.add_argument(
            "--log", action="store_true", help="delivered events instead of dead letters"
        )
        which.add_argument("--stream", help="like tenant:7; needed with --log")
        which.add_argument("--site", type=int, nargs="+", help="site ids")
        which.add_argument("--type", nargs="+", help="like ticket_updated")
        which.add_argument("--subject", help="like ticket:42")
        which.add_argument("--died-of", nargs="+", choices=Reason.values)
        which.add_argument("--fingerprint", help="the dead letters of one cause")
        which.add_argument("--text", help="contained in the error")
        which.add_argument("--since", type=moment, help="like 2026-01-31T10:30:00Z")
        which.add_argument("--until", type=moment)
        which.add_argument("--first-seq", type=int)
        which.add_argument("--last-seq", type=int)
        which.add_argument("--event-id", type=UUID, nargs="+")
        how = parser.add_argument_group("how")
        how.add_argument("--dry-run", action="store_true", help="change nothing")
        how.add_argument("--reason", help="why; it is kept. Needed without --dry-run")
        how.add_argument(
            "--confirm",
            metavar="SET",
            help="the set that a dry run printed; refused when it is another one by now",
        )
        how.add_argument("--force", action="store_true", help="also what its subject moved past")
        how.add_argument("--discard", action="store_true", help="put them away instead")
        how.add_argument("--rate", type=int, default=RATE, help="events per second (%(default)s)")
        how.add_argument("--no-wait", action="store_true", help="leave the work to the workers")
        how.add_argument("--json", action="store_true")
        known = parser.add_argument_group("a replay that exists")
        known.add_argument("--status", type=int, metavar="ID")
        known.add_argument("--cancel", type=int, metavar="ID")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            self._handle(options)
        except ReplayError as error:
            raise CommandError(str(error)) from error

    def _handle(self, options: dict[str, Any]) -> None:
        if (known := options["cancel"] or options["status"]) is not None:
            if options["cancel"] and not replay.cancel(known, actor=operator()):
                raise CommandError(f"replay {known} is not running: nothing was cancelled")
            self._show(known, options)
            return
        choice = choice_of(options)
        action = DISCARD if options["discard"] else REPLAY
        plan = replay.plan(choice, action=action, forced=options["force"])
        if options["dry_run"]:
            self._show_plan(plan, options)
            return
        replay_id = replay.start(
            choice,
            action=action,
            forced=options["force"],
            reason=options["reason"] or "",
            actor=operator(),
            fingerprint=options["confirm"] or plan.fingerprint,
            rate=options["rate"],
        )
        if not options["no_wait"]:
            try:
                self._work(replay_id, options)
            except KeyboardInterrupt:
                self.stderr.write(
                    f"The workers go on with it; to end it: outbox_replay --cancel {replay_id}"
                )
        self._show(replay_id, options)

    def _work(self, replay_id: int, options: dict[str, Any]) -> None:
        told = -1
        while (now := Replay.objects.get(pk=replay_id)).state == Replay.State.RUNNING:
            done = progress(now)["done"]
            if done != told and not options["json"]:
                self.stdout.write(f"{done} of {now.total}")
                told = done
            if not replay.step():
                sleep(LOOK_SECONDS)  # the rate, or another process that steps

    def _show(self, replay_id: int, options: dict[str, Any]) -> None:
        found = Replay.objects.filter(pk=replay_id).first()
        if found is None:
            raise CommandError(f"there is no replay {replay_id}")
        told = progress(found)
        if options["json"]:
            self.stdout.write(json.dumps(told))
        else:
            counts = ", ".join(f"{told[name]} {name}" for name in OUTCOMES if told[name])
            self.stdout.write(f"replay {found.pk}: {found.state}, {counts or 'nothing yet'}")
            if found.first_error:
                self.stdout.write(f"first error: {found.first_error}")
        if found.failed:
            raise CommandError(f"{found.failed} of {found.total} failed: {found.first_error}")

    def _show_plan(self, plan: Plan, options: dict[str, Any]) -> None:
        if options["json"]:
            shown = {
                "total": plan.total,
                "ready": plan.ready,
                "blocked": plan.blocked,
                "sample": [each._asdict() for each in plan.sample],
                "set": plan.fingerprint,
            }
            self.stdout.write(json.dumps(shown))
            return
        self.stdout.write(f"{plan.total} chosen, {plan.ready} would be sent")
        for why, count in plan.blocked.items():
            self.stdout.write(f"{count:>8} would not: {why}")
        for each in plan.sample:
            line = f"  {each.stream} {each.seq:>8} {each.type:<18} {each.subject:<16} "
            self.stdout.write(line + (f"{each.verdict}: {each.why}" if each.why else each.verdict))
        if plan.total > len(plan.sample):
            self.stdout.write(f"  and {plan.total - len(plan.sample)} more")
        self.stdout.write(f"the set is {plan.fingerprint}: --confirm it to send just these")


def choice_of(options: dict[str, Any]) -> Choice:
    return Choice(
        source=LOG if options["log"] else DEAD_LETTERS,
        stream=options["stream"],
        site_ids=options["site"],
        types=options["type"],
        subject=options["subject"],
        reasons=options["died_of"],
        fingerprint=options["fingerprint"],
        text=options["text"],
        since=options["since"],
        until=options["until"],
        first_seq=options["first_seq"],
        last_seq=options["last_seq"],
        event_ids=options["event_id"],
    )


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
