"""Writes what the sockets were sent and confirmed, for all of them at once."""

import copy
import uuid

from apps.noc.feed import database
from apps.noc.receipts import store
from apps.noc.receipts.store import Part

Key = tuple[uuid.UUID, int]


class Receipts:
    EVERY_SECONDS = 3.0

    def __init__(self) -> None:
        self._changed: dict[Key, Part] = {}

    def changed(self, part: Part) -> None:
        """Have ``part`` written with the next ones."""
        self._changed[part.session, part.part] = part

    async def write(self) -> None:
        """
        Write the parts that changed since the last time.

        Raises:
            django.db.Error: they could not be written, and stay for the next time.
        """
        changed, self._changed = self._changed, {}
        if not changed:
            return
        try:
            await database.run(store.save, [copy.copy(part) for part in changed.values()])
        except BaseException:
            self._changed = changed | self._changed
            raise
