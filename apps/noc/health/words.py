"""The doctor's findings for people: what is right in one line, what is not with its remedy."""

import shutil
import textwrap
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from apps.noc.health.doctor import Group
from apps.noc.health.result import Result, State

NAME_COLUMNS = 19
MARKS = {State.OK: ("ok  ", "green"), State.WARN: ("WARN", "yellow"), State.FAIL: ("FAIL", "red")}


def show(console: Console, groups: Sequence[Group]) -> None:
    """Print all groups, and last what has to be mended, the worst first."""
    width = min(shutil.get_terminal_size((100, 24)).columns, 110)
    for group in groups:
        console.print(Text(group.title, style="bold"))
        for result in group.results:
            if result.asked:
                _show(console, result, width)
        for line in _unasked(group.results):
            console.print(Text(f"  --   {line}", style="dim"))
        console.print()
    console.print(Text(verdict([each for group in groups for each in group.results])))


def verdict(results: Sequence[Result]) -> str:
    """Return the last line: how many are amiss, and which."""
    failed = [each.name for each in results if each.state is State.FAIL]
    warned = [each.name for each in results if each.state is State.WARN and each.asked]
    if not failed and not warned:
        return f"All {sum(each.asked for each in results)} checks are fine."
    parts = []
    if failed:
        parts.append(f"{len(failed)} failed: {', '.join(failed)}.")
    if warned:
        parts.append(f"{len(warned)} to look at: {', '.join(warned)}.")
    return " ".join(parts)


def _show(console: Console, result: Result, width: int) -> None:
    mark, colour = MARKS[result.state]
    line = Text("  ")
    line.append(mark, style=colour if result.state is State.OK else f"bold {colour}")
    line.append(f" {result.name:<{NAME_COLUMNS}} ")
    line.append(result.what, style="dim" if result.state is State.OK else "")
    console.print(line)
    if result.state is State.OK:
        return
    indent = " " * (NAME_COLUMNS + 8)
    for label, text in (("why: ", result.why), ("fix: ", result.fix)):
        if not text:
            continue
        # A command is not wrapped: it is copied.
        lines = (
            [text] if label == "fix: " else textwrap.wrap(text, max(30, width - len(indent) - 5))
        )
        for number, part in enumerate(lines):
            console.print(Text(f"{indent}{label if number == 0 else '     '}{part}"))


def _unasked(results: Sequence[Result]) -> list[str]:
    """Return one line per reason for which something could not be judged."""
    reasons: dict[str, list[str]] = {}
    for result in results:
        if not result.asked:
            reasons.setdefault(result.why or result.what, []).append(result.name)
    return [f"not judged, since {why}: {', '.join(names)}" for why, names in reasons.items()]
