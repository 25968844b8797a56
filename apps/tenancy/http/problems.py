"""Errors of the API as problem+json (RFC 9457): one shape, and a detail that names the remedy."""

from collections.abc import Mapping
from http import HTTPStatus
from math import ceil
from typing import Any

from django.http import HttpRequest, JsonResponse
from rest_framework.exceptions import APIException

from outbox.context import current

CONTENT_TYPE = "application/problem+json"


class Problem(APIException):
    """An error with its status, members of its own, and ``wait`` in seconds for Retry-After."""

    def __init__(
        self, status: int, detail: str, *, wait: float | None = None, **members: Any
    ) -> None:
        self.status_code = status
        self.wait = None if wait is None else max(1, ceil(wait))  # the framework's name for it
        self.members = members
        super().__init__(detail)


def not_found(what: str) -> Problem:
    """What is not there and what another tenant has look the same."""
    return Problem(404, f"There is no {what} in your scope.")


def is_of_the_api(request: HttpRequest) -> bool:
    """Whether an error of this request is a problem; of all others it is a page."""
    return request.path.startswith("/api/")


def answer(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JsonResponse:
    """Return a problem as an answer of Django's own, for what the framework's views never see."""
    document = members(status, detail)
    return JsonResponse(
        document, status=status, headers=dict(headers or {}), content_type=CONTENT_TYPE
    )


def members(status: int, detail: str, **more: Any) -> dict[str, Any]:
    """Return the members of a problem document, with the id of the request that had it."""
    title = HTTPStatus(status).phrase
    if request_id := current().get("request_id"):
        more["request_id"] = request_id
    return {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": printable(detail),
        **more,
    }


def printable(text: str) -> str:
    """Return the text so that it can be sent: what was refused may be quoted in it."""
    return text.encode(errors="backslashreplace").decode()[:2_000]
