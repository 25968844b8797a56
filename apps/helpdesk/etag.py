"""A ticket's version as its ETag, and ``If-Match`` read back from a request."""

import re

from apps.tenancy.http.problems import Problem

_ONE = re.compile(r'(?:W/)?"(\d{1,10})"|(\d{1,10})', re.ASCII)


def etag(version: int) -> str:
    return f'"{version}"'


def expected_version(if_match: str | None) -> int | None:
    """
    Return the version that the caller has in hand; None when the header is absent or ``*``.

    A weak tag and a bare number are taken too: proxies weaken tags, and people forget quotes.

    Raises:
        Problem: the header is anything else (400).
    """
    if if_match is None or if_match.strip() == "*":
        return None
    found = _ONE.fullmatch(if_match.strip())
    if found is None:
        raise Problem(400, 'If-Match must be the one ETag that the ticket was read with, like "3".')
    return int(found[1] or found[2])
