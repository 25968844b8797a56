"""Looking again at what sockets rest on: at each change of access, and for all now and then.

Synchronous, at most three queries for any number of sockets: call it in the feed's own threads.
"""

from collections.abc import Sequence
from dataclasses import replace

from apps.noc.feed.admission import Grant
from apps.tenancy.sessions import live_sessions
from apps.tenancy.tickets import SESSION, TOKEN
from apps.tenancy.tokens import Holder, live_tokens
from apps.tenancy.viewers import Viewer, viewers

EXPIRED, REVOKED = 4401, 4403  # close codes: log in again; nothing to be done by the client


def review(grants: Sequence[Grant]) -> list[Grant | int]:
    """
    Return for each grant, in order, what it is now, or the close code of the socket.

    The same object: nothing changed. Another one: the sites changed. Who may not watch any more
    gets 4403, also when their session has ended too; who may, 4401 when the session or token has
    ended or the password is another one.
    """
    watching = viewers({grant.user_id for grant in grants})
    sessions = {grant.key for grant in grants if grant.kind == SESSION}
    tokens = {grant.key for grant in grants if grant.kind == TOKEN}
    alive: set[str | Holder] = set()
    if sessions:
        alive |= live_sessions(sessions)
    if tokens:
        alive |= live_tokens(tokens)
    return [_judged(grant, watching.get(grant.user_id), alive) for grant in grants]


def _judged(grant: Grant, viewer: Viewer | None, alive: set[str | Holder]) -> Grant | int:
    if viewer is None or viewer.tenant_id != grant.tenant_id:
        return REVOKED
    credential = grant.key if grant.kind == SESSION else Holder(grant.user_id, grant.key)
    if credential not in alive or viewer.user.get_session_auth_hash() != grant.password:
        return EXPIRED
    if viewer.sites == grant.sites:
        return grant
    return replace(grant, sites=viewer.sites, scope_seq=viewer.scope_seq)
