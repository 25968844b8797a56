"""The caller's own tokens: list them, make one with a name, revoke one."""

from dataclasses import asdict
from typing import Any

from django.contrib.auth.models import User
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.tenancy import devices
from apps.tenancy.http.bodies import Known
from apps.tenancy.http.openapi import conflict
from apps.tenancy.http.problems import Problem

NO_STORE = {"Cache-Control": "no-store"}


class NewDevice(Known):
    name = serializers.CharField(max_length=devices.MAX_NAME)
    read_only = serializers.BooleanField(default=False)  # type: ignore[assignment]


class DeviceRow(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="Names the token; it is no secret.")
    name = serializers.CharField(allow_blank=True, help_text="Empty of tokens made without one.")
    read_only = serializers.BooleanField()  # type: ignore[assignment]
    created_at = serializers.DateTimeField()
    last_used_at = serializers.DateTimeField(
        allow_null=True, help_text="To the minute; null also of tokens without a name."
    )
    current = serializers.BooleanField(help_text="It is the token of this request.")


class MadeDevice(DeviceRow):
    token = serializers.CharField(help_text="Shown once. For the header: Authorization: Token …")


class DeviceList(serializers.Serializer[Any]):
    results = DeviceRow(many=True)
    more = serializers.IntegerField(
        help_text=f"Older tokens without a name, beyond the {devices.LISTED} that are listed."
    )


class DevicesView(APIView):
    """Who belongs to no tenant can still revoke what they have."""

    permission_classes = [IsAuthenticated]

    @extend_schema(responses=DeviceList)
    def get(self, request: Request) -> Response:
        found = devices.devices_of(_caller(request), asked_with=request.auth)
        rows = DeviceRow(found.devices, many=True).data
        return Response({"results": rows, "more": found.more})

    @extend_schema(
        request=NewDevice,
        responses={201: MadeDevice, **conflict(f"There are {devices.MOST} of the user.")},
    )
    def post(self, request: Request) -> Response:
        given = NewDevice(data=request.data)
        given.is_valid(raise_exception=True)
        try:
            made, token = devices.add(_caller(request), **given.validated_data)
        except devices.TooManyDevices as error:
            raise Problem(409, str(error)) from error
        row = MadeDevice({**asdict(made), "token": token}).data
        return Response(row, status=201, headers=NO_STORE)


class DeviceView(APIView):
    """Revoking a token ends its websockets."""

    permission_classes = [IsAuthenticated]

    @extend_schema(responses={204: None})
    def delete(self, request: Request, device_id: str) -> Response:
        if not devices.revoke(_caller(request), device_id):
            raise Problem(404, f"You have no device {device_id}: see auth/devices/.")
        return Response(status=204)


def _caller(request: Request) -> User:
    assert isinstance(request.user, User)  # noqa: S101 - the permission let nobody else in
    return request.user
