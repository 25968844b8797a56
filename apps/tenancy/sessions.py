"""Browser sessions as the feed needs them: Django's rows, read without Django's side effects.

Its ``get_user`` ends a session whose password hash is stale, and moves one that an older secret
key signed to a new key: a websocket cannot send the new cookie, so the browser would be logged out.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db.models.functions import Now
from django.utils.crypto import constant_time_compare


@dataclass(frozen=True, slots=True)
class Login:
    """Who is logged in to a session; ``password_hash`` is of the password of that time."""

    user_id: int
    password_hash: str


def logins_of(keys: Collection[str]) -> dict[str, Login]:
    """Return, by key, the logins of those of ``keys`` whose session is live; in one query."""
    # A quoted cookie can carry a NUL.
    sound = [key for key in keys if key.isascii() and key.isalnum()]
    found = Session.objects.filter(session_key__in=sound, expire_date__gt=Now())
    logins = {session.session_key: _login(session.get_decoded()) for session in found}
    return {key: login for key, login in logins.items() if login is not None}


def _login(data: Mapping[str, Any]) -> Login | None:
    if data.get(BACKEND_SESSION_KEY) not in settings.AUTHENTICATION_BACKENDS:
        return None
    try:
        return Login(int(data[SESSION_KEY]), data.get(HASH_SESSION_KEY, ""))
    except (KeyError, ValueError):
        return None


def hash_fits(user: User, session_hash: str) -> bool:
    """Tell whether the session was made with the user's present password."""
    hashes = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    return any(constant_time_compare(session_hash, each) for each in hashes)


def live_sessions(keys: Collection[str]) -> set[str]:
    """Return those of ``keys`` whose session exists and has not expired."""
    live = Session.objects.filter(session_key__in=keys, expire_date__gt=Now())
    return set(live.values_list("session_key", flat=True))


def session_digest(key: str) -> str:
    """Return the name of a session in messages, which must not carry its key."""
    return sha256(key.encode()).hexdigest()


def end_all(user_id: int) -> int:
    """
    Delete every session that the user is logged in to; return how many.

    Sessions are not kept by user, so all live ones are read: some milliseconds for a thousand.
    """
    live = Session.objects.filter(expire_date__gt=Now())
    logins = ((each.session_key, _login(each.get_decoded())) for each in live.iterator())
    theirs = [key for key, login in logins if login is not None and login.user_id == user_id]
    return Session.objects.filter(pk__in=theirs).delete()[0]


def forget_expired(limit: int) -> int:
    """Delete at most ``limit`` sessions that have expired; return how many."""
    keys = Session.objects.filter(expire_date__lt=Now()).values("pk")[:limit]
    return Session.objects.filter(pk__in=keys).delete()[0]
