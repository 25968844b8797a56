"""Log in for programs, tickets for the websocket, and what the caller may do."""

from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema
from knox.models import AuthToken
from rest_framework import serializers
from rest_framework.exceptions import Throttled
from rest_framework.permissions import AllowAny, IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.tenancy import devices, lockout, tickets
from apps.tenancy.access import refusal_of
from apps.tenancy.http.bodies import Known, UserName
from apps.tenancy.http.openapi import conflict
from apps.tenancy.http.problems import Problem
from apps.tenancy.http.scoped import ScopedView, access_by
from apps.tenancy.http.throttles import PerCaller, PerLogin
from apps.tenancy.models import Capability, Tenant
from apps.tenancy.names import display_name
from apps.tenancy.tokens import new_token


class Login(Known):
    username = UserName()
    password = serializers.CharField(max_length=128, trim_whitespace=False)
    device = serializers.CharField(
        required=False, max_length=devices.MAX_NAME, help_text="A name, listed by auth/devices/."
    )


class Token(serializers.Serializer[dict[str, str]]):
    token = serializers.CharField(help_text="For the header: Authorization: Token …")


class TokenView(APIView):
    """Exchange a user name and a password for a token. It is shown once."""

    authentication_classes = []
    permission_classes = [AllowAny]
    throttle_classes = [PerCaller, PerLogin]

    @extend_schema(
        request=Login,
        responses={200: Token, **conflict(f"With `device`: there are {devices.MOST} of the user.")},
    )
    def post(self, request: Request) -> Response:
        login = Login(data=request.data)
        login.is_valid(raise_exception=True)
        name: str | None = login.validated_data.pop("device", None)
        # Django's own request: on it the lockout marks that the answer is 429.
        user = authenticate(request._request, **login.validated_data)
        if not isinstance(user, User):
            raise Problem(401, "The user name or the password is wrong, or the account is closed.")
        lockout.forgive(request._request, user)
        token = new_token(user) if name is None else _new_device(user, name)
        return Response({"token": token}, headers={"Cache-Control": "no-store"})


def _new_device(user: User, name: str) -> str:
    try:
        return devices.add(user, name=name, read_only=False)[1]
    except devices.TooManyDevices as error:
        raise Problem(409, str(error)) from error


class Ticket(serializers.Serializer[dict[str, object]]):
    ticket = serializers.CharField()
    subprotocol = serializers.CharField(help_text="For Sec-WebSocket-Protocol: noc.ticket.…")
    expires_in_s = serializers.IntegerField()


class WsTicketView(ScopedView):
    """Make a ticket that opens the websocket once, for clients that can send no header there."""

    needs = {"POST": Capability.NOC_VIEW}
    repeatable = False
    read_only_may = frozenset({"POST"})

    @extend_schema(request=None, responses={201: Ticket})
    def post(self, request: Request) -> Response:
        if isinstance(request.auth, AuthToken):
            made_with = tickets.Credential(self.caller.pk, tickets.TOKEN, request.auth.digest)
        else:
            key = request.session.session_key or ""
            made_with = tickets.Credential(self.caller.pk, tickets.SESSION, key)
        try:
            ticket = tickets.issue(made_with)
        except tickets.TooManyTickets as error:
            raise Throttled(
                wait=tickets.VALID_SECONDS,
                detail=f"You have {tickets.MAX_UNUSED} tickets that were not used: use one.",
            ) from error
        return Response(
            {
                "ticket": ticket,
                "subprotocol": tickets.PREFIX + ticket,
                "expires_in_s": tickets.VALID_SECONDS,
            },
            status=201,
            headers={"Cache-Control": "no-store"},
        )


class Named(serializers.Serializer[dict[str, object]]):
    id = serializers.IntegerField()
    name = serializers.CharField()


class Me(serializers.Serializer[dict[str, object]]):
    user = Named()
    username = serializers.CharField()
    tenant = Named(allow_null=True)
    capabilities = serializers.ListField(child=serializers.CharField())
    sites = serializers.JSONField(help_text='"*" or a list of site ids')
    read_only = serializers.BooleanField(  # type: ignore[assignment]
        help_text="The token that was sent may only read."
    )
    refused = serializers.CharField(
        allow_null=True, help_text="Why the feed is refused; null when it is not."
    )


class MeView(APIView):
    """Say who the caller is, what they may do, and why the feed would refuse them."""

    permission_classes = [IsAuthenticated]

    @extend_schema(responses=Me)
    def get(self, request: Request) -> Response:
        user = request.user
        assert isinstance(user, User)  # noqa: S101 - the permission let nobody else in
        access = access_by(request)
        tenant = None if access is None else Tenant.objects.get(pk=access.tenant_id)
        return Response(
            {
                "user": {"id": user.pk, "name": display_name(user)},
                "username": user.username,
                "tenant": tenant and {"id": tenant.pk, "name": tenant.name},
                "capabilities": sorted(access.capabilities) if access else [],
                "sites": _sites(access.sites) if access else [],
                "read_only": devices.is_read_only(request.auth),
                "refused": refusal_of(user),
            }
        )


def _sites(sites: frozenset[int] | None) -> str | list[int]:
    return "*" if sites is None else sorted(sites)
