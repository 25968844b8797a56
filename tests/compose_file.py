"""Reads docker-compose.yml as compose does: variables filled in, commands split into words."""

import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
FILE = ROOT / "docker-compose.yml"

# $$, or ${NAME} with an optional :-default or :?message. Nothing else is used, nor understood.
VARIABLE = re.compile(
    r"\$(?:(?P<dollar>\$)|\{(?P<name>[A-Z_]+)(?::(?P<kind>[-?])(?P<text>[^}]*))?\}|(?P<wrong>.?))"
)


class Missing(Exception):
    """A variable without a default is not set; the text begins with its name, as compose's does."""


def raw() -> dict[str, Any]:
    """The file with its anchors resolved and its variables as they stand."""
    document: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return document


def load(environment: Mapping[str, str]) -> dict[str, Any]:
    """The file as compose runs it in ``environment``.

    Raises:
        Missing: a required variable is not set or empty.
    """
    filled: dict[str, Any] = _filled(raw(), environment)
    return filled


def required_variables() -> set[str]:
    """The variables without which compose does not start."""
    return {found["name"] for found in VARIABLE.finditer(_text()) if found["kind"] == "?"}


def optional_variables() -> dict[str, str]:
    """The variables that have a default, with it."""
    return {
        found["name"]: found["text"]
        for found in VARIABLE.finditer(_text())
        if found["name"] and found["kind"] != "?"
    }


def words(command: str | list[str]) -> list[str]:
    """A command or a health check as the list of words that is executed."""
    return shlex.split(command) if isinstance(command, str) else [str(word) for word in command]


def _text() -> str:
    return yaml.safe_dump(raw(), width=10_000)


def _filled(value: Any, environment: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(inner, environment) for key, inner in value.items()}
    if isinstance(value, list):
        return [_filled(inner, environment) for inner in value]
    if not isinstance(value, str):
        return value

    def fill(found: re.Match[str]) -> str:
        if found["dollar"]:
            return "$"
        if not found["name"]:
            raise ValueError(f"{found[0]!r} in {value!r} is no variable")
        given = environment.get(found["name"], "")
        if not given and found["kind"] == "?":
            raise Missing(f"{found['name']}: {found['text']}")
        return given or (found["text"] or "")

    return VARIABLE.sub(fill, value)
