"""The places that this process's sockets hold of their users' limited number."""

import asyncio
import logging
import uuid
from collections.abc import Collection, Sequence
from functools import partial

from django.db import Error

from apps.noc.feed import database, leases
from apps.noc.feed.batch import Batch
from apps.noc.feed.conf import feed_settings
from apps.noc.receipts import store

logger = logging.getLogger(__name__)

Place = tuple[uuid.UUID, int]  # of a connection: its session and user


class Places:
    """One statement takes, or gives back, for all sockets that come or go together."""

    BEAT_SECONDS = leases.BEAT_SECONDS

    def __init__(self, process: uuid.UUID) -> None:
        self._process = process
        self._held: dict[uuid.UUID, int] = {}
        self._known = False
        self._taking: Batch[Place, bool] = Batch(self._take)
        self._giving: Batch[uuid.UUID, None] = Batch(self._give)
        self._giving_up: asyncio.Task[None] | None = None

    async def take(self, session: uuid.UUID, user_id: int) -> bool:
        """
        Tell whether the user may have one more socket.

        Raises:
            django.db.Error: the database cannot tell.
        """
        taking = asyncio.create_task(self._taking.ask((session, user_id)))
        try:
            granted = await asyncio.shield(taking)
        except asyncio.CancelledError:
            taking.add_done_callback(partial(self._give_up, session, user_id))
            raise
        if granted:
            self._held[session] = user_id
        return granted

    def _give_up(self, session: uuid.UUID, user_id: int, taken: asyncio.Task[bool]) -> None:
        """Give back what was granted to one who had stopped waiting for it."""
        if not taken.cancelled() and taken.exception() is None and taken.result():
            self._held[session] = user_id
            self._giving_up = asyncio.create_task(self.give(session))

    async def give(self, session: uuid.UUID) -> None:
        """Give a place back; when that fails, it ends with this process."""
        if self._held.pop(session, None) is None:
            return
        try:
            await self._giving.ask(session)
        except Error as error:
            logger.warning(
                "The place of a socket was not given back",
                extra={"session": str(session), "error": f"{type(error).__name__}: {error}"},
            )

    async def beat(self) -> Collection[uuid.UUID]:
        """
        Say that this process lives; return the sessions whose places are lost.

        That happens to one which could not say so for a minute, when others have come instead.

        Raises:
            django.db.Error: the database does not answer.
        """
        if not self._known:
            return ()
        held = list(self._held.items())
        lost = await database.run(self._beat, held)
        # A place that was given back meanwhile may have been taken again with the others.
        if gone := {session for session, _ in held} - self._held.keys():
            await database.run(leases.release, list(gone))
        for session in lost:
            self._held.pop(session, None)
        return lost

    async def leave(self) -> None:
        """Give everything back at the end of the process."""
        if self._known:
            await database.run(leases.leave, self._process)

    # --- in the feed's threads ------------------------------------------------------------------

    def _take(self, wanted: Sequence[Place]) -> list[bool]:
        if not self._known:
            store.close_dead(leases.TRUSTED_SECONDS)  # before they are forgotten
            leases.enter(self._process)
            self._known = True
        try:
            granted = self._granted(wanted)
        except leases.ProcessLost:
            self._beat(list(self._held.items()))
            granted = self._granted(wanted)
        return [session in granted for session, _ in wanted]

    def _beat(self, held: Sequence[Place]) -> set[uuid.UUID]:
        store.close_dead(leases.TRUSTED_SECONDS)  # before they are forgotten
        if leases.beat(self._process) or not held:
            return set()
        granted = self._granted(held)
        return {session for session, _ in held if session not in granted}

    def _granted(self, wanted: Sequence[Place]) -> set[uuid.UUID]:
        return leases.take(self._process, wanted, feed_settings().sockets_per_user)

    def _give(self, sessions: Sequence[uuid.UUID]) -> list[None]:
        leases.release(sessions)
        return [None] * len(sessions)
