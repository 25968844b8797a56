"""Django's handler of HTTP requests, with the length of a body that came in chunks."""

import os
from typing import IO, Any

from django.core.handlers.asgi import ASGIHandler, ASGIRequest


class Request(ASGIRequest):
    """
    One request. When it came by ``Transfer-Encoding``, its length is that of what came.

    Without a length, Django reads a body whatever its size, and the API's framework reads none: a
    write would be answered with success and do nothing.
    """

    def __init__(self, scope: dict[str, Any], body_file: IO[bytes]) -> None:
        super().__init__(scope, body_file)
        if "HTTP_TRANSFER_ENCODING" in self.META:
            self.META["CONTENT_LENGTH"] = str(body_file.seek(0, os.SEEK_END))
            body_file.seek(0)


class Handler(ASGIHandler):
    """What ``get_asgi_application`` returns, but for the requests."""

    request_class = Request
