"""Print the events of the feed as they come, by the same rules as the page."""

import json
import os
import signal
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from knox.crypto import hash_token
from knox.models import AuthToken

from apps.noc.client import Event, FeedClient, FeedStopped, Reset
from apps.noc.tail_words import line
from apps.tenancy.models import Membership, Site
from apps.tenancy.tokens import new_token

TOKEN = "NOC_TOKEN"  # noqa: S105 - its name; of the environment, where no list of processes shows it


class Command(BaseCommand):
    help = "Print the events of the feed until Ctrl-C; tells then how to go on from there."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--site", nargs="+", metavar="CODE_OR_ID", help="only these; default all in scope"
        )
        parser.add_argument("--user", metavar="NAME", help="with a token for this run alone")
        parser.add_argument("--token-file", type=Path, metavar="F", help=f"instead of ${TOKEN}")
        parser.add_argument("--url", help="like wss://HOST/ws/noc/; default $NOC_FEED_URL")
        parser.add_argument("--after-seq", type=int, metavar="N", help="start after this event")
        parser.add_argument("--epoch", metavar="E", help="of the log that --after-seq counts in")
        parser.add_argument("--count", type=int, metavar="N", help="end after N events")
        parser.add_argument("--json", action="store_true", help="print frames, one a line")

    def handle(self, *args: Any, **options: Any) -> None:
        with token(options) as (secret, user_id), ended_by_sigterm():
            try:
                client = FeedClient(
                    feed_url(options),
                    token=secret,
                    after_seq=options["after_seq"],
                    epoch=options["epoch"],
                    sites=site_ids(options["site"], user_id),
                    on_state=self._tell,
                )
            except ValueError as error:
                raise CommandError(str(error)) from error
            try:
                self._print(client, options["count"], options["json"])
            except FeedStopped as stopped:
                raise CommandError(str(stopped)) from stopped
            except BrokenPipeError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # nobody reads any more
            except KeyboardInterrupt:
                pass
            finally:
                if client.position is not None:
                    seq, epoch = client.position
                    self._say(f"Go on from here with --after-seq {seq} --epoch {epoch}")

    def _print(self, client: FeedClient, count: int | None, as_json: bool) -> None:
        printed = 0
        if count is not None and count < 1:
            return
        for item in client:
            if isinstance(item, Reset):
                self._say(f"Events up to {item.head} are not shown ({item.reason}).")
            if as_json:
                frame = item.frame if isinstance(item, Event) else of_reset(item)
                self.stdout.write(json.dumps(frame, ensure_ascii=False))
            elif isinstance(item, Event):
                self.stdout.write(line(item.frame))
            self.stdout.flush()
            printed += isinstance(item, Event)
            if count is not None and printed >= count:
                return

    def _tell(self, state: str, reason: str) -> None:
        if state == "stale":
            self._say(f"No connection ({reason}); trying again.")
        elif state == "live":
            self._say("Live.")

    def _say(self, text: str) -> None:
        with suppress(BrokenPipeError):
            self.stderr.write(text, style_func=str)
            self.stderr.flush()


def of_reset(reset: Reset) -> dict[str, Any]:
    return {
        "type": "reset",
        "reason": reset.reason,
        "epoch": reset.epoch,
        "head": reset.head,
        "min_seq": reset.min_seq,
    }


def feed_url(options: dict[str, Any]) -> str:
    url = options["url"] or settings.FEED_URL
    if not url:
        raise CommandError(
            "Where is the feed? Give --url ws://HOST/ws/noc/, or set $NOC_FEED_URL;"
            " ./noc manage sets it."
        )
    return str(url)


@contextmanager
def token(options: dict[str, Any]) -> Iterator[tuple[str, int | None]]:
    """Yield the token with its user, when that one is known here; one that was made is deleted."""
    if options["user"] is None:
        secret = given_token(options["token_file"])
        holder = AuthToken.objects.filter(digest=hash_token(secret)).first()
        yield secret, None if holder is None else holder.user_id
        return
    user = User.objects.filter(username=options["user"]).first()
    if user is None:
        raise CommandError(f"There is no user {options['user']!r}; seed_demo prints some.")
    secret = new_token(user)
    try:
        yield secret, user.pk
    finally:
        AuthToken.objects.filter(digest=hash_token(secret)).delete()


def given_token(file: Path | None) -> str:
    try:
        found = file.read_text(encoding="utf-8") if file else os.environ.get(TOKEN, "")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"The token cannot be read: {error}") from error
    found = found.strip()
    if not (found.isascii() and found.isalnum()):
        raise CommandError(
            f"Whose events? Give --user NAME, or a token by --token-file F or ${TOKEN}."
        )
    return found


def site_ids(given: list[str] | None, user_id: int | None) -> list[int] | None:
    """Return the ids of the sites; a code is looked up among those of the user's tenant."""
    if given is None:
        return None
    codes: dict[str, int] = {}
    if user_id is not None:
        codes.update(sites_of_tenant(user_id))
    ids = []
    for each in given:
        number = int(each) if each.isascii() and each.isdigit() else None
        if each in codes:
            ids.append(codes[each])
        elif number is not None and (number in codes.values() or user_id is None):
            ids.append(number)
        elif user_id is None:
            raise CommandError(f"{each!r}: the token is not of this database, so give site ids.")
        else:
            known = ", ".join(sorted(codes)) or "none"
            raise CommandError(f"There is no site {each!r}. The user's tenant has: {known}.")
    return ids


def sites_of_tenant(user_id: int) -> list[tuple[str, int]]:
    tenants = Membership.objects.filter(user_id=user_id).values("tenant_id")
    return list(Site.objects.filter(tenant_id__in=tenants).values_list("code", "pk"))


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Take SIGTERM for Ctrl-C."""
    try:
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    except ValueError:  # not the main thread: its caller has its own way to stop
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
