"""The page at ``/account/``: who one is, the password, and the tokens of one's devices."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.contrib.auth import authenticate, logout, update_session_auth_hash
from django.contrib.auth.decorators import login_required
from django.contrib.auth.forms import PasswordChangeForm
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_POST

from apps.noc.version import version
from apps.tenancy import devices, lockout
from apps.tenancy.access import access_of
from apps.tenancy.models import Capability, Site, Tenant
from apps.tenancy.sessions import end_all

WALL = "wall"  # a token for a wallboard: read-only, shown as the address that signs in by it


class NewPassword(PasswordChangeForm):
    """Asks for the present password at a door, so that wrong ones are counted and lock."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        super().__init__(_user(request), request.POST)

    @sensitive_variables("given")
    def clean_old_password(self) -> str:
        given: str = self.cleaned_data["old_password"]
        if authenticate(self.request, username=self.user.get_username(), password=given) is None:
            wrong = "password_incorrect"
            raise forms.ValidationError(self.error_messages[wrong], code=wrong)
        lockout.forgive(self.request, self.user)
        return given


class NewToken(forms.Form):
    """What a token is called, and what it may do."""

    name = forms.CharField(max_length=devices.MAX_NAME)
    kind = forms.ChoiceField(choices=[(kind, kind) for kind in ("full", "read", WALL)])


def by_form(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """
    Let the view be asked by its form alone.

    Whoever had to sign in before it was sent comes back by a GET: that shows the account again.
    """

    @wraps(view)
    def asked(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.method in ("GET", "HEAD"):
            messages.info(request, "You had to sign in first, and nothing was changed: try again.")
            return redirect("account")
        return require_POST(view)(request, *args, **kwargs)

    return asked


@never_cache
@login_required
def page(request: HttpRequest) -> HttpResponse:
    """Show the account; also to who belongs to no tenant."""
    return _show(request)


@never_cache
@login_required
@by_form
@sensitive_post_parameters()
def change_password(request: HttpRequest) -> HttpResponse:
    """Set another password. This browser stays signed in, all others are signed out by it."""
    form = NewPassword(request)
    if not form.is_valid():
        return _show(request, password=form, status=400)
    update_session_auth_hash(request, form.save())
    messages.success(request, "The password is changed. All other browsers are signed out.")
    return redirect("account")


def password_locked(request: HttpRequest, minutes: int) -> HttpResponse:
    """Return what :func:`change_password` answers to who is locked; ``door.locked`` asks for it."""
    return _show(request, password_locked_minutes=minutes, status=429)


@never_cache
@login_required
@by_form
def new_token(request: HttpRequest) -> HttpResponse:
    """Make a token and show it in this answer alone; nothing keeps it."""
    form = NewToken(request.POST)
    if not form.is_valid():
        refused = f"Give the device a name of at most {devices.MAX_NAME} characters."
        return _show(request, token_refused=refused, status=400)
    kind = form.cleaned_data["kind"]
    try:
        made, token = devices.add(
            _user(request), name=form.cleaned_data["name"], read_only=kind != "full"
        )
    except devices.TooManyDevices as error:
        return _show(request, token_refused=str(error), status=409)
    secret = _wall_address(request, token) if kind == WALL else token
    return _show(request, made=made, secret=secret, made_wall=kind == WALL)


@never_cache
@login_required
@by_form
def revoke(request: HttpRequest, device_id: str) -> HttpResponse:
    """End a token; that it is gone already is as good."""
    devices.revoke(_user(request), device_id)
    messages.success(request, "The token is revoked. What used it is signed out.")
    return redirect("account")


@never_cache
@login_required
@by_form
def sign_out_everywhere(request: HttpRequest) -> HttpResponse:
    """End all sessions of the user, this one too, and on demand all tokens."""
    user = _user(request)
    if request.POST.get("tokens"):
        devices.revoke_all(user)
    logout(request)
    end_all(user.pk)
    return redirect(f"{reverse('login')}?signed-out")


def _show(request: HttpRequest, *, status: int = 200, **more: Any) -> HttpResponse:
    user = _user(request)
    access = access_of(user)
    return render(
        request,
        "noc/account.html",
        {
            "version": version(),
            "tenant": access and Tenant.objects.get(pk=access.tenant_id),
            "may": [label for value, label in Capability.choices if access and access.may(value)],
            "sites": _sites(access.sites) if access and access.sites is not None else None,
            "listing": devices.devices_of(user),
            "most": devices.MOST,
            **more,
        },
        status=status,
    )


def _sites(ids: frozenset[int]) -> list[Site]:
    return list(Site.objects.filter(pk__in=ids).order_by("code"))


def _wall_address(request: HttpRequest, token: str) -> str:
    wall = f"{reverse('dashboard')}?{urlencode({'wall': 1})}"
    return f"{request.build_absolute_uri(wall)}#{urlencode({'token': token})}"


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # noqa: S101 - the decorator let nobody else in
    return request.user
