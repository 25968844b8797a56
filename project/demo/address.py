"""The control socket of an instance: where it is, and how to ask it.

A line of JSON each way: ``{}`` or ``{"fault": NAME, "on": true}``; the answer has ``faults`` or
``error``. The socket lies in the data folder. A path in the address of a Unix socket has at most
107 bytes, and that of the folder may be longer, so it is named by the folder's descriptor.
"""

import contextlib
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 5.0  # the supervisor looks ten times a second, unless it waits for a server
LINE_BYTES = 4096


class ControlError(Exception):
    """The supervisor refuses, or does not answer: the text says which."""


@contextlib.contextmanager
def short(path: Path) -> Iterator[str]:
    """An address of the socket ``path`` that is short whatever the folder."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def ask(path: Path, request: dict[str, Any]) -> dict[str, Any]:
    """
    Return the supervisor's answer.

    Raises:
        ControlError: it refuses, or does not answer in time.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection, short(path) as address:
            connection.settimeout(TIMEOUT_SECONDS)
            connection.connect(address)
            connection.sendall(json.dumps(request).encode() + b"\n")
            answer: dict[str, Any] = json.loads(read_line(connection))
    except (OSError, ValueError) as error:
        raise ControlError(f"The supervisor does not answer: {error}") from error
    if "error" in answer:
        raise ControlError(answer["error"])
    return answer


def read_line(connection: socket.socket) -> bytes:
    """Return what came up to the first line feed, or to the end."""
    line = b""
    while not line.endswith(b"\n") and (part := connection.recv(LINE_BYTES)):
        line += part
        if len(line) > LINE_BYTES:
            raise ValueError("the line is too long")
    return line
