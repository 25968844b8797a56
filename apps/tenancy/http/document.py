"""
``GET /api/v1/schema/``: the OpenAPI document, as docs/openapi.yaml has it, for anybody.

Making it takes a third of a second and nothing of the request, so a process makes it once.
"""

from functools import cache
from hashlib import sha256
from threading import Lock
from typing import Any

from django.http import HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.renderers import OpenApiJsonRenderer
from drf_spectacular.utils import extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView

_making = Lock()


@cache
def made() -> tuple[bytes, str]:
    """Return the document as JSON, and its entity tag."""
    generator = SchemaGenerator()  # type: ignore[no-untyped-call]
    schema = generator.get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    body: bytes = OpenApiJsonRenderer().render(schema, renderer_context={})
    return body, f'"{sha256(body).hexdigest()[:32]}"'


class OneForm(BaseContentNegotiation):
    """There is one form, whatever is accepted."""

    def select_renderer(self, request: Request, renderers: Any, format_suffix: Any = None) -> Any:
        return renderers[0], renderers[0].media_type


class DocumentView(APIView):
    """It reads no parameter."""

    permission_classes = [AllowAny]
    content_negotiation_class = OneForm

    @extend_schema(exclude=True)
    def get(self, request: Request) -> HttpResponseBase:
        with _making:
            body, etag = made()
        answer = HttpResponse(
            body,
            content_type="application/json",
            headers={"ETag": etag, "Cache-Control": "no-cache"},
        )
        found = get_conditional_response(request._request, etag=etag, response=answer)
        assert found is not None  # noqa: S101 - it is the answer, or 304
        return found
