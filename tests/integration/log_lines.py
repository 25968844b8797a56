"""Reads the JSON lines that a process wrote."""

import json
from pathlib import Path
from typing import Any


def lines_of(log: Path, **fields: object) -> list[dict[str, Any]]:
    """Return the whole lines so far that have these fields; each line must be a JSON object."""
    text = log.read_text(encoding="utf-8")
    found = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    return [line for line in found if fields.items() <= line.items()]
