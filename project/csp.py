"""One content security policy: nothing from elsewhere, nothing inline but the import map."""

from django.http import HttpRequest, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from apps.noc.importmap import NONCE

# 'self' in connect-src covers the websocket of the same host. data: images are the admin's icons.
POLICY = "; ".join(
    [
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    ]
)


class ContentSecurityPolicy(MiddlewareMixin):
    """Set the policy on each response that has none of its own."""

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        nonce = request.META.get(NONCE)
        policy = f"{POLICY}; script-src 'self' 'nonce-{nonce}'" if nonce else POLICY
        response.headers.setdefault("Content-Security-Policy", policy)
        return response
