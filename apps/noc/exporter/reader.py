"""
Asking the questions, within bounds of time.

One thread with one database session does it, so that scrapes cannot pile up in the database, and
the session is kept: a scrape works while others have used up the connections. A server that is
frozen, or behind a broken network, holds the thread and nobody else; it goes on by itself when the
session answers or is given up by its keepalives.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from django.db import DatabaseError, InterfaceError, connection, transaction

from apps.noc.exporter.questions import PARAMETERS, Question

logger = logging.getLogger("noc.exporter")

STATEMENT_SECONDS = 2
SCRAPE_SECONDS = 4  # the health check gives up after 5, Prometheus after 10
CLOSE_SECONDS = 1

# No lock is waited for: a migration that has one is more important than a scrape.
BEGIN = f"""
SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT set_config('statement_timeout', '{STATEMENT_SECONDS}s', true),
       set_config('lock_timeout', '200ms', true)
"""


@dataclass(slots=True)
class Reading:
    """The rows of each question, of one moment, as ``{column: value}``; and what failed."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)


class Reader:
    def __init__(self, questions: Sequence[Question], *, seconds: float = SCRAPE_SECONDS) -> None:
        self._questions = questions
        self._seconds = seconds
        self._asked: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        # A daemon, unlike those of an executor: a frozen server must not hold the process's end.
        threading.Thread(target=self._work, name="exporter", daemon=True).start()

    def read(self) -> Reading:
        """
        Ask everything; a question that fails alone is in ``failed``, the others are answered.

        Raises:
            DatabaseError, InterfaceError, OSError: the database does not answer.
            TimeoutError: not within ``seconds``.
        """
        asked = self.submit(self._read)
        try:
            reading: Reading = asked.result(self._seconds)
            return reading
        finally:
            asked.cancel()  # one that still waits for the thread

    def close(self) -> None:
        """End the session, unless it is stuck."""
        with contextlib.suppress(TimeoutError):
            self.submit(lambda: connection.close()).result(CLOSE_SECONDS)
        self._asked.put(None)

    def submit(self, call: Callable[[], Any]) -> Future[Any]:
        """Let the thread do something after what it has to do already."""
        asked: Future[Any] = Future()
        self._asked.put((asked, call))
        return asked

    def _work(self) -> None:
        while (item := self._asked.get()) is not None:
            asked, call = item
            if asked.set_running_or_notify_cancel():
                try:
                    asked.set_result(call())
                except BaseException as error:
                    asked.set_exception(error)

    def _read(self) -> Reading:
        kept = connection.connection is not None
        try:
            return self._ask()
        except (DatabaseError, InterfaceError):
            connection.close()
            if not kept:
                raise
        try:  # the server may have been restarted since the last scrape
            return self._ask()
        except (DatabaseError, InterfaceError):
            connection.close()
            raise

    def _ask(self) -> Reading:
        reading = Reading()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(BEGIN)
            for question in self._questions:
                try:
                    with transaction.atomic():  # one that fails takes no other with it
                        cursor.execute(question.sql, PARAMETERS)
                        names = [column.name for column in cursor.description]
                        reading.rows[question.name] = [
                            dict(zip(names, row, strict=True)) for row in cursor.fetchall()
                        ]
                except DatabaseError as error:
                    if connection.connection is None or connection.connection.closed:
                        raise
                    logger.warning(
                        "A question of the exporter failed",
                        extra={"question": question.name, "error": repr(error)},
                    )
                    reading.failed.append(question.name)
        return reading
