"""
What the OpenAPI document says of every operation alike: logins, pages, problems, the write's key.

A view says what is its own by ``extend_schema``; what follows from its method, its parameters and
its base class is added here, so that an endpoint need not repeat it.
"""

from typing import Any

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiParameter,
    OpenApiResponse,
    extend_schema_serializer,
    inline_serializer,
)
from rest_framework import serializers

from apps.tenancy.http import once
from apps.tenancy.http.problems import CONTENT_TYPE
from apps.tenancy.http.scoped import ScopedView

ETAG = OpenApiParameter(
    "ETag", OpenApiTypes.STR, OpenApiParameter.HEADER, response=True, description="its version"
)
IF_MATCH = OpenApiParameter(
    "If-Match", OpenApiTypes.STR, OpenApiParameter.HEADER, description="the ETag last read"
)

PROBLEMS = {
    400: ("BadRequest", "A parameter, a header or the body cannot be used; `errors` names which."),
    401: ("Unauthorized", "No login, or one that is no longer valid."),
    403: ("Forbidden", "The account may not do this; the detail names what it needs."),
    404: ("NotFound", "It is not there, or not in your scope."),
    409: ("Conflict", "It cannot be done in the present state; the detail tells why."),
    412: ("PreconditionFailed", "It was changed since the version of If-Match."),
    413: ("ContentTooLarge", "The body is too large."),
    415: ("UnsupportedMediaType", "The body is not application/json."),
    422: ("KeyUsedOtherwise", "The Idempotency-Key was used for another request."),
    429: ("TooManyRequests", "More than the limits allow: wait for Retry-After."),
    503: ("Unavailable", "The database cannot do it now: wait for Retry-After."),
}
WAITS = {409, 429, 503}

KEY_PARAMETER = {
    "name": once.HEADER,
    "in": "header",
    "description": f"Sent again with the same key within {once.KEPT_HOURS} h, the write is not done"
    f" again: its answer comes again, with `{once.REPLAYED}`. Errors are not kept.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
REPLAYED_HEADER = {
    "description": "`true` when the write was done by an earlier request.",
    "schema": {"type": "string", "enum": ["true"]},
}
RETRY_AFTER = {
    "description": "seconds; absent when waiting does not help",
    "schema": {"type": "integer"},
}


class FieldError(serializers.Serializer[dict[str, Any]]):
    field = serializers.CharField()
    detail = serializers.CharField()


@extend_schema_serializer(component_name="Problem")
class ProblemShape(serializers.Serializer[dict[str, Any]]):
    """RFC 9457. Some have members of their own besides."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField(help_text="What is wrong, and what to do.")
    request_id = serializers.CharField(required=False, help_text="For who reads the logs.")
    errors = FieldError(many=True, required=False)  # type: ignore[assignment]


def conflict(description: str) -> dict[tuple[int, str], OpenApiResponse]:
    """Return the 409 of an operation that others of its kind do not have, for ``responses``."""
    return {(409, CONTENT_TYPE): OpenApiResponse(ProblemShape, description=description)}


class Schema(AutoSchema):
    """Adds to each operation what all of its kind have."""

    def get_operation_id(self) -> str:
        found: str = super().get_operation_id()
        shape = self.get_response_serializers()
        if self.method == "GET" and type(shape).__name__.endswith("Page"):
            return found.removesuffix("retrieve") + "list"
        return found

    def get_operation(self, *args: Any, **kwargs: Any) -> Any:
        operation = super().get_operation(*args, **kwargs)
        if operation is None:
            return None
        self.resolve_serializer(ProblemShape, "response")
        keyed = (
            self.method in once.METHODS
            and isinstance(self.view, ScopedView)
            and self.view.repeatable
        )
        for code in sorted(self._codes(operation, keyed=keyed)):
            operation["responses"].setdefault(
                str(code), {"$ref": f"#/components/responses/{PROBLEMS[code][0]}"}
            )
        if keyed:
            operation.setdefault("parameters", []).append(
                {"$ref": "#/components/parameters/IdempotencyKey"}
            )
            for code, response in operation["responses"].items():
                if code.startswith("2"):
                    response.setdefault("headers", {})[once.REPLAYED] = {
                        "$ref": "#/components/headers/IdempotencyReplayed"
                    }
        return operation

    def _codes(self, operation: dict[str, Any], *, keyed: bool) -> set[int]:
        """Return the errors that an operation of this shape can answer."""
        codes = {401, 429, 503}
        names = {parameter["name"]: parameter for parameter in operation.get("parameters", [])}
        body = "requestBody" in operation
        if {} not in operation.get("security", []):
            codes.add(403)
        if names or body or keyed:
            codes.add(400)
        if keyed or any(parameter["in"] == "path" for parameter in names.values()):
            codes.add(404)
        if keyed:
            codes |= {409, 413, 422}
        if body:
            codes |= {413, 415}
        if "If-Match" in names:
            codes.add(412)
        return codes


def components(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add what the operations refer to; a hook that runs after the document is made."""
    parts = result["components"]
    shape = {"$ref": "#/components/schemas/Problem"}
    parts["responses"] = {
        name: {
            "description": text,
            "content": {CONTENT_TYPE: {"schema": shape}},
            **({"headers": {"Retry-After": RETRY_AFTER}} if code in WAITS else {}),
        }
        for code, (name, text) in PROBLEMS.items()
    }
    parts["parameters"] = {"IdempotencyKey": KEY_PARAMETER}
    parts["headers"] = {"IdempotencyReplayed": REPLAYED_HEADER}
    return result


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    """Registers itself when the module is imported."""

    target_class = "apps.tenancy.tokens.TokenAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "header",
            "name": "Authorization",
            "description": "`Token …`, with what POST /api/v1/auth/token/ answers.",
        }


class SessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "rest_framework.authentication.SessionAuthentication"
    name = "session"
    priority = 1  # before the library's own

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": "sessionid",
            "description": "The login of the pages. Writes also need X-CSRFToken.",
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
