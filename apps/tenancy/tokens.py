"""API tokens: knox keeps their digests; a token is read from the header and from nowhere else."""

from collections.abc import Collection
from dataclasses import dataclass

from django.contrib.auth.models import User
from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from knox.auth import TokenAuthentication as KnoxAuthentication
from knox.crypto import hash_token
from knox.models import AuthToken
from rest_framework.exceptions import AuthenticationFailed


class TokenAuthentication(KnoxAuthentication):
    """``Authorization: Token …``, refusing what cannot be a token before it is looked up."""

    def authenticate_credentials(self, token: bytes) -> tuple[User, AuthToken]:
        if not token.isalnum():
            raise AuthenticationFailed("Invalid token: get one by POST /api/v1/auth/token/.")
        found: tuple[User, AuthToken] = super().authenticate_credentials(token)
        return found


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
