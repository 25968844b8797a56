"""Who may open the websocket: origin, credential, capability, and the scope that they get.

Everything here is synchronous and reads the database: call it in the feed's own threads. A token
costs two queries, a session two, a ticket one more; one more in the minute after the sites of the
membership were changed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from django.conf import settings

from apps.tenancy import tickets
from apps.tenancy.scope import moved_scope_seq
from apps.tenancy.sessions import hash_fits, login_of
from apps.tenancy.tickets import SESSION, TOKEN
from apps.tenancy.tokens import Holder, holder_of, live_tokens
from apps.tenancy.viewers import Viewer, viewers

_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, kw_only=True)
class Credentials:
    """What the handshake brought. ``origins``: a browser sends exactly one, programs send none."""

    origins: tuple[str, ...] = ()
    authorization: str = ""
    ticket: str = ""
    session_key: str = ""
    subprotocol: str | None = None  # to be named when accepting; browsers fail without it


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a socket rests on: it ends with its credential, password or membership."""

    user_id: int
    tenant_id: int
    sites: frozenset[int] | None  # None: every site of the tenant, also those added later
    kind: str  # "session" or "token"
    key: str  # the session's key, or the token's digest
    password: str  # a keyed digest of the password hash; when it is another one, the socket ends
    scope_seq: int | None  # a cursor up to here was built under other sites


def credentials_of(
    headers: Iterable[tuple[bytes, bytes]], subprotocols: Sequence[str] = ()
) -> Credentials:
    """Read the headers that count and the subprotocols from the ASGI scope; never the query."""
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
    offered = subprotocols or [
        each.strip() for each in ",".join(values.get(b"sec-websocket-protocol", [])).split(",")
    ]
    chosen = next((each for each in offered if each.startswith(tickets.PREFIX)), None)
    return Credentials(
        origins=tuple(values.get(b"origin", [])),
        authorization=" ".join(values.get(b"authorization", [])),
        ticket=chosen.removeprefix(tickets.PREFIX) if chosen else "",
        session_key=session_key,
        subprotocol=chosen,
    )


def admit(credentials: Credentials) -> Grant | None:
    """
    Return what the connection rests on, or ``None``: refuse it.

    One credential decides alone: the header, else the ticket, else the cookie. A browser adds the
    session cookie to any page's connect, so a cookie counts only with an origin from the allow
    list; with a token or a ticket no origin is needed, but one that is sent must be allowed. A
    ticket is used up by this.
    """
    if not all(origin_allowed(origin) for origin in credentials.origins):
        return None
    if credentials.authorization:
        return _by_token(credentials.authorization)
    if credentials.ticket:
        return _by_ticket(credentials.ticket)
    if credentials.origins:
        return _by_session(credentials.session_key)
    return None


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


def _by_token(authorization: str) -> Grant | None:
    scheme, _, token = authorization.partition(" ")
    holder = holder_of(token) if scheme.lower() == "token" else None
    return None if holder is None else _grant(_viewer(holder.user_id), TOKEN, holder.digest)


def _by_ticket(ticket: str) -> Grant | None:
    made_with = tickets.use(ticket)
    if made_with is None:
        return None
    if made_with.kind == SESSION:
        return _by_session(made_with.key)
    if Holder(made_with.user_id, made_with.key) not in live_tokens([made_with.key]):
        return None
    return _grant(_viewer(made_with.user_id), TOKEN, made_with.key)


def _by_session(key: str) -> Grant | None:
    login = login_of(key)
    if login is None:
        return None
    user_id, session_hash = login
    viewer = _viewer(user_id)
    if viewer is None or not hash_fits(viewer.user, session_hash):
        return None
    return _grant(viewer, SESSION, key)


def _viewer(user_id: int) -> Viewer | None:
    return viewers([user_id]).get(user_id)


def _grant(viewer: Viewer | None, kind: str, key: str) -> Grant | None:
    if viewer is None:
        return None
    scope_seq = viewer.scope_seq
    if scope_seq is not None and viewer.scope_changed_at is not None:
        scope_seq = moved_scope_seq(viewer.user.pk)
    return Grant(
        user_id=viewer.user.pk,
        tenant_id=viewer.tenant_id,
        sites=viewer.sites,
        kind=kind,
        key=key,
        password=viewer.user.get_session_auth_hash(),
        scope_seq=scope_seq,
    )
