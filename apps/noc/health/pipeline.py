"""Whether events get through, in one answer for probes and alerts that costs little to ask."""

from collections.abc import Sequence
from typing import Any

from django.db import connection

from apps.noc.health import examine, fixes
from apps.noc.health.bounded import Single, TooLate
from apps.noc.health.progress import PROGRESS
from apps.noc.health.result import Finding, Result, State, fail

SECONDS = 3.0  # whoever asks gets an answer within it

WORDS = {State.OK: "ok", State.WARN: "degraded", State.FAIL: "failing"}


def _look() -> list[Result]:
    connection.ensure_connection()  # once: every check would say that there is none
    return examine.in_database(PROGRESS)


_single: Single[list[Result]] = Single(_look)


def answer() -> tuple[str, list[dict[str, Any]]]:
    """Return ``ok``, ``degraded`` or ``failing`` with the reasons; never raises."""
    try:
        results = _single.answer(seconds=SECONDS)
    except Exception as error:
        results = [examine.result_of("database", unreachable(error))]
    return summary(results)


def summary(results: Sequence[Result]) -> tuple[str, list[dict[str, Any]]]:
    """Return the word for all results, and those that somebody has to see, the worst first."""
    bad = [each for each in results if each.state is not State.OK and each.asked]
    bad.sort(key=lambda each: each.state is not State.FAIL)
    reasons = [
        {"check": each.name, "what": each.what, "why": each.why, "fix": each.fix} for each in bad
    ]
    return WORDS[bad[0].state if bad else State.OK], reasons


def unreachable(error: BaseException) -> Finding:
    what = str(error).strip().partition("\n")[0] or type(error).__name__
    return fail(
        what if isinstance(error, TooLate) else f"not reachable: {what}",
        why="nothing can be saved, recorded or shown without the database",
        fix=fixes.server("postgres", "postgres"),
    )
