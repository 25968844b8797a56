"""Asking the database with an end: a frozen server answers nothing and closes nothing.

The question runs in a thread of its own, with a database connection of its own. When the time is
over the asker goes on, and the thread ends whenever the server lets it.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Generic, TypeVar

from django.db import connection, connections, transaction

T = TypeVar("T")


class TooLate(Exception):
    """No answer came in time."""


class Question(Generic[T]):
    """One question under way; :meth:`answer` may be called by several threads."""

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._done = threading.Event()
        self._answer: T | None = None
        self._error: BaseException | None = None
        threading.Thread(target=self._run, name="health", daemon=True).start()

    def answer(self, *, seconds: float) -> T:
        """
        Return the answer, or raise what the question raised.

        Raises:
            TooLate: there is none within ``seconds``.
        """
        if not self._done.wait(seconds):
            raise TooLate(f"no answer within {seconds:g} s")
        if self._error is not None:
            raise self._error
        return self._answer  # type: ignore[return-value]

    @property
    def under_way(self) -> bool:
        return not self._done.is_set()

    def _run(self) -> None:
        try:
            self._answer = self._ask()
        except BaseException as error:
            self._error = error
        finally:
            with suppress(Exception):
                connections.close_all()
            self._done.set()


class Single(Generic[T]):
    """
    One question at a time, whoever asks: those who come meanwhile share its answer.

    So what many ask costs what one asks, and a server that is frozen holds one thread.
    """

    def __init__(self, ask: Callable[[], T]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._present: Question[T] | None = None

    def answer(self, *, seconds: float) -> T:
        with self._lock:
            if self._present is None or not self._present.under_way:
                self._present = Question(self._ask)
            question = self._present
        return question.answer(seconds=seconds)


def within(seconds: float, ask: Callable[[], T]) -> T:
    """Return what ``ask`` returns; raises ``TooLate`` when that takes longer than ``seconds``."""
    return Question(ask).answer(seconds=seconds)


LIMIT = "SELECT set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true)"


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Let no statement of the block take longer, by the server's own clock."""
    milliseconds = f"{round(seconds * 1000)}ms"
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(LIMIT, [milliseconds, milliseconds])
        yield
