"""
Devices: tokens with a name, which their owner can tell apart and revoke.

A token that was made without a name has no device. They are listed under an id that names the token
and helps nobody to use it. Tokens without a name have no bound, so the list has one: it keeps those
with a name, of which there are few, and the newest of the others.
"""

import logging
import re
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import DatabaseError, connection, transaction
from django.db.models import Q, QuerySet
from knox.models import AuthToken

from apps.tenancy.models import Device

logger = logging.getLogger(__name__)

MAX_NAME = 100  # characters
MOST = 50  # per user
LISTED = 200  # tokens of a user, with a name or without
ID = re.compile(r"[0-9a-f]{16}")

# At most one write a minute for each device. It takes no lock that it would have to wait for.
USED = """
UPDATE tenancy_device SET last_used_at = statement_timestamp()
 WHERE id = (SELECT id FROM tenancy_device
              WHERE token_id = %s AND (last_used_at IS NULL
                 OR last_used_at < statement_timestamp() - interval '1 minute')
                FOR NO KEY UPDATE SKIP LOCKED)
"""


class TooManyDevices(Exception):
    """The user has 50 devices: revoke one that is not used any more."""

    def __str__(self) -> str:
        return f"You have {MOST} devices: revoke one that you do not use any more."


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A token as its owner sees it. ``name`` is empty and ``last_used_at`` unknown of old ones."""

    id: str
    name: str
    read_only: bool
    created_at: datetime
    last_used_at: datetime | None
    current: bool  # it is the token that was asked with


@dataclass(frozen=True, slots=True)
class Listing:
    """The tokens of a user, newest first, and how many older ones without a name there are."""

    devices: list[Listed]
    more: int


@transaction.atomic
def add(user: User, *, name: str, read_only: bool) -> tuple[Listed, str]:
    """
    Return a new device with its token, which cannot be shown again.

    Raises:
        TooManyDevices: the user has 50 of them.
    """
    User.objects.select_for_update(no_key=True).get(pk=user.pk)  # one after the other
    if Device.objects.filter(token__user=user).count() >= MOST:
        raise TooManyDevices
    token, secret = AuthToken.objects.create(user)
    Device.objects.create(token=token, name=name, read_only=read_only)
    return _listed(token, asked_with=None), secret


def devices_of(user: User, *, asked_with: object = None) -> Listing:
    """Return at most 200 tokens of ``user``; ``asked_with`` is the request's own, if any."""
    tokens = _tokens_of(user).select_related("device").annotate(nameless=Q(device=None))
    found = list(tokens.order_by("nameless", "-created", "digest")[: LISTED + 1])
    more = _tokens_of(user).count() - LISTED if len(found) > LISTED else 0
    newest_first = sorted(
        found[:LISTED], key=lambda token: (-token.created.timestamp(), token.digest)
    )
    return Listing([_listed(token, asked_with=asked_with) for token in newest_first], more)


def revoke(user: User, device_id: str) -> bool:
    """End a token of ``user``, and with it its sockets; tell whether there was one."""
    if not ID.fullmatch(device_id):
        return False
    return _tokens_of(user).filter(digest__startswith=device_id).delete()[0] > 0


def revoke_all(user: User) -> None:
    """End all tokens of ``user``."""
    _tokens_of(user).delete()


def is_read_only(auth: object) -> bool:
    """Tell whether a request that was made with ``auth`` may only read."""
    device = getattr(auth, "device", None)
    return isinstance(device, Device) and device.read_only


def used(token: AuthToken) -> None:
    """Note that the token was used. What hinders that does not hinder the request."""
    if getattr(token, "device", None) is None:
        return
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(USED, [token.pk])
    except DatabaseError:
        logger.warning("The last use of a token was not noted", exc_info=True)


def _tokens_of(user: User) -> QuerySet[AuthToken]:
    tokens: QuerySet[AuthToken] = AuthToken.objects.filter(user=user)
    return tokens


def _listed(token: AuthToken, *, asked_with: object) -> Listed:
    device: Device | None = getattr(token, "device", None)
    return Listed(
        id=token.digest[:16],
        name=device.name if device else "",
        read_only=device is not None and device.read_only,
        created_at=token.created,
        last_used_at=device.last_used_at if device else None,
        current=isinstance(asked_with, AuthToken) and asked_with.pk == token.pk,
    )
