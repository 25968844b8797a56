"""
Single-use tickets for the websocket: for clients that can set no header there but a subprotocol.

A ticket stands for the session or token that it was made with. It is kept as a digest only, counts
by the database's clock, and whoever deletes its row first has used it.
"""

import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from django.db import connection, transaction

VALID_SECONDS = 30
SESSION, TOKEN = "session", "token"  # what it may be made with
MAX_UNUSED = 10  # per user
PREFIX = "noc.ticket."  # of the subprotocol; with the id it is one token of RFC 9110

LOCK = int.from_bytes(b"tick", "big")  # class of the advisory locks; the user is the second key

# Who comes at the same time cleans up other rows, instead of waiting.
CLEAN_UP = """
DELETE FROM tenancy_wsticket
 WHERE digest IN (SELECT digest FROM tenancy_wsticket WHERE expires_at <= clock_timestamp()
                   LIMIT 1000 FOR UPDATE SKIP LOCKED)
"""
# After the user's lock in a statement of its own, so that the count sees all that others made.
TAKE_TURN = "SELECT pg_advisory_xact_lock(%(lock)s, hashint8(%(user)s))"
INSERT = """
INSERT INTO tenancy_wsticket (digest, user_id, kind, key, expires_at)
SELECT %(digest)s, %(user)s, %(kind)s, %(key)s,
       clock_timestamp() + make_interval(secs => %(seconds)s)
 WHERE (SELECT count(*) FROM tenancy_wsticket
         WHERE user_id = %(user)s AND expires_at > clock_timestamp()) < %(most)s
RETURNING digest
"""
USE = """
DELETE FROM tenancy_wsticket WHERE digest = %s AND expires_at > clock_timestamp()
RETURNING user_id, kind, key
"""


class TooManyTickets(Exception):
    """The user has 10 tickets that were not used: use one, or wait until they expire."""


@dataclass(frozen=True, slots=True)
class Credential:
    """What a ticket stands for: ``key`` is a session's key or a token's digest."""

    user_id: int
    kind: str
    key: str


@transaction.atomic
def issue(credential: Credential) -> str:
    """
    Return the id of a new ticket, which is valid once and for 30 s; it cannot be shown again.

    Raises:
        TooManyTickets: the user has 10 unused ones.
    """
    ticket = secrets.token_urlsafe(32)
    values: dict[str, Any] = {
        "digest": _digest(ticket),
        "user": credential.user_id,
        "kind": credential.kind,
        "key": credential.key,
        "seconds": VALID_SECONDS,
        "most": MAX_UNUSED,
        "lock": LOCK,
    }
    with connection.cursor() as cursor:
        cursor.execute(CLEAN_UP)
        cursor.execute(TAKE_TURN, values)
        cursor.execute(INSERT, values)
        if cursor.fetchone() is None:
            raise TooManyTickets
    return ticket


def use(ticket: str) -> Credential | None:
    """Return what the ticket stands for, None when it is unknown, expired or used."""
    with connection.cursor() as cursor:
        cursor.execute(USE, [_digest(ticket)])
        row = cursor.fetchone()
    return None if row is None else Credential(*row)


def _digest(ticket: str) -> str:
    return sha256(ticket.encode()).hexdigest()
