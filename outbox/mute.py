"""The switch for restores and fixtures: writes without events, each use with its audit row."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections
from psycopg.pq import TransactionStatus

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
        cursor.execute("SELECT coalesce(current_setting('outbox.mute', true), '')")
        (outer,) = cursor.fetchone()
        cursor.execute("SELECT outbox_mute(%s)", [reason])
        try:
            yield
        finally:
            # After an error of the database nothing but a rollback is possible, which takes the
            # setting along. Any other error may be caught, and the transaction goes on.
            if connection.connection.info.transaction_status is TransactionStatus.INTRANS:
                cursor.execute("SELECT set_config('outbox.mute', %s, true)", [outer])
