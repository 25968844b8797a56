"""The door: the login page, and what every door answers while a user name is locked."""

from typing import Any
from urllib.parse import urlsplit

from django.contrib.auth.views import LoginView
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme

from apps.noc.account import password_locked
from apps.tenancy.http.problems import answer as problem
from apps.tenancy.http.problems import is_of_the_api
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


def locked(request: HttpRequest, *_: object) -> HttpResponse:
    """
    Return the answer to a password whose user name is locked, of all four doors.

    Called by the middleware of axes, with more arguments that differ under ASGI.
    """
    username = getattr(request, "axes_credentials", None) or {}
    seconds = locked_seconds(request, username.get("username") or "")
    headers = {"Retry-After": str(seconds), "Cache-Control": "no-store"}
    minutes = -(-seconds // 60)
    if is_of_the_api(request):
        detail = (
            "Too many wrong passwords for this user name from this address:"
            f" come again in {minutes} min. The right one is refused until then."
        )
        return problem(TOO_MANY, detail, headers)
    if request.path == reverse("account-password"):
        answer = password_locked(request, minutes)
    else:
        page = {"locked_minutes": minutes, "next": _next(request)}
        answer = render(request, PAGE, page, status=TOO_MANY)
    for name, value in headers.items():
        answer.headers[name] = value
    return answer


def _next(request: HttpRequest) -> str:
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, request.is_secure())
    return wanted if safe else ""
