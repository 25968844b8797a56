"""Publish one event by hand: judged before, so nothing is logged that no client can be sent."""

import json
import sys
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime
from time import monotonic, sleep
from typing import Any
from uuid import UUID, uuid4

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

import outbox
from apps.noc.feed.wire import FAILED, FIELDS, MAX_BYTES, fault_of
from apps.tenancy.models import Site, Tenant
from apps.tenancy.streams import stream_of
from outbox import log
from outbox.errors import BadEvent
from outbox.operator import operator

WAIT_SECONDS = 30.0
LOOK_SECONDS = 0.1
PAGE = 500
SITES = ("site_id", "old_site_id")


class Command(BaseCommand):
    help = "Publish one event into a tenant's feed and print its event_id."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("type", help="like anomaly_detected; docs/protocol.md has them")
        parser.add_argument("--tenant", required=True, type=text, metavar="SLUG_OR_ID")
        parser.add_argument(
            "--subject",
            required=True,
            type=text,
            metavar="S",
            help="what its order is of, like anomaly:7",
        )
        parser.add_argument(
            "--site",
            type=text,
            metavar="CODE_OR_ID",
            help="fills in site_id of the payload, and site_name where the type has it",
        )
        parser.add_argument(
            "--payload", required=True, metavar="JSON", help="an object; - reads standard input"
        )
        parser.add_argument("--dry-run", action="store_true", help="judge it, and publish nothing")
        parser.add_argument(
            "--wait",
            action="store_true",
            help=f"until it has its number, {WAIT_SECONDS:.0f} s at most; prints that too",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        tenant = tenant_of(options["tenant"])
        payload = payload_of(options["payload"])
        known_type(options["type"])
        if options["site"] is not None:
            site = site_of(tenant, options["site"])
            payload = site_keys(options["type"], site) | payload
        judge(options["type"], payload, tenant, options["subject"])
        if options["dry_run"]:
            self.stdout.write("It can be published; nothing was.")
            return
        stream = stream_of(tenant.pk)
        before = log.head(stream).last_seq
        try:
            with transaction.atomic(), outbox.context(actor=operator()):
                event_id = outbox.publish(
                    options["type"], stream=stream, subject=options["subject"], payload=payload
                )
        except BadEvent as error:
            raise CommandError(str(error)) from error
        self.stdout.write(str(event_id))
        if options["wait"]:
            self.stdout.flush()
            self.stdout.write(f"seq {number_of(stream, before, event_id)}")


def text(given: str) -> str:
    """Return the argument; refuse what PostgreSQL cannot compare with."""
    if "\0" in given or any("\ud800" <= sign <= "\udfff" for sign in given):
        raise ArgumentTypeError(f"{given!r} is no text in UTF-8")
    return given


def tenant_of(given: str) -> Tenant:
    tenants = Tenant.objects.order_by("slug")
    found = tenants.filter(slug=given).first()
    if found is None and (number := _id(given)):
        found = tenants.filter(pk=number).first()
    if found is None:
        known = ", ".join(tenants.values_list("slug", flat=True)[:20]) or "none"
        raise CommandError(f"There is no tenant {given!r}; there are: {known}.")
    return found


def site_of(tenant: Tenant, given: str) -> Site:
    sites = Site.objects.filter(tenant=tenant).order_by("code")
    found = sites.filter(code=given).first()
    if found is None and (number := _id(given)):
        found = sites.filter(pk=number).first()
    if found is None:
        known = ", ".join(sites.values_list("code", flat=True)[:20]) or "none"
        raise CommandError(f"There is no site {given!r} of {tenant}; there are: {known}.")
    return found


def site_keys(type_: str, site: Site) -> dict[str, Any]:
    """Return those keys of the type that name the site; some types have no name of it."""
    keys = {"site_id": site.pk, "site_name": site.name}
    return {key: value for key, value in keys.items() if key in FIELDS[type_]}


def payload_of(given: str) -> dict[str, Any]:
    """Return the JSON object of the argument, or of standard input for ``-``."""
    try:
        read = sys.stdin.read(MAX_BYTES + 1) if given == "-" else given
        if len(read.encode(errors="surrogatepass")) > MAX_BYTES:
            raise CommandError(f"The payload is larger than {MAX_BYTES:,} bytes: publish less.")
        payload = json.loads(read, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise CommandError(f"The payload is no JSON: {error}") from error
    if not isinstance(payload, dict):
        raise CommandError("The payload is no JSON object: give one, like '{\"site_id\": null}'.")
    return payload


def known_type(type_: str) -> None:
    """Refuse what is no type, and the one that stands for rows without a valid form."""
    types = FIELDS.keys() - {FAILED}
    if type_ not in types:
        raise CommandError(f"There is no type {type_!r}; there are: {', '.join(sorted(types))}.")


def judge(type_: str, payload: dict[str, Any], tenant: Tenant, subject: str) -> None:
    """Refuse what would be shown as ``event_failed``, or names a site of another tenant."""
    if unknown := sorted(payload.keys() - FIELDS[type_].keys()):
        known = ", ".join(FIELDS[type_])
        raise CommandError(f"{type_} has no key {unknown[0]!r}; it has: {known}.")
    now, anything = datetime.now(UTC), uuid4()
    row = log.LogRow(
        stream_of(tenant.pk), 1, anything, anything, type_, subject, payload, {}, 1, None, now, now
    )
    if fault := fault_of(row):
        raise CommandError(f"No client could be sent this: {fault}.")
    for key in SITES:
        site_id = payload.get(key)
        if site_id is not None and not Site.objects.filter(tenant=tenant, pk=site_id).exists():
            raise CommandError(f"{key} is {site_id}, which is no site of {tenant}.")


def number_of(stream: str, after: int, event_id: UUID) -> int:
    """Return the number that the relay gave the event, by reading the log on from ``after``."""
    deadline = monotonic() + WAIT_SECONDS
    while True:
        for row in log.read(stream, after, PAGE):
            if row.event_id == event_id:
                return row.seq
            after = row.seq
        if monotonic() > deadline:
            raise CommandError(
                f"It is in the outbox and has no number after {WAIT_SECONDS:.0f} s: is a worker"
                " running? noc_doctor tells."
            )
        sleep(LOOK_SECONDS)


def _id(given: str) -> int | None:
    return int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")
