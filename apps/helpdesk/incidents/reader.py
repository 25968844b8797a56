"""
From a ServiceNow audit export to typed rows, and to refused ones with reasons. No database.

A bad row never stops the reading: it is refused, and the others are as good as before. Only a
file without the columns that give the changes and their order is refused as a whole.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from apps.helpdesk.incidents import mapping
from apps.helpdesk.incidents.lines import parse, records
from apps.helpdesk.status import Priority, Status

REQUIRED = ("number", "incident_state", "sys_mod_count", "sys_updated_at", "location", "priority")
RENAMED = {"ident_state": "incident_state"}  # in other copies of the set
DESCRIBING = {
    "category": "Category",
    "subcategory": "Subcategory",
    "u_symptom": "Symptom",
    "assignment_group": "Group",
}
MISSING = "?"


class UnreadableExport(Exception):
    """The file as a whole cannot be read as an audit export; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """
    One audit event of one incident. ``line`` counts from 1, the header's.

    ``nth`` is 0, 1, … among the rows of the incident with the same time and modification count;
    with these two it is the row's place in the incident's history, the same in every copy.
    """

    line: int
    number: str
    updated_at: datetime
    mod_count: int
    nth: int
    status: Status
    awaited: str
    priority: Priority | None
    location: str
    description: str

    @property
    def place(self) -> tuple[datetime, int, int]:
        return self.updated_at, self.mod_count, self.nth


@dataclass(frozen=True, slots=True)
class Refused:
    line: int
    reason: str


@dataclass(frozen=True, slots=True)
class Export:
    """``rows`` are in the order in which the changes were made, whatever the file's order is."""

    rows: list[AuditRow]
    refused: list[Refused]


class BadRow(Exception):
    """Why a row cannot be used; says it in words that are the same for the same fault."""


def read(path: Path) -> Export:
    """
    Read the whole file.

    Raises:
        UnreadableExport: it is not there, empty, or lacks columns.
    """
    try:
        # Bytes that are not UTF-8 spoil the words that they are in, not the row.
        with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            return read_lines(file)
    except OSError as error:
        raise UnreadableExport(f"{path} cannot be read: {error.strerror}.") from error


def read_lines(lines: Iterable[str]) -> Export:
    """As ``read``, from the lines of a file."""
    source = iter(lines)
    columns = _columns(next(source, ""))
    rows: list[AuditRow] = []
    refused: list[Refused] = []
    for record in records(source, width=len(columns)):
        try:
            if record.problem:
                raise BadRow(f"not CSV: {record.problem}")
            rows.append(_row(record.line, record.fields, columns))
        except BadRow as bad:
            refused.append(Refused(record.line, str(bad)))
    return Export(_in_order(rows), refused)


def _columns(header: str) -> list[str]:
    names = [" ".join(name.split()).lower() for name in parse(header)[0]]
    for other, ours in RENAMED.items():
        if ours not in names:
            names = [ours if name == other else name for name in names]
    if missing := [name for name in REQUIRED if name not in names]:
        found = ", ".join(names[:40])[:400] or "nothing"
        raise UnreadableExport(
            f"The first line lacks the columns {', '.join(missing)}; it has {found}."
        )
    return names


def _row(line: int, fields: list[str], columns: list[str]) -> AuditRow:
    if len(fields) != len(columns):
        few = "few" if len(fields) < len(columns) else "many"
        raise BadRow(f"too {few} fields")
    if any("\0" in field for field in fields):
        raise BadRow("a NUL byte")
    stripped = (field.strip() for field in fields)
    row = {name: "" if text == MISSING else text for name, text in zip(columns, stripped)}  # noqa: B905
    number = mapping.number_of(row["number"])
    if number is None:
        raise BadRow(_unlike("number", row["number"], "INC0000045"))
    updated_at = mapping.time_of(row["sys_updated_at"])
    if updated_at is None:
        raise BadRow(_unlike("sys_updated_at", row["sys_updated_at"], "29-02-2016 01:23"))
    mod_count = mapping.count_of(row["sys_mod_count"])
    if mod_count is None:
        raise BadRow(_unlike("sys_mod_count", row["sys_mod_count"], "7"))
    state = mapping.status_of(row["incident_state"])
    if state is None:
        raise BadRow(_unknown("incident_state", row["incident_state"]))
    return AuditRow(
        line=line,
        number=number,
        updated_at=updated_at,
        mod_count=mod_count,
        nth=0,
        status=state[0],
        awaited=state[1],
        priority=mapping.priority_of(row["priority"]),
        location=mapping.location_of(row["location"]),
        description=_description(number, row),
    )


def _unlike(column: str, text: str, example: str) -> str:
    """The text itself is left out: rows with the same fault are reported together."""
    return f"{column} is not like {example}" if text else f"{column} is missing"


def _unknown(column: str, text: str) -> str:
    shown = text if len(text) <= 40 else f"{text[:40]}…"
    return f"unknown {column} {shown!r}" if text else f"{column} is missing"


def _description(number: str, row: Mapping[str, str]) -> str:
    """Return ``INC0000045: Category 55, Subcategory 170``; a bare number gets its word back."""
    words = [
        f"{word} {text}" if text.isdecimal() else text
        for column, word in DESCRIBING.items()
        if (text := row.get(column, ""))
    ]
    return f"{number}: {', '.join(words) or 'no category'}"[:2_000]


def _in_order(rows: list[AuditRow]) -> list[AuditRow]:
    """Sort by time, modification count and line, and number the rows that share the first two."""
    rows.sort(key=lambda row: (row.updated_at, row.mod_count, row.line))
    times: dict[tuple[str, datetime, int], int] = {}
    for index, row in enumerate(rows):
        key = (row.number, row.updated_at, row.mod_count)
        times[key] = nth = times.get(key, -1) + 1
        if nth:
            rows[index] = replace(row, nth=nth)
    return rows
