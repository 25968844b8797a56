"""
``Idempotency-Key``: a write that is sent again is answered again, and not done again.

# Note [The key's row comes first]
The row of the key is inserted before the write and in its transaction. So a request with the same
key that comes meanwhile waits on the unique index until the first has ended: then it reads the
answer, or does the write itself when the first failed. What failed is rolled back with its row, so
the key of an error is free. No state in between needs a name, a time-out or a repair.
"""

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

from django.core.exceptions import RequestDataTooBig
from django.db import OperationalError, connection, transaction
from django.utils.encoding import iri_to_uri
from psycopg import errors
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from apps.tenancy.access import Access
from apps.tenancy.http.bodies import MAX_BYTES
from apps.tenancy.http.problems import Problem

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
METHODS = frozenset({"POST", "PATCH", "DELETE"})
KEPT_HOURS = 24
KEPT_HEADERS = ("ETag",)
RETRY_SECONDS = 1
_KEY = re.compile(r"[\x21-\x7e]{1,255}")

# Waits for who holds the same key at this moment, at most the role's lock_timeout.
CLAIM = """
INSERT INTO tenancy_keptanswer (user_id, key, fingerprint, status, headers, body)
VALUES (%(user)s, %(key)s, %(fingerprint)s, 0, '{}', '')
ON CONFLICT (user_id, key) DO NOTHING
RETURNING id
"""
READ = """
SELECT fingerprint, status, headers::text, body FROM tenancy_keptanswer
 WHERE user_id = %(user)s AND key = %(key)s
"""
KEEP = """
UPDATE tenancy_keptanswer SET status = %(status)s, headers = %(headers)s, body = %(body)s
 WHERE id = %(id)s
"""
FORGET = """
DELETE FROM tenancy_keptanswer
 WHERE id IN (SELECT id FROM tenancy_keptanswer
               WHERE made_at < statement_timestamp() - make_interval(hours => %s)
               ORDER BY made_at LIMIT %s)
"""

Handler = Callable[..., Response]


class _Undone(Exception):
    """Carries an answer that is an error out of the transaction, so that nothing is kept of it."""

    def __init__(self, response: Response) -> None:
        self.response = response


def once(handler: Handler, access: Access, key: str) -> Handler:
    """
    Return ``handler`` so that it acts once per user and ``key``.

    The transaction around it is the one in which its own ``atomic`` blocks become savepoints.
    """

    def answer(request: Request, *args: Any, **kwargs: Any) -> Response:
        values = {
            "user": access.user_id,
            "key": checked(key),
            "fingerprint": fingerprint(request, access),
        }
        try:
            with transaction.atomic():
                mine = _claim(values)
                if mine is None:
                    return _kept(values)
                response = handler(request, *args, **kwargs)
                if response.status_code >= 400:
                    raise _Undone(response)
                _keep(mine, response)
                return response
        except _Undone as undone:
            return undone.response
        except OperationalError as error:
            if not isinstance(error.__cause__, errors.DeadlockDetected):
                raise
            raise _busy("Another write was in the way of this one, and nothing was done") from error

    return answer


def checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise Problem(400, f"{HEADER}: give 1 to 255 visible ASCII characters, like a UUID.")
    return key


def fingerprint(request: Request, access: Access) -> str:
    """
    Return a digest of what is asked and of the scope it is asked in.

    With the scope, an answer is never given again to who may not see all of it any more.
    """
    try:
        if int(request.META.get("CONTENT_LENGTH") or 0) > MAX_BYTES:
            raise RequestDataTooBig
        body = request.body
    except (RequestDataTooBig, ValueError) as error:
        raise Problem(413, f"The body is larger than {MAX_BYTES:,} bytes: send less.") from error
    scope = [access.tenant_id, None if access.sites is None else sorted(access.sites)]
    asked = [request.method, iri_to_uri(request.get_full_path()), request.headers.get("If-Match")]
    return hashlib.sha256(json.dumps([scope, asked]).encode() + b"\0" + body).hexdigest()


def forget(*, limit: int) -> int:
    """Delete at most ``limit`` answers that were kept for 24 h; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(FORGET, [KEPT_HOURS, limit])
        return int(cursor.rowcount)


def _claim(values: dict[str, Any]) -> int | None:
    """Return the id of the key's new row; None when there is one."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(CLAIM, values)
            row = cursor.fetchone()
    except OperationalError as error:
        if not isinstance(error.__cause__, errors.LockNotAvailable):
            raise
        raise _busy(f"The first request with this {HEADER} is still at work") from error
    return None if row is None else int(row[0])


def _kept(values: dict[str, Any]) -> Response:
    with connection.cursor() as cursor:
        cursor.execute(READ, values)
        row = cursor.fetchone()
    if row is None:  # its 24 hours ended between the two statements
        raise _busy(f"This {HEADER} was just forgotten")
    found, status, headers, body = row
    if found != values["fingerprint"]:
        raise Problem(
            422,
            f"This {HEADER} was used for another method, path, If-Match or body, or your sites"
            " have changed since: use a new key for a new write.",
        )
    kept = json.loads(headers) | {REPLAYED: "true"}
    return Response(json.loads(body) if body else None, status=status, headers=kept)


def _keep(id_: int, response: Response) -> None:
    body = "" if response.data is None else JSONRenderer().render(response.data).decode()
    headers = {name: response[name] for name in KEPT_HEADERS if response.has_header(name)}
    with connection.cursor() as cursor:
        cursor.execute(
            KEEP,
            {
                "id": id_,
                "status": response.status_code,
                "headers": json.dumps(headers),
                "body": body,
            },
        )


def _busy(what: str) -> Problem:
    return Problem(409, f"{what}: send it again in {RETRY_SECONDS} s.", wait=RETRY_SECONDS)
