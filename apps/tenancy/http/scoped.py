"""The base of every view that reads or writes a tenant's data: the access is computed first."""

from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any

from django.contrib.auth.models import User
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from rest_framework import permissions
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request
from rest_framework.views import APIView

from apps.tenancy import devices
from apps.tenancy.access import Access, access_of, refusal_of
from apps.tenancy.http import once
from apps.tenancy.models import Capability

REMEDY = {
    "inactive": "This account is deactivated: ask an administrator.",
    "no_membership": "This account belongs to no tenant: ask an administrator to add it to one.",
    "tenant_suspended": "The tenant is suspended: ask the provider.",
}


def access_by(request: Request) -> Access | None:
    """Return what the caller may do: with a read-only token no more than see."""
    access = access_of(request.user)
    if access is not None and devices.is_read_only(request.auth):
        return access.only(Capability.NOC_VIEW)
    return access


class MayDoThis(permissions.BasePermission):
    """Reading needs ``noc:view``, writing ``ticket:write``, unless the view says otherwise."""

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not request.user.is_authenticated:
            return False  # 401
        assert isinstance(view, ScopedView)  # noqa: S101 - set by the class below
        access = access_by(request)
        if access is None:
            raise PermissionDenied(REMEDY[refusal_of(request.user) or "inactive"])
        needed = view.needs.get(request.method or "", Capability.NOC_VIEW)
        if not access.may(needed):
            raise PermissionDenied(f"This needs the capability {needed}: ask an administrator.")
        view.access = access
        return True


class ScopedView(APIView):
    """A view whose ``access`` says what the caller may see; use it in every query."""

    permission_classes = [MayDoThis]
    needs: Mapping[str, Capability] = {
        "POST": Capability.TICKET_WRITE,
        "PATCH": Capability.TICKET_WRITE,
        "DELETE": Capability.TICKET_WRITE,
    }
    # False: its answer holds a secret, so none is kept and the header Idempotency-Key is ignored.
    repeatable = True
    access: Access

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        if once.HEADER in request.headers:
            # A session's check against forgery parses the body, which leaves none of its bytes for
            # the digest of the write. One that is too big is refused there.
            with suppress(RequestDataTooBig):
                _ = request.body
        return super().initialize_request(request, *args, **kwargs)

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        method, key = request.method or "", request.headers.get(once.HEADER)
        handler = getattr(self, method.lower(), None)
        if key is not None and handler and self.repeatable and method in once.METHODS:
            # Of this instance, which serves this request alone.
            setattr(self, method.lower(), once.once(handler, self.access, key))

    @cached_property
    def caller(self) -> User:
        user = self.request.user
        assert isinstance(user, User)  # noqa: S101 - the permission let nobody else in
        return user
