"""The switch for restores and fixtures: writes without events, each use with its audit row."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections

from outbox.errors import NotInTransaction


@contextmanager
def mute(*, reason: str, using: str = "default") -> Iterator[None]:
    """
    Capture nothing inside. ``reason`` is kept with the role and the time in ``outbox_mute``.

    In SQL: ``SELECT outbox_mute('reason')`` inside a transaction mutes what follows in it.

    Raises:
        NotInTransaction: no ``atomic`` block is open; the switch is local to one.
        ValueError: the reason is empty.
    """
    connection = connections[using]
    if not connection.in_atomic_block:
        raise NotInTransaction("mute() is local to a transaction: open an atomic block around it")
    if not reason.strip():
        raise ValueError("mute() needs a reason: say what is being loaded, and why without events")
    with connection.cursor() as cursor:
        cursor.execute("SELECT outbox_mute(%s)", [reason])
        yield
        # After an error the transaction is over for writes, and the setting dies with it.
        if not connection.needs_rollback:
            cursor.execute("SELECT set_config('outbox.mute', '', true)")
