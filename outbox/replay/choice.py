"""Which events are meant: a filter over dead letters, or a slice of the log."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.backends.utils import CursorWrapper

from outbox import sql
from outbox.errors import ReplayError

DEAD_LETTERS, LOG = "dead_letters", "log"
MAX_EVENTS = 10_000  # in one replay: what somebody can still look through in a dry run

Key = int  # the id of a dead letter, or the seq of a logged event


@dataclass(frozen=True, kw_only=True)
class Choice:
    """
    A filter; a field that is None does not narrow it.

    ``stream`` and ``site_ids`` are also how a caller keeps a user to their tenant and sites: set
    them from what the user may see, never from what the user sends alone. Times are ``died_at`` of
    dead letters and ``recorded_at`` of logged events.
    """

    source: str = DEAD_LETTERS
    stream: str | None = None
    site_ids: Sequence[int] | None = None  # compared with the payload's site_id
    types: Sequence[str] | None = None
    subject: str | None = None
    reasons: Sequence[str] | None = None
    fingerprint: str | None = None
    text: str | None = None  # contained in the error, in any case
    since: datetime | None = None
    until: datetime | None = None
    first_seq: int | None = None
    last_seq: int | None = None
    event_ids: Sequence[UUID] | None = None

    def __post_init__(self) -> None:
        if self.source not in (DEAD_LETTERS, LOG):
            raise ReplayError(f"source is {self.source!r}: use {DEAD_LETTERS} or {LOG}")
        for name in ("since", "until"):
            moment: datetime | None = getattr(self, name)
            if moment is not None and moment.tzinfo is None:
                raise ReplayError(f"{name} has no time zone: write it like 2026-01-31T10:30:00Z")
        if self.source == LOG:
            self._check_log()

    def _check_log(self) -> None:
        if self.stream is None:
            raise ReplayError("delivered events are chosen of one stream: name it")
        bounded = self.event_ids is not None or any(
            None not in ends for ends in ((self.first_seq, self.last_seq), (self.since, self.until))
        )
        if not bounded:
            raise ReplayError(
                "delivered events are chosen by a range: give first_seq and last_seq, or since and"
                " until"
            )
        if self.reasons or self.fingerprint or self.text:
            raise ReplayError("reason, fingerprint and error text are those of dead letters alone")

    def filters(self) -> dict[str, Any]:
        """Return what narrows, as JSON: what is kept with the replay."""
        return {name: _plain(value) for name, value in asdict(self).items() if value is not None}

    def keys(self, cursor: CursorWrapper) -> list[Key]:
        """
        Return the keys of the chosen events, ordered by stream and seq.

        Raises:
            ReplayError: they are more than ``MAX_EVENTS``.
        """
        query = sql.CHOOSE_DEAD if self.source == DEAD_LETTERS else sql.CHOOSE_LOGGED
        cursor.execute(query, self._params())
        found = [key for (key,) in cursor.fetchall()]
        if len(found) > MAX_EVENTS:
            raise ReplayError(
                f"more than {MAX_EVENTS:,} events are chosen: narrow the filter, say in time"
            )
        return found

    def _params(self) -> Mapping[str, Any]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        lists = ("site_ids", "types", "reasons", "event_ids")
        for name in lists:
            if values[name] is not None:
                values[name] = list(values[name])
        return values | {"limit": MAX_EVENTS + 1}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(each) for each in value]
    return value
