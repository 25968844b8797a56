"""
The one exception handler of the API.

It stands alone because the framework's settings load modules before its views exist.
"""

import logging
from typing import Any

from django.db import Error
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import exception_handler

from apps.tenancy.http import throttles
from apps.tenancy.http.problems import CONTENT_TYPE, Problem, members, printable
from apps.tenancy.http.trouble import unavailable

logger = logging.getLogger(__name__)


def handle(error: Exception, context: dict[str, Any]) -> Response | None:
    """Turn an error of a view into its problem; None for what ``project/errors.py`` answers."""
    if "request" in context and not isinstance(error, Error):  # without a database none is counted
        error = throttles.refused_and_uncounted(context["request"], context["view"]) or error
    error = unavailable(error) or error
    if isinstance(error, RecursionError):
        logger.warning("A request was nested too deep", exc_info=error)
        error = exceptions.ParseError("The request is nested too deep: send a flat one.")
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
            more = {
                "errors": [
                    {"field": printable(name), "detail": printable(text)} for name, text in fields
                ]
            }
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
