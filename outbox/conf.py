"""``settings.OUTBOX`` as one typed object, validated when it is built."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Any

from django.conf import settings
from django.core.signals import setting_changed
from django.utils.module_loading import import_string

from outbox.errors import BadSettings
from outbox.log import LogRow

Sink = Callable[[Sequence[LogRow]], None]
Waker = Callable[[Collection[int] | None], None]


@dataclass(frozen=True, kw_only=True)
class OutboxSettings:
    sink: str  # dotted path: deliver(rows) -> None; raises when the transport fails
    waker: str  # dotted path: nudge(lanes or None) -> None; never raises
    lanes: int = 8  # drained in parallel; changing it needs `outbox_relane`
    batch: int = 500  # messages per round, 1 to 5,000
    push_rounds: int = 4  # an unpublished backlog above this many batches is left to the readers
    partitions_ahead_days: int = 7  # daily partitions of the log that exist before their day
    keep_days: int = 90  # the log's partitions older than this are dropped
    failpoints: str = ""  # for tests alone, see outbox.failpoints

    def __post_init__(self) -> None:
        for name, low, high in (
            ("lanes", 1, 1024),
            ("batch", 1, 5_000),
            ("push_rounds", 1, 1_000),
            ("partitions_ahead_days", 1, 60),
            ("keep_days", 1, 36_500),
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
