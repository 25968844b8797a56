"""``settings.FEED`` as one typed object, validated when it is built."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.signals import setting_changed


@dataclass(frozen=True, kw_only=True)
class FeedSettings:
    sockets_per_user: int = 20  # over all web processes
    polls_per_user: int = 20  # long polls, per process
    ring_bytes: int = 64 * 1024 * 1024  # of events kept in memory, per process
    connects_per_second: float = 500  # per process, sustained
    connect_burst: int = 2_000  # that may come at once
    slow_seconds: float = 60  # without a send that returned: the client is ended
    linger_seconds: float = 60  # how long a tenant's ring outlives its last socket
    drain_seconds: float = 10  # over which the sockets are sent away at SIGTERM

    def __post_init__(self) -> None:
        for name, low in (
            ("sockets_per_user", 1),
            ("polls_per_user", 1),
            ("ring_bytes", 1024 * 1024),
            ("connects_per_second", 0.1),
            ("connect_burst", 1),
            ("slow_seconds", 0.1),
            ("linger_seconds", 0),
            ("drain_seconds", 0),
        ):
            value = getattr(self, name)
            if type(value) not in (int, float) or not value >= low:
                raise ImproperlyConfigured(f"FEED[{name!r}] is {value!r}: use {low:,} or more")


@lru_cache(maxsize=1)
def feed_settings() -> FeedSettings:
    """
    Return ``settings.FEED``, read once.

    Raises:
        ImproperlyConfigured: a key is unknown, or a value is out of its range.
    """
    given: Mapping[str, Any] = getattr(settings, "FEED", {})
    known = {field.name for field in fields(FeedSettings)}
    if unknown := set(given) - known:
        raise ImproperlyConfigured(
            f"FEED has unknown keys {sorted(unknown)}; known are {sorted(known)}"
        )
    return FeedSettings(**given)


def _forget(*, setting: str, **_: object) -> None:
    if setting == "FEED":
        feed_settings.cache_clear()


setting_changed.connect(_forget, dispatch_uid="apps.noc.feed.conf")
