"""Reads the alert rules and the dashboard: their expressions, and what these name."""

import json
import re
from collections.abc import Iterator
from typing import Any

import yaml

from tests.compose_file import ROOT

PROMETHEUS = ROOT / "deploy/prometheus"
GRAFANA = ROOT / "deploy/grafana"
RUNBOOK = ROOT / "docs/runbook.md"

METRIC = re.compile(r"\b((?:noc|websocket)_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)\s*(=~|!=|!~|=)\s*"([^"]*)"')


def alerts() -> dict[str, Any]:
    """The rules by their alert's name."""
    groups = yaml.safe_load((PROMETHEUS / "rules.yml").read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def rule_tests() -> list[dict[str, Any]]:
    text = (PROMETHEUS / "rules_test.yml").read_text(encoding="utf-8")
    tests: list[dict[str, Any]] = yaml.safe_load(text)["tests"]
    return tests


def dashboard() -> dict[str, Any]:
    text = (GRAFANA / "dashboards/noc.json").read_text(encoding="utf-8")
    board: dict[str, Any] = json.loads(text)
    return board


def expressions() -> dict[str, str]:
    """Every expression, by the alert or the panel that has it."""
    found = {name: rule["expr"] for name, rule in alerts().items()}
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            found[f"{panel['title']} {target['refId']}"] = target["expr"]
    return found


def selectors(expression: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Each metric that is named, with the labels that it must have."""
    for name, matchers in METRIC.findall(expression):
        yield name, {k: v for k, how, v in MATCHER.findall(matchers) if how == "="}
