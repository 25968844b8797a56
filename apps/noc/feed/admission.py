"""Who may open the websocket: origin, credential, capability, and the scope that they get.

Everything here is synchronous and reads the database: call it in the feed's own threads. Tokens
cost two queries, sessions two, for any number of connections that are asked about together. A
ticket costs one more, and so does a membership in the minute after its sites were changed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from django.conf import settings

from apps.tenancy import tickets
from apps.tenancy.scope import moved_scope_seq
from apps.tenancy.sessions import hash_fits, logins_of
from apps.tenancy.tickets import SESSION, TOKEN
from apps.tenancy.tokens import digest_of, live_tokens
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


@dataclass(frozen=True, slots=True)
class Claim:
    """A credential before it was looked up. ``user_id``: whose ticket named it."""

    kind: str
    key: str
    user_id: int | None = None


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
    """Return what one connection rests on; see :func:`admit_all`."""
    return admit_all([credentials])[0]


def admit_all(asked: Sequence[Credentials]) -> list[Grant | None]:
    """
    Return for each connection, in order, what it rests on, or ``None``: refuse it.

    One credential decides alone: the header, else the ticket, else the cookie. A browser adds the
    session cookie to any page's connect, so a cookie counts only with an origin from the allow
    list; with a token or a ticket no origin is needed, but one that is sent must be allowed. A
    ticket is used up by this.
    """
    claims = [_claim(credentials) for credentials in asked]
    tokens = {claim.key for claim in claims if claim is not None and claim.kind == TOKEN}
    sessions = {claim.key for claim in claims if claim is not None and claim.kind == SESSION}
    holders = {each.digest: each.user_id for each in live_tokens(tokens)} if tokens else {}
    logins = logins_of(sessions) if sessions else {}
    user_ids = {*holders.values(), *(login.user_id for login in logins.values())}
    watching = viewers(user_ids) if user_ids else {}

    def judged(claim: Claim | None) -> Grant | None:
        if claim is None:
            return None
        if claim.kind == TOKEN:
            viewer = watching.get(holders.get(claim.key, 0))
        else:
            login = logins.get(claim.key)
            viewer = watching.get(login.user_id) if login is not None else None
            if viewer is None or login is None or not hash_fits(viewer.user, login.password_hash):
                return None
        if viewer is None or claim.user_id not in (None, viewer.user.pk):
            return None
        return _grant(viewer, claim)

    return [judged(claim) for claim in claims]


def _claim(credentials: Credentials) -> Claim | None:
    """Return the one credential that decides; nothing but a ticket is looked up yet."""
    if not all(origin_allowed(origin) for origin in credentials.origins):
        return None
    if credentials.authorization:
        scheme, _, token = credentials.authorization.partition(" ")
        digest = digest_of(token) if scheme.lower() == "token" else None
        return None if digest is None else Claim(TOKEN, digest)
    if credentials.ticket:
        made_with = tickets.use(credentials.ticket)
        if made_with is None:
            return None
        return Claim(made_with.kind, made_with.key, made_with.user_id)
    return Claim(SESSION, credentials.session_key) if credentials.origins else None


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


def _grant(viewer: Viewer, claim: Claim) -> Grant:
    scope_seq = viewer.scope_seq
    if scope_seq is not None and viewer.scope_changed_at is not None:
        scope_seq = moved_scope_seq(viewer.user.pk)
    return Grant(
        user_id=viewer.user.pk,
        tenant_id=viewer.tenant_id,
        sites=viewer.sites,
        kind=claim.kind,
        key=claim.key,
        password=viewer.user.get_session_auth_hash(),
        scope_seq=scope_seq,
    )
