"""
An independent reading of an audit export: which changes its tickets must have gone through.

Imports nothing of the project, on purpose. A history is a list in order of
``("created", status, priority)``, ``("edited", priority)`` and ``("updated", old, new)``.
"""

import csv
import os
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

History = list[tuple[str, ...]]
STATUS = {"New": "NEW", "Active": "IN_PROGRESS", "Resolved": "RESOLVED", "Closed": "CLOSED"}
PRIORITY = {
    "1 - Critical": "CRITICAL",
    "2 - High": "HIGH",
    "3 - Moderate": "MEDIUM",
    "4 - Low": "LOW",
}


def real_file() -> Path | None:
    """The export that the tests read: ``NOC_INCIDENTS``, or the one beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared/data/incident_event_log_6k.csv"
    path = Path(os.environ.get("NOC_INCIDENTS") or beside)
    return path if path.is_file() else None


def histories_of_file(path: Path) -> dict[str, History]:
    """Every incident's history; only for files without bad rows."""
    rows = defaultdict(list)
    with path.open(encoding="utf-8", newline="") as file:
        for row_number, row in enumerate(csv.DictReader(file)):
            at = datetime.strptime(row["sys_updated_at"], "%d-%m-%Y %H:%M")  # noqa: DTZ007
            rows[row["number"]].append((at, int(row["sys_mod_count"]), row_number, row))
    return {number: _history(sorted(found)) for number, found in rows.items()}


def _history(rows: list[tuple[datetime, int, int, dict[str, str]]]) -> History:
    history: History = []
    status = priority = ""
    for *_, row in rows:
        state = row["incident_state"]
        new_status = "ON_HOLD" if state.startswith("Awaiting ") else STATUS[state]
        new_priority = PRIORITY[row["priority"]]
        if not history:
            history.append(("created", new_status, new_priority))
        else:
            if new_priority != priority:
                history.append(("edited", new_priority))
            if new_status != status:
                history.append(("updated", status, new_status))
        status, priority = new_status, new_priority
    return history


def histories_of_log(entries: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, History]:
    """The same from the event log's ``(type, payload)``, in the order of each stream's seq."""
    found: dict[str, History] = defaultdict(list)
    for type_, payload in entries:
        number = payload["ticket_no"].partition("#")[2]
        if type_ == "ticket_created":
            entry = ("created", payload["status"], payload["priority"])
        elif type_ == "ticket_edited":
            entry = ("edited", payload["priority"])
        elif type_ == "ticket_updated":
            entry = ("updated", payload["old_status"], payload["new_status"])
        else:
            entry = (type_,)
        found[number].append(entry)
    return dict(found)
