"""Running checks: one that fails to run is a finding, and none outlives its time."""

from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.db import DatabaseError, OperationalError, ProgrammingError

from apps.noc.health import fixes
from apps.noc.health.bounded import TooLate, limited, within
from apps.noc.health.result import Check, Finding, Result, fail, not_asked

STATEMENT_SECONDS = 2.0
OTHERS_FIRST = "mend what the other checks tell first"
LATE = "the database does not answer in time"
WHO = "SELECT pid, state, wait_event, query FROM pg_stat_activity WHERE state <> 'idle'"


def result_of(name: str, finding: Finding) -> Result:
    """Return the finding under its name, with every secret that we know taken out."""
    return Result(
        name,
        finding.state,
        censored(finding.what),
        censored(finding.why),
        censored(finding.fix),
        finding.asked,
    )


def in_database(checks: Mapping[str, Check]) -> list[Result]:
    """
    Run checks that read the database, in this thread, each in a transaction of its own.

    After one that the database did not answer in time, the others are not asked: they would wait
    as long, one after the other.
    """
    results: list[Result] = []
    late = False
    for name, check in checks.items():
        finding, late = (not_asked(LATE), True) if late else _limited(check)
        results.append(result_of(name, finding))
    return results


def bounded(checks: Mapping[str, Check], *, seconds: float) -> list[Result]:
    """Run each check in a thread, and wait ``seconds`` for it at most."""
    return [result_of(name, _within(seconds, check)) for name, check in checks.items()]


def _limited(check: Check) -> tuple[Finding, bool]:
    """Return the finding, and whether it is that the database did not answer."""
    try:
        with limited(STATEMENT_SECONDS):
            return check(), False
    except DatabaseError as error:
        return unanswered(error), isinstance(error, OperationalError)


def _within(seconds: float, check: Check) -> Finding:
    try:
        return within(seconds, check)
    except TooLate as late:
        return fail(
            str(late),
            why="what was asked is frozen or unreachable",
            fix=OTHERS_FIRST,
        )
    except Exception as error:
        return unanswered(error)


def unanswered(error: BaseException) -> Finding:
    """Return what it means that a check raised this."""
    what = f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"
    if isinstance(error, OperationalError):
        why = "the database is overloaded, or somebody holds a table: ask it who"
        return fail(what, why=why, fix=WHO)
    if isinstance(error, ProgrammingError):
        why = "a table or column that is missing tells of missing migrations"
        return fail(what, why=why, fix=fixes.manage("migrate", as_owner=True))
    return fail(what, why="the check could not be done", fix=OTHERS_FIRST)


def censored(text: str) -> str:
    """Take out what the settings hold of passwords and keys: an error may quote an address."""
    for secret in _secrets():
        text = text.replace(secret, "***")
    return text


def _secrets() -> list[str]:
    urls = (settings.CELERY_BROKER_URL, settings.CHANNEL_LAYER_URL, settings.FEED_URL)
    quoted = [urlsplit(url).password or "" for url in urls]
    database = str(settings.DATABASES["default"].get("PASSWORD") or "")
    found = {settings.SECRET_KEY, database, *quoted, *map(unquote, quoted)}
    return sorted((each for each in found if len(each) > 3), key=len, reverse=True)
