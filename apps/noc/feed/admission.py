"""Who may open the websocket: origin, user, capability, and the scope that they get.

Everything here is synchronous and reads the database: call it in the feed's own threads.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from importlib import import_module
from urllib.parse import urlsplit

from django.conf import settings
from django.contrib.auth import get_user
from django.http import HttpRequest

from apps.tenancy.access import Access, AnyUser, access_of
from apps.tenancy.models import Capability
from apps.tenancy.tokens import user_of_token

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Credentials:
    """What the handshake brought. ``origins``: a browser sends exactly one, programs send none."""

    origins: tuple[str, ...] = ()
    authorization: str = ""
    session_key: str = ""


def credentials_of(headers: Iterable[tuple[bytes, bytes]]) -> Credentials:
    """Read the three headers that count from the ASGI scope."""
    values: dict[bytes, list[str]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), []).append(value.decode("latin1"))
    session_key = ""
    for cookies in values.get(b"cookie", []):
        try:
            morsel = SimpleCookie(cookies).get(settings.SESSION_COOKIE_NAME)
        except CookieError:
            continue
        if morsel is not None:
            session_key = morsel.value
    return Credentials(
        tuple(values.get(b"origin", [])),
        " ".join(values.get(b"authorization", [])),
        session_key,
    )


def admit(credentials: Credentials) -> Access | None:
    """
    Return what the connection may see, or ``None``: refuse it.

    A token decides alone when there is one. A browser adds the session cookie to any page's
    connect, so a cookie counts only with an origin from the allow list; a program with a token
    need not send an origin, but one that is sent must be allowed.
    """
    by_token = bool(credentials.authorization)
    if credentials.origins:
        if not all(origin_allowed(origin) for origin in credentials.origins):
            return None
    elif not by_token:
        return None
    user = _token_user(credentials.authorization) if by_token else _session_user(credentials)
    access = access_of(user) if user is not None else None
    return access if access is not None and access.may(Capability.NOC_VIEW) else None


def origin_allowed(origin: str) -> bool:
    """Tell whether scheme, host and port are those of an allowed origin; ``null`` never is."""
    parts = _origin_parts(origin)
    return parts is not None and parts in map(_origin_parts, settings.ALLOWED_ORIGINS)


def _origin_parts(origin: str) -> tuple[str, str, int] | None:
    try:
        url = urlsplit(origin)
        port = url.port or _DEFAULT_PORTS[url.scheme]
    except (ValueError, KeyError):
        return None
    return (url.scheme, url.hostname, port) if url.hostname else None


def _token_user(authorization: str) -> AnyUser | None:
    scheme, _, token = authorization.partition(" ")
    return user_of_token(token) if scheme.lower() == "token" else None


def _session_user(credentials: Credentials) -> AnyUser | None:
    """Return the session's user as Django's middleware would: a stale password hash counts not."""
    if not credentials.session_key:
        return None
    request = HttpRequest()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore(credentials.session_key)
    return get_user(request)
