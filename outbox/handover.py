"""
Handing recorded events to the sink, outside any transaction and lock.

Note [Kinds of failure]
- *Transport*: the sink says that nothing goes through (``TransportDown``, ``OSError``). The lane's
  publishing pauses, no event is blamed, recording goes on.
- *Sink*: it fails otherwise, and also at an event that it took before. The same, by another name.
- *Sink error*: it fails at some events alone and takes others. Those are tried a few times in
  place, then they are dead letters; the others have passed by then.
- *Crash*: see Note [Crashes] in :mod:`outbox.takeover`.
- *Poison*, what can never be delivered, is filed when it was recorded, whatever the sink does.
"""

import logging
import random
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic, sleep
from typing import Any

import psycopg
from django.utils import timezone

from outbox import dead_letters, failpoints, slices, sql, takeover
from outbox.conf import Targets, outbox_settings
from outbox.dead_letters import SINK_ERROR, Attempt
from outbox.errors import TransportDown
from outbox.log import LogRow
from outbox.redaction import error_text, traceback_text
from outbox.slices import Slice
from outbox.takeover import TakenOver, Takeover

logger = logging.getLogger("outbox.relay")

BACKOFF_CAP_SECONDS = 30
RETRY_SECONDS = (0.2, 0.6)  # before the second and the third try at events that fail alone


SETTLE_SECONDS = 0.2  # of single events that passed, what a process that dies now leaves unmarked


class TimeOver(Exception):
    """The deadline came in the middle of single events: the next drain goes on with the rest."""


class SinkDown(Exception):
    """The sink takes nothing at present; ``kind`` is ``transport`` or ``sink``."""

    def __init__(self, kind: str, error: Exception) -> None:
        super().__init__(str(error))
        self.kind = kind
        self.error = error


def hand_over(
    connection: psycopg.Connection,
    lane: int,
    rows: Sequence[LogRow],
    behind: Sequence[Slice],
    *,
    deadline: float,
) -> bool:
    """
    Hand over ``rows``, just recorded, and what is ``behind``; move the marks over both.

    Return whether all of it is done. Otherwise the next look at the marks finds the rest.
    """
    mark = takeover.begin(connection, lane) if behind else None
    try:
        return _hand_over(connection, lane, mark, rows, behind, deadline)
    except BaseException:
        if mark is not None:  # this process lives: whatever failed, no event has ended it
            with suppress(psycopg.Error):
                mark.take_away(connection)
        raise


def _hand_over(
    connection: psycopg.Connection,
    lane: int,
    mark: Takeover | None,
    rows: Sequence[LogRow],
    behind: Sequence[Slice],
    deadline: float,
) -> bool:
    done = _Handover(connection, deadline)
    try:
        if not behind:
            done.deliver(rows)
        elif mark is None:  # somebody is at it; the marks cannot move past what they have
            done.deliver(rows)
            done.settle(slices.of_rows(rows))
            return False
        elif not _take_over(connection, done, mark, rows, behind, deadline):
            done.settle([])
            connection.execute(sql.RESUME_PUBLISHING, {"lane": lane, "token": mark.token})
            return False
    except SinkDown as down:
        done.settle([])
        _pause(connection, lane, mark, down)
        if mark is not None:
            mark.survived(connection)
        return False
    except TakenOver:
        done.settle(slices.of_rows(rows))
        if mark is not None:
            mark.survived(connection)
        return False
    except TimeOver:
        done.settle([])
        takeover.hand_back(connection, lane, mark)
        return False
    failpoints.hit("published")
    done.settle([*behind, *slices.of_rows(rows)])
    failpoints.hit("marked")
    if mark is not None:
        connection.execute(sql.RESUME_PUBLISHING, {"lane": lane, "token": mark.token})
    return True


def _take_over(
    connection: psycopg.Connection,
    done: "_Handover",
    mark: Takeover,
    rows: Sequence[LogRow],
    behind: Sequence[Slice],
    deadline: float,
) -> bool:
    """Deliver what is behind together with ``rows``; return False when the deadline came first."""
    settings = outbox_settings()
    missed = slices.count(behind)
    if missed > settings.push_rounds * settings.batch:
        # Long ago in the eyes of a live client, which has read it from the log by now.
        done.deliver(rows)
        logger.warning("Backlog not pushed", extra={"lane": mark.lane, "events": missed})
        return _pass_over(connection, behind, deadline)
    left = slices.read(connection, behind)
    dead_letters.judge(connection, left, now=timezone.now())  # its holder may have died before
    left = takeover.not_dead(connection, left)
    if mark.died:
        done.deliver(rows)  # first: what killed the other may kill this process too
        done.deliver_solo(mark, left, behind)
    else:
        done.deliver(sorted([*left, *rows], key=lambda row: (row.stream, row.seq)))
    return True


def _pass_over(connection: psycopg.Connection, behind: Sequence[Slice], deadline: float) -> bool:
    """Judge what nobody pushes, page by page; return False when the deadline came first."""
    settings = outbox_settings()
    for page in slices.pages(behind, size=settings.push_rounds * settings.batch):
        if monotonic() >= deadline:
            return False
        if settings.verdict is not None:
            dead_letters.judge(connection, slices.read(connection, page), now=timezone.now())
        slices.mark(connection, page, [])
    return True


def _pause(
    connection: psycopg.Connection, lane: int, mark: Takeover | None, down: SinkDown
) -> None:
    params = {
        "lane": lane,
        "token": mark.token if mark else None,
        "cap": BACKOFF_CAP_SECONDS,
        "error": error_text(down.error),
    }
    (failures,) = connection.execute(sql.PAUSE_PUBLISHING, params).fetchall()[0]
    dead_letters.count(connection, [down.kind])
    # The sink logs its own reason; one traceback per outage is enough here.
    logger.warning(
        "Publishing paused",
        extra={"lane": lane, "failures": failures, "kind": down.kind},
        exc_info=down.error if failures == 1 else None,
    )


class _Handover:
    """What one hand-over has sent, and the attempts that failed; written down by ``settle``."""

    def __init__(self, connection: psycopg.Connection, deadline: float) -> None:
        self._connection = connection
        self._deadline = deadline
        self._sent: list[dict[str, Any]] = []
        self._failed: list[Attempt] = []
        self._dead: list[Attempt] = []
        self._took = False  # of the single events at hand, one was sent

    def deliver(self, rows: Sequence[LogRow]) -> None:
        """
        Deliver ``rows``; on return each has passed, or has failed alone and is dead.

        Raises:
            SinkDown: the sink takes nothing; some may have passed.
            TimeOver: the same, since each had to be tried alone.
        """
        if not rows:
            return
        try:
            self._send(rows)
        except (TransportDown, OSError) as error:
            raise SinkDown("transport", error) from error
        except Exception as error:
            logger.warning(
                "The sink failed at a batch; each event is tried alone",
                extra={"events": len(rows), "error": error_text(error)},
            )
            self._deliver_each(rows)

    def deliver_solo(self, mark: Takeover, rows: Sequence[LogRow], behind: Sequence[Slice]) -> None:
        """
        Deliver ``rows``, which are those of ``behind``, one by one, each noted before; what killed
        three workers is dead. The marks follow, or a long slice might never come to its end.

        Raises:
            SinkDown: as for ``deliver``.
            TakenOver: another drainer has taken the mark.
            TimeOver: the deadline came first; at least one event is done.
        """
        crashes = takeover.crashes(self._connection, rows)
        last: dict[Any, Attempt] = {}
        if crash := mark.crash_of(rows, crashes):
            crashes[crash.row.event_id] = crash.number
            last[crash.row.event_id] = crash
            if crash.number < takeover.MAX_CRASHES:
                dead_letters.note(self._connection, [crash])
        settled = monotonic()
        for position, row in enumerate(rows, start=1):
            if crashes.get(row.event_id, 0) < takeover.MAX_CRASHES:
                mark.go_solo(self._connection, row)
                self.deliver([row])
            elif row.event_id in last:
                dead_letters.bury(self._connection, [last[row.event_id]])
            over = position < len(rows) and monotonic() >= self._deadline
            if over or monotonic() >= settled + SETTLE_SECONDS:
                self.settle(slices.before(behind, rows[position:]))
                settled = monotonic()
            if over:
                raise TimeOver

    def settle(self, marked: Sequence[Slice]) -> None:
        """Write down what became of the events, then move the marks over ``marked``."""
        if self._failed:
            dead_letters.note(self._connection, self._failed)
            self._failed = []
        if self._dead:
            dead_letters.bury(self._connection, self._dead)
            self._dead = []
        if marked or self._sent:
            slices.mark(self._connection, marked, self._sent)
            self._sent = []

    def _send(self, rows: Sequence[LogRow]) -> None:
        failpoints.hit("before_publish")
        targets = outbox_settings().deliver(rows)
        self._took = self._took or _took(targets)
        for each in slices.of_rows(rows):
            if targets and each.stream in targets:
                self._sent.append(
                    {
                        "stream": each.stream,
                        "first_seq": each.after + 1,
                        "last_seq": each.last,
                        "targets": targets[each.stream],
                    }
                )

    def _deliver_each(self, rows: Sequence[LogRow]) -> None:
        self._took = False
        failed = self._tries(rows, number=1)
        if failed and not self._took and not self._takes_others(rows):
            error = failed[0][1]
            raise SinkDown("sink", error) from error
        for number, pause in enumerate(RETRY_SECONDS, start=2):
            if not failed:
                return
            self._failed += [attempt for attempt, _ in failed]
            sleep(pause * random.uniform(0.5, 1))  # noqa: S311
            failed = self._tries([attempt.row for attempt, _ in failed], number=number)
        self._dead += [attempt for attempt, _ in failed]

    def _tries(self, rows: Sequence[LogRow], *, number: int) -> list[tuple[Attempt, Exception]]:
        """Send each row alone; return the attempts that failed. Raises ``TimeOver``."""
        failed = []
        for position, row in enumerate(rows):
            if position and monotonic() >= self._deadline:
                raise TimeOver
            started_at, began = timezone.now(), monotonic()
            try:
                self._send([row])
            except (TransportDown, OSError) as error:
                raise SinkDown("transport", error) from error
            except Exception as error:
                attempt = Attempt(
                    row=row,
                    number=number,
                    reason=SINK_ERROR,
                    started_at=started_at,
                    duration_ms=(monotonic() - began) * 1e3,
                    error=error_text(error),
                    traceback=traceback_text(error),
                )
                failed.append((attempt, error))
        return failed

    def _takes_others(self, suspects: Sequence[LogRow]) -> bool:
        """Tell whether the sink takes what was handed over before; a double does no harm."""
        params = {"suspects": [row.event_id for row in suspects]}
        for found in self._connection.execute(sql.WITNESSES, params).fetchall():
            try:
                targets = outbox_settings().deliver([LogRow(*found)])
            except (TransportDown, OSError) as error:
                raise SinkDown("transport", error) from error
            except Exception:
                return False
            if _took(targets):
                return True
        return False


def _took(targets: Targets | None) -> bool:
    """Tell whether something was sent; a sink that returns nothing is believed."""
    return targets is None or bool(targets)
