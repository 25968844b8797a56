"""
One id per request: in each of its log lines, in the events that it causes, and in the answer.

It is the outermost middleware, so the one line per request that it writes also tells of what the
others refused.
"""

import logging
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any
from uuid import uuid4

from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware
from django.utils.encoding import escape_uri_path
from django.utils.functional import SimpleLazyObject, empty
from structlog.contextvars import bound_contextvars

from outbox import context
from project.around import Answered, around

logger = logging.getLogger(__name__)

HEADER = "X-Request-ID"
_VALID = re.compile(r"[A-Za-z0-9._-]{1,64}")
MAX_PATH = 500  # characters, in the log


@sync_and_async_middleware
def request_id(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Take the caller's id if it is a valid one, else make one; write the line of the request."""
    return around(get_response, _one_request)


@contextmanager
def _one_request(request: HttpRequest) -> Iterator[Answered]:
    given = request.headers.get(HEADER, "")
    id_ = given if _VALID.fullmatch(given) else uuid4().hex
    status: int | None = None  # stays so when the client goes before it is answered
    started = perf_counter()

    def answered(response: HttpResponseBase) -> HttpResponseBase:
        nonlocal status
        status = response.status_code
        response.headers[HEADER] = id_
        return response

    with context(request_id=id_), bound_contextvars(request_id=id_):
        try:
            yield answered
        finally:
            logger.info(
                "Request",
                extra={
                    "method": request.method,
                    # Without the query, which may hold what somebody should not have put there.
                    "path": escape_uri_path(request.path)[:MAX_PATH],
                    "status": status,
                    "duration_ms": round((perf_counter() - started) * 1000, 1),
                    "user_id": _user_id(request),
                },
            )


def _user_id(request: HttpRequest) -> int | None:
    """Return who it is if that was found out already; to ask here would cost a query."""
    user = getattr(request, "user", None)
    if isinstance(user, SimpleLazyObject) and getattr(user, "_wrapped", empty) is empty:
        return None
    key: int | None = getattr(user, "pk", None)
    return key
