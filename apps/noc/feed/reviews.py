"""Whether the users of open sockets may still watch, and what: on every change, and regularly.

A change of rights is an event of its own stream. The layer's message about it, or a look at the
head of that stream, starts a review of those whom it concerns. Every 20 seconds all are reviewed,
which also finds what no trigger sees: a session or token whose time is over.
"""

import asyncio
import logging
import random
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import Error

from apps.noc.feed import database, grants
from apps.noc.feed.admission import Grant
from apps.noc.feed.bye import Bye
from apps.noc.feed.connection import Connection
from apps.tenancy.sessions import session_digest
from outbox import log

logger = logging.getLogger(__name__)

ACCESS_STREAM = "access"
ACCESS_GROUP = "noc_access"
EVERY_SECONDS = 20.0
AT_ONCE = 1_000  # sockets per review, in two or three queries
MANY = 500  # changes from which on everybody is reviewed instead


class Reviews:
    """
    The reviews of one hub.

    ``seen`` is the last change of rights up to which none is missing; ``noticed`` counts what was
    heard, so that a socket which was admitted meanwhile is looked at again.
    """

    def __init__(self) -> None:
        self.seen = 0
        self.noticed = 0
        self._looked = False
        self._heads = 0
        self._concerned: set[Connection] = set()
        self._everybody = False
        self._behind = False
        self._wanted = asyncio.Event()

    def changed(self, change: Mapping[str, Any], connections: Iterable[Connection]) -> None:
        """Take one change of rights: of a user, a tenant, or a session by its digest."""
        if change.get("seq") == self.seen + 1:  # else one was lost, and the next look finds it
            self.seen += 1
        self._note(change, connections)

    def see_head(self, last_seq: int) -> None:
        """Take how far the stream of changes is; what was not heard of is read from the log."""
        if not self._looked or last_seq < self._heads:  # older than every socket, or replaced
            self.seen = last_seq
            self.noticed += 1  # who is being admitted is none of everybody yet
            self._everybody = True
        self._looked = True
        self._heads = last_seq
        self._behind = last_seq > self.seen
        if self._behind or self._everybody:
            self._wanted.set()

    def again(self, connection: Connection) -> None:
        """Review one socket soon: its rights may have changed while they were read."""
        self._concerned.add(connection)
        self._wanted.set()

    async def due(self) -> None:
        """Return when a review is due."""
        try:
            async with asyncio.timeout(EVERY_SECONDS * random.uniform(0.8, 1.0)):  # noqa: S311
                await self._wanted.wait()
        except TimeoutError:
            self._everybody = True

    async def run(self, connections: set[Connection]) -> None:
        """Review whom it concerns; end who may not watch. What fails is tried again soon."""
        self._wanted.clear()
        try:
            if self._behind:
                await self._catch_up(connections)
            concerned = list(connections if self._everybody else self._concerned & connections)
            self._everybody, self._concerned = False, set()
            for start in range(0, len(concerned), AT_ONCE):
                await self._judge(concerned[start : start + AT_ONCE])
        except Error as error:
            self._everybody = True
            logger.warning(
                "Rights could not be reviewed; it is tried again",
                extra={"error": f"{type(error).__name__}: {error}"},
            )
            await asyncio.sleep(2.0)
            self._wanted.set()

    async def _judge(self, concerned: list[Connection]) -> None:
        found = await database.run(grants.review, [each.grant for each in concerned])
        for connection, verdict in zip(concerned, found, strict=True):
            if isinstance(verdict, int):
                connection.end(Bye(verdict))
            else:
                connection.regrant(verdict)

    async def _catch_up(self, connections: set[Connection]) -> None:
        """Read the changes that nobody told of."""
        self._behind = False
        changes = await database.run(log.read, ACCESS_STREAM, self.seen, MANY)
        if len(changes) == MANY or not changes:
            self._everybody = True
            self.seen = max(self.seen, self._heads)
        for change in changes:
            self.seen = max(self.seen, change.seq)
            self._note(change.payload, connections)

    def _note(self, change: Mapping[str, Any], connections: Iterable[Connection]) -> None:
        self.noticed += 1
        for connection in connections:
            if _concerns(change, connection.grant):
                self._concerned.add(connection)
        if self._concerned:
            self._wanted.set()


def _concerns(change: Mapping[str, Any], grant: Grant) -> bool:
    if "session" in change:
        return grant.kind == "session" and session_digest(grant.key) == change["session"]
    return grant.user_id == change.get("user_id") or grant.tenant_id == change.get("tenant_id")
