"""
The answers to what no view answers: below /api/ a problem, of a page the one that Django has.

The framework's own views turn their errors into problems by ``apps/tenancy/http/handler.py``; here
comes what they leave, what happens in the middleware, and a path that nothing is at.
"""

import sys

from django.core.exceptions import BadRequest, RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.views import defaults

from apps.tenancy.http.problems import answer, is_of_the_api
from apps.tenancy.http.trouble import unavailable


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """400; for a body that is too large 413."""
    if not is_of_the_api(request):
        return defaults.bad_request(request, exception)
    match exception:
        case RequestDataTooBig():
            return answer(413, "The body is too large: send less, as application/json.")
        case BadRequest() | MultiPartParserError():
            return answer(400, f"The request cannot be read: {exception}")
    return answer(400, "The request is not one that this site takes: look at its headers.")


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    """403."""
    if not is_of_the_api(request):
        return defaults.permission_denied(request, exception)
    return answer(403, str(exception) or "There is nothing here for you.")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """404."""
    if not is_of_the_api(request):
        return defaults.page_not_found(request, exception)
    return answer(404, f"There is nothing at {request.path}: the API is at /api/v1/.")


def server_error(request: HttpRequest) -> HttpResponse:
    """
    500, or 503 when it was the database that could not.

    What happened is in the log under the id of the request, and nowhere else.
    """
    if not is_of_the_api(request):
        return defaults.server_error(request)
    if problem := unavailable(sys.exc_info()[1]):
        return answer(problem.status_code, str(problem.detail), {"Retry-After": str(problem.wait)})
    return answer(
        500,
        "The server failed: its log tells why, under request_id."
        " A write with an Idempotency-Key can be sent again.",
    )
