"""Errors of the API as problem+json (RFC 9457): one shape, and a detail that names the remedy."""

from http import HTTPStatus
from typing import Any

from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

CONTENT_TYPE = "application/problem+json"


class Problem(exceptions.APIException):
    """An error with its status and, beside the detail, members of its own."""

    def __init__(self, status: int, detail: str, **members: Any) -> None:
        self.status_code = status
        self.members = members
        super().__init__(detail)


def not_found(what: str) -> Problem:
    """What is not there and what another tenant has look the same."""
    return Problem(404, f"There is no {what} in your scope.")


def members(status: int, detail: str, **more: Any) -> dict[str, Any]:
    """Return the members of a problem document."""
    title = HTTPStatus(status).phrase
    return {"type": "about:blank", "title": title, "status": status, "detail": detail, **more}


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn an error of a view into its problem; None for a bug, which is a plain 500."""
    response = exception_handler(error, context)
    if response is None:
        return None
    more: dict[str, Any] = {}
    match error:
        case Problem():
            detail, more = str(error.detail), error.members
        case exceptions.ValidationError():
            fields = flattened(error.detail)
            detail = "; ".join(f"{name}: {text}" if name else text for name, text in fields)
            more = {"errors": [{"field": name, "detail": text} for name, text in fields]}
        case exceptions.APIException():
            detail = str(error.detail)
        case _:  # Http404 and PermissionDenied of Django
            detail = str(error) or "There is nothing here for you."
    response.data = members(response.status_code, detail, **more)
    response.content_type = CONTENT_TYPE
    return response


def flattened(detail: Any, name: str = "") -> list[tuple[str, str]]:
    """Return (field, message) pairs of a validation error, however deep."""
    if isinstance(detail, dict):
        return [
            pair
            for key, value in detail.items()
            for pair in flattened(
                value, name if key == "non_field_errors" else f"{name}.{key}".lstrip(".")
            )
        ]
    if isinstance(detail, list):
        return [pair for value in detail for pair in flattened(value, name)]
    return [(name, str(detail))]
