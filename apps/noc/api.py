"""The board's start and the log over HTTP: the snapshot, and the events after it."""

import json
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apps.helpdesk import rows
from apps.helpdesk.api import INCLUDE, visible, with_acknowledgement
from apps.helpdesk.counts import one_moment
from apps.helpdesk.events import DESCRIPTION_CHARACTERS
from apps.helpdesk.status import OPEN
from apps.noc.feed.conf import feed_settings
from apps.noc.feed.cursor import Cursor, reset_reason
from apps.noc.feed.polls import MOST_SECONDS, POLL, Place, Poll, TooManyPolls
from apps.noc.feed.wire import event_of
from apps.tenancy.http.bodies import BIGGEST_ID, Known, Whole
from apps.tenancy.http.openapi import ProblemShape
from apps.tenancy.http.paging import MAX_LIMIT, query
from apps.tenancy.http.problems import CONTENT_TYPE, Problem
from apps.tenancy.http.scoped import ScopedView
from apps.tenancy.streams import stream_of
from outbox import log

WALK_EVENTS = 5_000  # a page of a narrow scope looks at no more than this

RESET = {
    "epoch": "This log was replaced: take a new snapshot and go on after its seq.",
    "ahead": "after_seq lies beyond the log: take a new snapshot and go on after its seq.",
    "trimmed": "These events are no longer kept: take a new snapshot and go on after its seq.",
    "scope": "You see other sites than before: take a new snapshot and go on from there.",
}


class Snapshot(serializers.Serializer[dict[str, Any]]):
    epoch = serializers.UUIDField()
    seq = serializers.IntegerField(help_text="Go on with the events after this one.")
    scope = serializers.CharField(help_text="Names the sites that you see: for noc/events/.")
    tickets = rows.FullTicketRow(many=True)


class SnapshotView(ScopedView):
    """
    The open tickets of a board and the place in the log that they stand for.

    The head is read before the tickets, in one snapshot of the database: what they show beyond it
    comes again as an event, which the client drops by the ticket's version. Descriptions are cut as
    in the events, so that a board kept by frames equals a new snapshot.
    """

    @extend_schema(parameters=[INCLUDE], responses=Snapshot)
    def get(self, request: Request) -> Response:
        acknowledgement = with_acknowledgement(request)
        with one_moment():
            head = log.head(stream_of(self.access.tenant_id))
            open_tickets = visible(self.access).filter(status__in=OPEN).order_by("id")
            tickets = list(rows.rows(open_tickets, acknowledgement=acknowledgement))
        for ticket in tickets:
            ticket["description"] = ticket["description"][:DESCRIPTION_CHARACTERS]
        return Response(
            {
                "epoch": str(head.epoch),
                "seq": head.last_seq,
                "scope": self.access.scope,
                "tickets": tickets,
            }
        )


class EventsQuery(Known):
    after_seq = Whole(min_value=0, max_value=BIGGEST_ID, default=0)
    epoch = serializers.CharField(required=False, max_length=64)
    scope = serializers.CharField(
        required=False,
        max_length=64,
        help_text="that of the snapshot; without it a change of your sites goes unnoticed",
    )
    limit = Whole(min_value=1, max_value=MAX_LIMIT, default=100)
    wait = serializers.FloatField(
        min_value=0,
        max_value=MOST_SECONDS,
        default=0,
        help_text="seconds; with nothing to tell, it is answered when there is, or after these",
    )


class Events(serializers.Serializer[dict[str, Any]]):
    results = serializers.ListField(child=serializers.DictField())
    head = serializers.IntegerField()
    epoch = serializers.UUIDField()
    scope = serializers.CharField()
    position = serializers.IntegerField(
        help_text="Go on with after_seq at this: beyond the last result when others were hidden."
    )


class EventsView(ScopedView):
    """The log in scope, after a number: for clients that cannot keep a websocket open."""

    @extend_schema(
        parameters=[EventsQuery], responses={200: Events, (410, CONTENT_TYPE): ProblemShape}
    )
    def get(self, request: Request) -> Response:
        asked = query(EventsQuery, request)
        stream = stream_of(self.access.tenant_id)
        head = log.head(stream)
        epoch = asked.get("epoch", str(head.epoch))
        reason = reset_reason(head, after_seq=asked["after_seq"], epoch=epoch)
        if reason not in RESET and self._sees_others(request, asked.get("scope")):
            reason = "scope"
        if reason in RESET:  # a far cursor is served page by page
            raise Problem(
                410,
                RESET[reason],
                reason=reason,
                epoch=str(head.epoch),
                head=head.last_seq,
                min_seq=head.min_seq,
            )
        cursor = Cursor(str(head.epoch), self.access.sites)
        cursor.place(asked["after_seq"], str(head.epoch))
        results = walk(stream, cursor, head=head.last_seq, limit=asked["limit"])
        if asked["wait"] and not results and cursor.position == head.last_seq:
            self._wait(request, cursor)
        return Response(
            {
                "results": results,
                "head": head.last_seq,
                "epoch": cursor.epoch,
                "scope": self.access.scope,
                "position": cursor.position,
            }
        )

    def _sees_others(self, request: Request, given: str | None) -> bool:
        """Tell whether the caller, or this poll when it began, saw other sites."""
        poll = poll_of(request)
        before = (given, None if poll is None else poll.scope)
        return any(scope not in (None, self.access.scope) for scope in before)

    def _wait(self, request: Request, cursor: Cursor) -> None:
        """Let the server wait, where it can: see Note [A poll waits outside of Django]."""
        poll = poll_of(request)
        if poll is None:
            return
        access = self.access
        place = Place(access.tenant_id, cursor.epoch, cursor.position, cursor.sites, access.scope)
        try:
            poll.wait(self.access.user_id, place)
        except TooManyPolls as error:
            most = feed_settings().polls_per_user
            detail = f"{most} polls of you wait already: end one of them."
            raise Problem(429, detail, wait=MOST_SECONDS) from error


def poll_of(request: Request) -> Poll | None:
    """Return what the server waits by; None where it cannot, or need not."""
    found: Poll | None = getattr(request._request, "scope", {}).get(POLL)
    return found


def walk(stream: str, cursor: Cursor, *, head: int, limit: int) -> list[dict[str, Any]]:
    """Move the cursor until ``limit`` visible events, the head, or ``WALK_EVENTS`` are passed."""
    results: list[dict[str, Any]] = []
    last = min(head, cursor.position + WALK_EVENTS)
    while cursor.position < last:
        page = log.read(stream, cursor.position, min(MAX_LIMIT, last - cursor.position))
        if not page or page[0].seq != cursor.position + 1:
            break  # trimmed under our hands; the next request is told
        for row in page:
            if len(results) == limit:
                return results
            frame = cursor.step(event_of(row))
            if frame is not None:
                results.append(as_read(frame.text, row))
    return results


def as_read(text: str, row: log.LogRow) -> dict[str, Any]:
    """Return an event as it is read over HTTP: its frame and the time of recording."""
    event: dict[str, Any] = json.loads(text)
    return event | {"recorded_at": rows.utc(row.recorded_at)}
