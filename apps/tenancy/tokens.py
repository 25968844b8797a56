"""API tokens: knox keeps their digests; a token is read from the header and from nowhere else."""

from django.contrib.auth.models import User
from knox.auth import TokenAuthentication as KnoxAuthentication
from knox.models import AuthToken
from rest_framework.exceptions import AuthenticationFailed


class TokenAuthentication(KnoxAuthentication):
    """``Authorization: Token …``, refusing what cannot be a token before it is looked up."""

    def authenticate_credentials(self, token: bytes) -> tuple[User, AuthToken]:
        if not token.isalnum():
            raise AuthenticationFailed("Invalid token: get one by POST /api/v1/auth/token/.")
        found: tuple[User, AuthToken] = super().authenticate_credentials(token)
        return found


def user_of_token(raw: str) -> User | None:
    """Return the active user of a token, None for anything else."""
    try:
        return TokenAuthentication().authenticate_credentials(raw.encode(errors="replace"))[0]
    except AuthenticationFailed:
        return None


def new_token(user: User) -> str:
    """Return a new token of ``user``; it cannot be shown again."""
    token: str = AuthToken.objects.create(user)[1]
    return token
