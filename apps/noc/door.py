"""
The door: the login page, what every door answers while a user name is locked, and the limit of the
two pages, at which many names could be tried from one address.
"""

from collections.abc import Callable
from functools import wraps
from math import ceil
from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from apps.noc.account import password_locked
from apps.tenancy.http.problems import answer as problem
from apps.tenancy.http.problems import is_of_the_api
from apps.tenancy.http.throttles import ANONYMOUS, address_of, passed
from apps.tenancy.lockout import locked_seconds

TOO_MANY = 429
PAGE = "noc/login.html"


class SignIn(LoginView):
    """Who is signed in already goes on to the board."""

    template_name = PAGE
    redirect_authenticated_user = True

    def get_redirect_url(self) -> str:
        """Return where the caller wanted to go; the door itself leads nowhere."""
        wanted: str = super().get_redirect_url()
        return "" if urlsplit(wanted).path == self.request.path else wanted

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        signed_out = "signed-out" in self.request.GET
        return super().get_context_data(signed_out=signed_out, **kwargs)


def limited(page: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Return the login page so that each form it is sent counts as a request without a login."""

    @wraps(page)
    def within_the_limit(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method == "POST":
            left_seconds = passed(ANONYMOUS, address_of(request))
            if left_seconds is not None:
                seconds = ceil(left_seconds)
                return _closed(request, seconds, wait_seconds=seconds)
        return page(request, *args, **kwargs)

    return within_the_limit


def locked(request: HttpRequest, *_: object) -> HttpResponse:
    """
    Return the answer to a password whose user name is locked, of all four doors.

    Called by the middleware of axes, with more arguments that differ under ASGI.
    """
    username = getattr(request, "axes_credentials", None) or {}
    seconds = locked_seconds(request, username.get("username") or "")
    minutes = -(-seconds // 60)
    if is_of_the_api(request):
        detail = (
            "Too many wrong passwords for this user name from this address:"
            f" come again in {minutes} min. The right one is refused until then."
        )
        return problem(TOO_MANY, detail, _headers(seconds))
    if request.path == reverse("account-password"):
        return _with_headers(password_locked(request, minutes), seconds)
    return _closed(request, seconds, locked_minutes=minutes)


def _closed(request: HttpRequest, seconds: int, **said: int) -> HttpResponse:
    """Return the login page that says for how long it takes nothing."""
    page = render(request, PAGE, {"next": _next(request), **said}, status=TOO_MANY)
    return _with_headers(page, seconds)


def _with_headers(answer: HttpResponse, seconds: int) -> HttpResponse:
    for name, value in _headers(seconds).items():
        answer.headers[name] = value
    return answer


def _headers(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds), "Cache-Control": "no-store"}


def _next(request: HttpRequest) -> str:
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, request.is_secure())
    return wanted if safe else ""
