"""
How often who may ask: counts per minute in PostgreSQL, one statement per request.

A window begins with the first request after the last one ended. What is refused counts too, and
changes nothing: the window ends when it ends. When the counts cannot be written, nobody is refused
for it: a throttle protects the service, and must not be what fails.

# Note [What is refused is counted too]
The framework asks the throttles last, after the login and the rights. So a wrong token and a 403
never get there, and could be tried without end. ``refused_and_uncounted`` counts them, once, from
the exception handler, which every refusal passes; who is let in is counted where they always were.
"""

import logging
from hashlib import sha256
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import Error, connection
from django.http import HttpRequest
from rest_framework.exceptions import Throttled, ValidationError
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from apps.tenancy.addresses import counted_as
from apps.tenancy.http.bodies import UserName

logger = logging.getLogger(__name__)

WINDOW_SECONDS = 60
ANONYMOUS = "anonymous"  # the limit of who is not signed in
COUNTED = "noc_counted"  # on Django's request: its caller was counted

# One row per key, updated in place: no index holds a column that moves.
COUNT = """
INSERT INTO tenancy_throttle AS t (key, count, ends_at)
VALUES (%(key)s, 1, statement_timestamp() + make_interval(secs => %(seconds)s))
ON CONFLICT (key) DO UPDATE
   SET count = CASE WHEN t.ends_at > statement_timestamp() THEN t.count + 1 ELSE 1 END,
       ends_at = CASE WHEN t.ends_at > statement_timestamp() THEN t.ends_at
                      ELSE excluded.ends_at END
RETURNING count, extract(epoch FROM ends_at - statement_timestamp())
"""
# Who is counted at this moment is passed over.
FORGET = """
DELETE FROM tenancy_throttle
 WHERE key IN (SELECT key FROM tenancy_throttle WHERE ends_at < statement_timestamp()
                LIMIT %s FOR UPDATE SKIP LOCKED)
"""


class Counted(NamedTuple):
    requests: int  # in this window, with this one
    left_seconds: float


class Throttle(BaseThrottle):
    """At most ``settings.THROTTLES[name]`` requests a minute per key; 0 is no limit."""

    def of(self, request: Request) -> tuple[str, str, str] | None:
        """Return the limit's name, the key and, for the error, of what it is; None: no limit."""
        raise NotImplementedError

    def allow_request(self, request: Request, view: Any) -> bool:
        found = self.of(request)
        if found is None:
            return True
        name, key, what = found
        left_seconds = passed(name, key)
        if left_seconds is None:
            return True
        raise Throttled(
            wait=left_seconds,
            detail=f"At most {settings.THROTTLES[name]:,} {what} a minute: wait, ask less often, or"
            f" ask the operator to raise THROTTLE_{name.upper()}.",
        )


class PerCaller(Throttle):
    """Reads and writes of a user, each on its own; without a login, of an address."""

    def allow_request(self, request: Request, view: Any) -> bool:
        setattr(request._request, COUNTED, True)
        return super().allow_request(request, view)

    def of(self, request: Request) -> tuple[str, str, str]:
        if request.user is None or request.user.pk is None:
            return ANONYMOUS, address_of(request), "requests without a login per address"
        if request.method in SAFE_METHODS:
            return "read", str(request.user.pk), "reads per user"
        return "write", str(request.user.pk), "writes per user"


class PerLogin(Throttle):
    """Attempts to log in as one user from one address."""

    def of(self, request: Request) -> tuple[str, str, str] | None:
        given = request.data if isinstance(request.data, dict) else {}
        try:
            name = UserName().run_validation(given.get("username"))
        except ValidationError:
            return None  # refused as it is
        digest = sha256(f"{address_of(request)} {name}".encode()).hexdigest()
        return "login", digest, "attempts to log in per address and user name"


def address_of(request: Request | HttpRequest) -> str:
    """Return the address that a request is counted for; of IPv6 that of its network."""
    # It reads headers, which both have alike. Over a Unix socket there is no address.
    found = BaseThrottle().get_ident(request) or "nowhere"  # type: ignore[arg-type]
    return counted_as(found) or found[:100]


def passed(name: str, key: str) -> float | None:
    """
    Count one request of ``key`` under the limit ``name``.

    Returns:
        When that was one too many, after how many seconds, at least 1, to come again.
    """
    if not (limit := settings.THROTTLES[name]):
        return None
    try:
        counted = count(f"{name}:{key}")
    except Error as error:
        logger.warning(
            "A request could not be counted, and was let through",
            extra={"throttle": name, "error": f"{type(error).__name__}: {error}"},
        )
        return None
    return None if counted.requests <= limit else max(1.0, counted.left_seconds)


def refused_and_uncounted(request: Request, view: Any) -> Throttled | None:
    """
    Count a request that was refused before its throttles were asked.

    Returns:
        What it is answered instead, when that was one too many.
    """
    if getattr(request._request, COUNTED, False) or PerCaller not in view.throttle_classes:
        return None
    try:
        _ = request.user
    except Exception:  # what the login failed by, once more: nobody is signed in
        request.user = AnonymousUser()
    try:
        PerCaller().allow_request(request, view)
    except Throttled as one_too_many:
        return one_too_many
    return None


def count(key: str) -> Counted:
    """Count one request, in one statement of its own, and return how many there were."""
    with connection.cursor() as cursor:
        cursor.execute(COUNT, {"key": key, "seconds": WINDOW_SECONDS})
        found, left = cursor.fetchone()
    return Counted(found, float(left))


def forget(*, limit: int) -> int:
    """Delete at most ``limit`` counts whose window is over; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(FORGET, [limit])
        return int(cursor.rowcount)
