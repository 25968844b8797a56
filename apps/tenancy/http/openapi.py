"""What the OpenAPI document says about tokens and pages."""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.utils import inline_serializer
from rest_framework import serializers


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Registers itself when the module is imported."""

    target_class = "apps.tenancy.tokens.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "Token …, from POST /api/v1/auth/token/",
        }


def page_of(row: type[serializers.BaseSerializer[Any]]) -> Any:
    """Return the shape of one page of a list."""
    return inline_serializer(
        row.__name__.removesuffix("Row") + "Page",
        {
            "next": serializers.URLField(allow_null=True),
            "previous": serializers.URLField(allow_null=True),
            "results": row(many=True),
        },
    )
