"""What a replay did, row by row in counts, for people and for machines."""

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

SAMPLE_LINES = 5
MOST_REASONS = 30


class Outcome(Enum):
    """What became of one row. Every row that was read has exactly one, or was refused."""

    CREATED = "created"
    CHANGED = "changed"  # the status, perhaps the priority too
    EDITED = "edited"  # the priority alone
    UNCHANGED = "unchanged"
    DONE_BEFORE = "done_before"  # by an earlier run


@dataclass
class Refusals:
    """Refused rows by reason, with the first lines of each."""

    counts: Counter[str] = field(default_factory=Counter)
    lines: dict[str, list[int]] = field(default_factory=dict)

    def add(self, line: int, reason: str) -> None:
        self.counts[reason] += 1
        sample = self.lines.setdefault(reason, [])
        if len(sample) < SAMPLE_LINES:
            sample.append(line)

    def grouped(self) -> list[dict[str, Any]]:
        """Return the most frequent reasons, and the rest as one."""
        groups: list[dict[str, Any]] = [
            {"reason": reason, "rows": count, "first_lines": sorted(self.lines[reason])}
            for reason, count in self.counts.most_common(MOST_REASONS)
        ]
        if rest := self.counts.total() - sum(group["rows"] for group in groups):
            groups.append({"reason": "other reasons", "rows": rest, "first_lines": []})
        return groups


@dataclass
class Report:
    file: str
    tenants: list[str] = field(default_factory=list)
    incidents: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    edits: int = 0  # of the priority, also those that came with a change of status
    refusals: Refusals = field(default_factory=Refusals)
    seconds: float = 0.0
    interrupted: bool = False

    def as_dict(self) -> dict[str, Any]:
        count = self.outcomes
        written = count[Outcome.CREATED] + count[Outcome.CHANGED] + self.edits
        return {
            "file": self.file,
            "tenants": self.tenants,
            "incidents": self.incidents,
            "rows": count.total() + self.refusals.counts.total(),
            "tickets": count[Outcome.CREATED],
            "changes": count[Outcome.CHANGED],
            "edits": self.edits,
            "unchanged": count[Outcome.UNCHANGED],
            "done_before": count[Outcome.DONE_BEFORE],
            "refused": self.refusals.counts.total(),
            "refusals": self.refusals.grouped(),
            "seconds": round(self.seconds, 3),
            "events_per_second": round(written / self.seconds, 1) if self.seconds else 0.0,
            "interrupted": self.interrupted,
        }

    def lines(self) -> list[str]:
        """Return the report as a person reads it."""
        facts = self.as_dict()
        lines = [
            f"{facts['rows']:,} rows of {facts['incidents']:,} incidents read from {self.file}",
            f"  {facts['tickets']:,} tickets created in {', '.join(self.tenants) or 'no tenant'}",
            f"  {facts['changes']:,} changes of status, {facts['edits']:,} of priority applied",
            f"  {facts['unchanged']:,} rows changed nothing, {facts['done_before']:,} done before",
            f"  {facts['refused']:,} rows refused",
        ]
        for group in facts["refusals"]:
            where = ", ".join(str(line) for line in group["first_lines"])
            more = ", …" if group["rows"] > len(group["first_lines"]) > 0 else ""
            lines.append(
                f"    {group['rows']:,} times: {group['reason']}"
                + (f" (line {where}{more})" if where else "")
            )
        lines.append(f"{self.seconds:,.1f} s, {facts['events_per_second']:,.0f} events per second")
        if self.interrupted:
            lines.append("Stopped before the end: the same command continues from here.")
        return lines
