"""
API tokens: knox keeps their digests; a token is read from the header and from nowhere else.

Every request with a token passes here, whatever its view is, so this is where a read-only token is
held to reading.
"""

from collections.abc import Collection
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from knox.auth import TokenAuthentication as KnoxAuthentication
from knox.crypto import hash_token
from knox.models import AuthToken
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import SAFE_METHODS
from rest_framework.request import Request

from apps.tenancy import devices


class TokenAuthentication(KnoxAuthentication):
    """
    ``Authorization: Token …``; a read-only token does nothing but read.

    A view that changes nothing by a POST says so by ``read_only_may = {"POST"}``.
    """

    def authenticate(self, request: Request) -> tuple[User, AuthToken] | None:
        found: tuple[User, AuthToken] | None = super().authenticate(request)
        if found is None:
            return None
        _, token = found
        if devices.is_read_only(token):
            view = (request.parser_context or {}).get("view")
            if request.method not in {*SAFE_METHODS, *getattr(view, "read_only_may", ())}:
                raise PermissionDenied(
                    "This token may only read: use one that is not read-only, or sign in."
                )
        devices.used(token)
        return found

    def authenticate_credentials(self, token: bytes) -> tuple[User, AuthToken]:
        digest = digest_of(token.decode("latin1"))
        found = _live().select_related("user", "device").filter(digest=digest).first()
        if found is None:
            raise AuthenticationFailed("Invalid token: get one by POST /api/v1/auth/token/.")
        user_and_token: tuple[User, AuthToken] = self.validate_user(found)
        return user_and_token


@dataclass(frozen=True, slots=True)
class Holder:
    """Whose token it is, and the digest that is kept of it."""

    user_id: int
    digest: str


def digest_of(raw: str) -> str | None:
    """Return the digest that would be kept of a token, None for what cannot be one."""
    if not (raw.isascii() and raw.isalnum()):
        return None
    digest: str = hash_token(raw)
    return digest


def live_tokens(digests: Collection[str]) -> set[Holder]:
    """Return the holders of those of ``digests`` whose token exists and has not expired."""
    rows = _live().filter(digest__in=digests).values_list("user_id", "digest")
    return {Holder(*row) for row in rows}


def _live() -> QuerySet[AuthToken]:
    tokens: QuerySet[AuthToken] = AuthToken.objects.filter(Q(expiry=None) | Q(expiry__gt=Now()))
    return tokens


def new_token(user: User) -> str:
    """Return a new token of ``user``; it cannot be shown again."""
    token: str = AuthToken.objects.create(user)[1]
    return token
