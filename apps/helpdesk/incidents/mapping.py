"""What the words of a ServiceNow export mean here. Pure functions; None: it has no meaning."""

import re
from datetime import UTC, datetime

from apps.helpdesk.status import Priority, Status

STATES = {
    "new": Status.NEW,
    "active": Status.IN_PROGRESS,
    "resolved": Status.RESOLVED,
    "closed": Status.CLOSED,
}
PRIORITIES = {
    "1": Priority.CRITICAL,
    "2": Priority.HIGH,
    "3": Priority.MEDIUM,
    "4": Priority.LOW,
}
UNKNOWN_LOCATION = "Unknown location"

_AWAITING = re.compile(r"awaiting\s+(\S.*)", re.I)
_NUMBER = re.compile(r"([A-Za-z]*)([0-9]{1,24})")
# Day first, with the separator of the copy; or year first, as ServiceNow itself writes.
_CLOCK = r"[ T](?P<H>\d{1,2}):(?P<M>\d\d)(:(?P<S>\d\d))?"
_DAY_FIRST = re.compile(r"(?P<d>\d{1,2})([-/.])(?P<m>\d{1,2})\2(?P<y>\d{4})" + _CLOCK, re.ASCII)
_YEAR_FIRST = re.compile(r"(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)" + _CLOCK, re.ASCII)


def status_of(state: str) -> tuple[Status, str] | None:
    """Return the status of a state, and on hold what it waits for."""
    if awaiting := _AWAITING.fullmatch(state):
        return Status.ON_HOLD, awaiting[1][:200]
    status = STATES.get(state.lower())
    return None if status is None else (status, "")


def priority_of(text: str) -> Priority | None:
    """Return the priority of ``3 - Moderate`` or of its digit alone."""
    return PRIORITIES.get(text.partition("-")[0].strip())


def number_of(text: str) -> str | None:
    """Return the number as ``INC0000045``, also when the copy dropped prefix and zeros."""
    found = _NUMBER.fullmatch(text)
    return f"{found[1].upper() or 'INC'}{found[2]:0>7}" if found else None


def count_of(text: str) -> int | None:
    """Return a count of at most nine digits, which is what the column that keeps it can hold."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 9 else None


def location_of(text: str) -> str:
    """Return the location's name, with the word that some copies drop before a number."""
    name = " ".join(text.split())[:100]
    return f"Location {name}" if name.isdecimal() else name or UNKNOWN_LOCATION


def time_of(text: str) -> datetime | None:
    """Return the time. The zone is not known and does not matter for the order: UTC is written."""
    found = _DAY_FIRST.fullmatch(text) or _YEAR_FIRST.fullmatch(text)
    if found is None:
        return None
    parts = {name: int(found[name] or 0) for name in "ymdHMS"}
    try:
        return datetime(*parts.values(), tzinfo=UTC)  # type: ignore[arg-type,misc]
    except ValueError:  # the 31st of February
        return None
