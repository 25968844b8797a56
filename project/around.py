"""What goes around each request, whichever kind of server calls the middleware."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from inspect import iscoroutinefunction
from typing import Any

from django.http import HttpRequest, HttpResponseBase

Answered = Callable[[HttpResponseBase], HttpResponseBase]


def around(
    get_response: Callable[[HttpRequest], Any],
    one_request: Callable[[HttpRequest], AbstractContextManager[Answered]],
) -> Callable[[HttpRequest], Any]:
    """
    Return the middleware that enters ``one_request`` and hands what it yields the response.

    The caller is marked ``sync_and_async_middleware``.
    """
    if iscoroutinefunction(get_response):
        following: Callable[[HttpRequest], Awaitable[HttpResponseBase]] = get_response

        async def answer_async(request: HttpRequest) -> HttpResponseBase:
            with one_request(request) as answered:
                return answered(await following(request))

        return answer_async

    def answer(request: HttpRequest) -> HttpResponseBase:
        with one_request(request) as answered:
            return answered(get_response(request))

    return answer
