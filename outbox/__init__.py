"""
A transactional outbox for Django on PostgreSQL: captured in the save, relayed in order, once.

A change writes a message in its own transaction (:mod:`outbox.capture`, :func:`publish`). The relay
moves messages into the event log with gapless numbers per stream and hands them to a sink.
The package knows no application, no task queue and no transport: both are dotted paths in
``settings.OUTBOX``.
"""

from outbox.capture import capture_delete, capture_insert, capture_update
from outbox.context import context
from outbox.mute import mute
from outbox.publish import publish

__all__ = [
    "capture_delete",
    "capture_insert",
    "capture_update",
    "context",
    "mute",
    "publish",
]
