"""
The limit of sockets per user, over all web processes, kept in PostgreSQL.

Why the limit is never exceeded: who takes leases first locks their users, and counts in a later
statement. Its snapshot is taken while it holds the locks, so it sees the leases of all who held
one of them before: these are committed before the lock is free. Many users share a lock, so
that a thousand clients which come back at once do not fill the server's lock table.

A process that ends without ``leave`` stops beating. After 60 s its leases do not count; it
takes itself for lost 10 s earlier, so it never relies on leases that others have ceased to count.

All times are the database's. Call this in the feed's own threads.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db import connection, transaction

BEAT_SECONDS = 15  # how often a process should beat
TRUSTED_SECONDS = 50  # since the last beat: the process may rely on its leases
LOST_SECONDS = 60  # since the last beat: others do not count them any more

LOCK = int.from_bytes(b"feed", "big")  # class of the advisory locks; the second key is a bucket
BUCKETS = 64

# In rising order, so that two takers cannot wait for each other.
LOCK_USERS = """
SELECT pg_advisory_xact_lock(%(lock)s, b.bucket)
  FROM unnest(%(buckets)s::int[]) AS b(bucket)
"""
# Oldest wish first; who stands behind another wish of the same user counts it as granted. A lease
# that the process has already is granted again: its last call may have failed after the commit.
TAKE = """
WITH trusted AS (
  SELECT id FROM noc_feedprocess
   WHERE id = %(process)s
     AND seen_at > clock_timestamp() - make_interval(secs => %(trusted)s)),
wanted AS (
  SELECT w.id, w.user_id, row_number() OVER (PARTITION BY w.user_id ORDER BY w.n) AS place
    FROM unnest(%(ids)s::uuid[], %(users)s::bigint[]) WITH ORDINALITY AS w(id, user_id, n)),
held AS (
  SELECT l.user_id, count(*) AS n
    FROM noc_feedlease l JOIN noc_feedprocess p ON p.id = l.process_id
   WHERE l.user_id = ANY(%(users)s) AND l.id <> ALL (%(ids)s)
     AND p.seen_at > clock_timestamp() - make_interval(secs => %(lost)s)
   GROUP BY l.user_id),
granted AS (
  INSERT INTO noc_feedlease (id, user_id, process_id)
  SELECT w.id, w.user_id, t.id
    FROM wanted w CROSS JOIN trusted t LEFT JOIN held h USING (user_id)
   WHERE w.place + coalesce(h.n, 0) <= %(limit)s
  ON CONFLICT (id) DO UPDATE SET process_id = EXCLUDED.process_id
  RETURNING id)
SELECT EXISTS (SELECT FROM trusted), ARRAY(SELECT id FROM granted)
"""
SEEN = """
INSERT INTO noc_feedprocess (id, started_at, seen_at)
VALUES (%s, statement_timestamp(), statement_timestamp())
ON CONFLICT (id) DO UPDATE SET seen_at = EXCLUDED.seen_at
RETURNING started_at < seen_at
"""
# A beat of the same moment wins: the row is looked at again once its lock is held.
REMOVE_LOST = """
DELETE FROM noc_feedprocess
 WHERE seen_at <= clock_timestamp() - make_interval(
         secs => CASE WHEN id = %(process)s THEN %(trusted)s ELSE %(lost)s END)
"""
# Leases follow their process, also those that it took while it was removed.
REMOVE_LEFT_BEHIND = """
DELETE FROM noc_feedlease l
 WHERE NOT EXISTS (SELECT FROM noc_feedprocess p WHERE p.id = l.process_id)
"""
LEAVE = "DELETE FROM noc_feedprocess WHERE id = %s"
RELEASE = "DELETE FROM noc_feedlease WHERE id = ANY(%s)"


class ProcessLost(Exception):
    """The process did not beat in time: ``beat``, then take a lease again for each socket."""


def enter(process: UUID) -> None:
    """Make the process known; before the first lease."""
    beat(process)


@transaction.atomic
def beat(process: UUID) -> bool:
    """
    Say that the process is alive, and remove those that are not. To be called every 15 s.

    Return whether its leases still count. ``False``: they are gone (it was not seen for too long);
    the process is known again, and must take a lease for each of its sockets, ending
    those that get none.
    """
    with connection.cursor() as cursor:
        cursor.execute(REMOVE_LOST, _bounds(process))
        cursor.execute(REMOVE_LEFT_BEHIND)
        cursor.execute(SEEN, [process])
        return bool(cursor.fetchone()[0])


@transaction.atomic
def leave(process: UUID) -> None:
    """Give back all leases of the process; it is not known any more."""
    with connection.cursor() as cursor:
        cursor.execute(LEAVE, [process])
        cursor.execute(REMOVE_LEFT_BEHIND)


@transaction.atomic
def take(process: UUID, wanted: Sequence[tuple[UUID, int]], limit: int) -> set[UUID]:
    """
    Take a lease for each ``(lease id, user id)``, as long as the user has less than ``limit``.

    Return the ids of those that were granted, in two statements for any number; those that
    come first in ``wanted`` are preferred.

    Raises:
        ProcessLost: the process is not known, or did not beat in time; nothing was taken.
    """
    ids, users = [lease for lease, _ in wanted], [user for _, user in wanted]
    with connection.cursor() as cursor:
        buckets = sorted({user % BUCKETS for user in users})
        cursor.execute(LOCK_USERS, {"lock": LOCK, "buckets": buckets})
        values = {"ids": ids, "users": users, "limit": limit, **_bounds(process)}
        cursor.execute(TAKE, values)
        trusted, granted = cursor.fetchone()
    if not trusted:
        raise ProcessLost
    return set(granted)


def release(ids: Sequence[UUID]) -> None:
    """Give back leases; those that are gone already do no harm."""
    with connection.cursor() as cursor:
        cursor.execute(RELEASE, [list(ids)])


def _bounds(process: UUID) -> dict[str, Any]:
    return {"process": process, "trusted": TRUSTED_SECONDS, "lost": LOST_SECONDS}
