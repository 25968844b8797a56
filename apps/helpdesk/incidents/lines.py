"""
From the lines of a file to records of fields, losing no line to a broken one.

Note [Why not csv.reader over the whole file]
One stray quote makes the csv module read on to the next quote, perhaps the end of the file, and
every row between is gone without a word. Here a quoted field may span lines (free text in an export
does), but only if the record then has as many fields as the header; otherwise the first line alone
is broken, and reading goes on with the second.
"""

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MOST_LINES = 50  # of one record
UNCLOSED = "unexpected end of data"  # csv's word for a quote that the line does not close


@dataclass(frozen=True, slots=True)
class Record:
    """The fields that begin at ``line`` (1 is the header's), or why there are none."""

    line: int
    fields: list[str]
    problem: str = ""


def records(lines: Iterable[str], *, width: int) -> Iterator[Record]:
    """Yield a record for every line that is not blank; ``width`` is the header's fields."""
    source = iter(lines)
    ahead: deque[str] = deque()
    number = 1
    while True:
        line = ahead.popleft() if ahead else next(source, None)
        if line is None:
            return
        number += 1
        if not line.strip():
            continue
        fields, problem = parse(line)
        taken = 0
        if problem == UNCLOSED:
            fields, taken = _joined(line, source, ahead, width)
            problem = "" if fields else "a quote is not closed"
        yield Record(number, fields, problem)
        for _ in range(taken):
            ahead.popleft()
        number += taken


def _joined(
    line: str, source: Iterator[str], ahead: deque[str], width: int
) -> tuple[list[str], int]:
    """Return the fields of a record of several lines, and how many of those ``ahead`` it took."""
    text = line
    for taken in range(1, MOST_LINES):
        if len(ahead) < taken:
            following = next(source, None)
            if following is None:
                break
            ahead.append(following)
        text += ahead[taken - 1]
        fields, problem = parse(text)
        if problem != UNCLOSED:
            return (fields, taken) if not problem and len(fields) == width else ([], 0)
    return [], 0


def parse(text: str) -> tuple[list[str], str]:
    """Return the fields of one record, or what is wrong with it."""
    try:
        return next(csv.reader([text], strict=True)), ""
    except (csv.Error, StopIteration) as error:
        return [], str(error)
