"""``settings.OUTBOX`` as one typed object, validated when it is built."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from outbox.errors import BadSettings
from outbox.log import LogRow

# What went where: {stream: {target: [first seq, last seq, count]}}; None: not worth a note.
Targets = Mapping[str, Mapping[str, Sequence[int]]]
Sink = Callable[[Sequence[LogRow]], Targets | None]
Judge = Callable[[LogRow], str | None]
MovedOn = Callable[[Sequence[LogRow]], Mapping[UUID, str]]
Waker = Callable[[Collection[int] | None], None]


@dataclass(frozen=True, kw_only=True)
class OutboxSettings:
    sink: str  # dotted path: deliver(rows) -> Targets or None; raises, see outbox.handover
    waker: str  # dotted path: nudge(lanes or None) -> None; never raises
    judge: str = ""  # dotted path: judge(row) -> why it can never be delivered, or None; pure
    moved_on: str = ""  # dotted path: moved_on(rows) -> {event_id: why a replay would be stale}
    lanes: int = 8  # drained in parallel; changing it needs `outbox_relane`
    batch: int = 500  # messages per round, 1 to 5,000
    push_rounds: int = 4  # an unpublished backlog above this many batches is left to the readers
    partitions_ahead_days: int = 7  # daily partitions of the log that exist before their day
    keep_days: int = 90  # the log's partitions older than this are dropped
    keep_failures_days: int = 90  # attempts and resolved dead letters older than this are deleted
    failpoints: str = ""  # for tests alone, see outbox.failpoints

    def __post_init__(self) -> None:
        for name, low, high in (
            ("lanes", 1, 1024),
            ("batch", 1, 5_000),
            ("push_rounds", 1, 1_000),
            ("partitions_ahead_days", 1, 60),
            ("keep_days", 1, 36_500),
            ("keep_failures_days", 1, 36_500),
        ):
            value = getattr(self, name)
            if type(value) is not int or not low <= value <= high:
                raise BadSettings(
                    f"OUTBOX[{name!r}] is {value!r}: use a whole number, {low:,} to {high:,}"
                )
        for name in ("sink", "waker"):
            value = getattr(self, name)
            if not isinstance(value, str) or not value:
                raise BadSettings(f"OUTBOX[{name!r}] is {value!r}: give a dotted path")

    @cached_property
    def deliver(self) -> Sink:
        sink: Sink = import_string(self.sink)
        return sink

    @cached_property
    def verdict(self) -> Judge | None:
        judge: Judge | None = import_string(self.judge) if self.judge else None
        return judge

    @cached_property
    def superseded(self) -> MovedOn | None:
        moved_on: MovedOn | None = import_string(self.moved_on) if self.moved_on else None
        return moved_on

    @cached_property
    def nudge(self) -> Waker:
        waker: Waker = import_string(self.waker)
        return waker


@lru_cache(maxsize=1)
def outbox_settings() -> OutboxSettings:
    """
    Return ``settings.OUTBOX``, read once.

    Raises:
        BadSettings: a key is unknown or missing, or a value is out of its range.
    """
    given: Mapping[str, Any] = getattr(settings, "OUTBOX", {})
    known = {field.name for field in fields(OutboxSettings)}
    if unknown := set(given) - known:
        raise BadSettings(f"OUTBOX has unknown keys {sorted(unknown)}; known are {sorted(known)}")
    if missing := {"sink", "waker"} - set(given):
        raise BadSettings(f"OUTBOX lacks {sorted(missing)}: give each a dotted path")
    return OutboxSettings(**given)


def _forget(*, setting: str, **_: object) -> None:
    if setting == "OUTBOX":
        outbox_settings.cache_clear()


setting_changed.connect(_forget, dispatch_uid="outbox.conf")
