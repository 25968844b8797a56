"""The websocket paths of the site."""

from typing import Any

from django.urls import path, re_path

from apps.noc.feed.consumer import Receive, feed
from apps.noc.feed.outlet import Send


async def refuse(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Answer 403 on any other path; without it the server logs an error for each scan."""
    await receive()
    await send({"type": "websocket.close"})


websocket_urlpatterns = [
    path("ws/noc/", feed),  # type: ignore[arg-type]
    re_path(r"", refuse),  # type: ignore[arg-type]
]
