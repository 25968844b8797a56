"""Texts of events and errors as they may be shown, and the names of those who acted."""

import re
from collections.abc import Iterable
from datetime import datetime

from django.contrib.auth.models import User

from apps.noc.failures.scope import Scope

# They turn the direction of what follows, so that a text reads as another one.
_TURNS = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_USER = re.compile(r"user:([0-9]{1,18})")


def plain(text: str) -> str:
    """Return the text with the signs that change its direction made visible."""
    return _TURNS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def short(text: str, length: int = 120) -> str:
    text = plain(text)
    return text if len(text) <= length else f"{text[: length - 1]}…"


def utc(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else "-"


def names(actors: Iterable[str | None], scope: Scope) -> dict[str, str]:
    """
    Return what each actor, like ``user:7``, is called, in one query.

    Whoever is not of the tenant is not named to its admins.
    """
    asked = {actor for actor in actors if actor}
    ids = {int(found[1]): actor for actor in asked if (found := _USER.fullmatch(actor))}
    users = User.objects.filter(pk__in=ids)
    if scope.stream is not None:
        users = users.filter(membership__tenant_id=int(scope.stream.partition(":")[2] or 0))
    known = {ids[pk]: name for pk, name in users.values_list("pk", "username")}
    unknown = {actor: "the provider" if scope.stream is not None else actor for actor in asked}
    return unknown | known
