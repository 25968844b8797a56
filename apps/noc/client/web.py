"""The few HTTP requests of a client of the feed."""

import json
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from apps.noc.client.errors import FeedStopped

TIMEOUT_SECONDS = 30.0


def snapshot(feed_url: str, token: str) -> dict[str, Any]:
    """
    Return the open tickets with the place in the log that they stand for.

    Raises:
        OSError: the server did not answer, or failed.
        FeedStopped: it refused the token.
    """
    try:
        return _get(feed_url, "/api/v1/noc/snapshot/", token)
    except HTTPError as error:
        with error:
            if error.code in (401, 403):
                raise FeedStopped(403, why_refused(feed_url, token)) from None
            raise OSError(f"the snapshot answered {error.code}") from None


def why_refused(feed_url: str, token: str) -> str:
    """Ask why the feed refuses this token."""
    try:
        return str(_get(feed_url, "/api/v1/auth/me/", token)["refused"] or "refused")
    except HTTPError as error:
        with error:
            return "the token is not valid" if error.code == 401 else "refused"
    except (OSError, ValueError, KeyError):
        return "refused"


def _get(feed_url: str, path: str, token: str) -> dict[str, Any]:
    url = urlsplit(feed_url)
    address = f"{'https' if url.scheme == 'wss' else 'http'}://{url.netloc}{path}"
    headers = {"Authorization": f"Token {token}", "Accept": "application/json"}
    request = Request(address, headers=headers)  # noqa: S310 - http or https, see above
    with urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310
        read: dict[str, Any] = json.load(answer)
    return read
