"""
Lockout after wrong passwords, by django-axes: one user name from one address, for some minutes.

The count is in PostgreSQL, so all web processes share it and Redis does not matter. Which
combination, and why no other, is told in docs/adr/0028-devices-and-lockout.md.
"""

from datetime import datetime
from math import ceil
from typing import Any

from axes.backends import AxesStandaloneBackend
from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone

from apps.tenancy.addresses import counted_as

UNKNOWN = "0.0.0.0"  # noqa: S104 - nothing listens there; it stands for no address


class LockoutBackend(AxesStandaloneBackend, ModelBackend):
    """
    Django's own, which refuses who is locked before it looks at the password.

    Without a request it is a command that asks, and nobody is locked.
    """

    def authenticate(
        self,
        request: HttpRequest | None,
        username: str | None = None,
        password: str | None = None,
        **more: Any,
    ) -> User | None:
        if request is not None:
            AxesStandaloneBackend.authenticate(self, request, username, password, **more)
        return ModelBackend.authenticate(self, request, username, password, **more)


def address_of(request: HttpRequest) -> str:
    """
    Return the address that wrong passwords are counted for; of IPv6 that of its network.

    The web server has put the client's there, when the proxy is one of ``FORWARDED_ALLOW_IPS``.
    """
    # A trusted proxy may name anything.
    return counted_as(request.META.get("REMOTE_ADDR", "")) or UNKNOWN


def locked_seconds(request: HttpRequest, username: str) -> int:
    """Return after how many seconds, at least one, the lock of this user name here has ended."""
    counted, now = 0, timezone.now()
    for failures, at in _attempts(request, username):
        counted += failures
        if counted >= settings.AXES_FAILURE_LIMIT:
            return max(1, ceil((at + settings.AXES_COOLOFF_TIME - now).total_seconds()))
    return 1


def forgive(request: HttpRequest, user: User) -> None:
    """Forget the wrong passwords of who has given the right one; a session's login does it too."""
    AccessAttempt.objects.filter(
        username=user.get_username(), ip_address=address_of(request)
    ).delete()


def forget_ended(limit: int) -> int:
    """Delete at most ``limit`` counts that lock nobody any more; return how many."""
    before = timezone.now() - settings.AXES_COOLOFF_TIME
    keys = AccessAttempt.objects.filter(attempt_time__lt=before).values("pk")[:limit]
    deleted: int = AccessAttempt.objects.filter(pk__in=keys).delete()[0]
    return deleted


def _attempts(request: HttpRequest, username: str) -> QuerySet[Any, tuple[int, datetime]]:
    """Newest first: one row for each kind of browser."""
    since = timezone.now() - settings.AXES_COOLOFF_TIME
    attempts: QuerySet[Any] = AccessAttempt.objects.filter(
        username=username, ip_address=address_of(request), attempt_time__gte=since
    )
    return attempts.order_by("-attempt_time").values_list("failures_since_start", "attempt_time")
