"""What the benchmarks share: the command line, interleaved rounds, medians, the result's form."""

import argparse
import json
import logging
import os
import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")


@dataclass(frozen=True, slots=True)
class Target:
    """One line of the result: a measured ratio and the bound that it must keep."""

    name: str
    value: float
    bound: float
    at_most: bool

    @property
    def holds(self) -> bool:
        return self.value <= self.bound if self.at_most else self.value >= self.bound


def parser(description: str) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--json", action="store_true", help="print one JSON object")
    made.add_argument("--rounds", type=int, help="interleaved rounds")
    return made


def prepare() -> None:
    """Set Django up on an empty database and silence what a benchmark does not measure."""
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
    logging.disable(logging.WARNING)


def interleave(
    variants: Mapping[str, Callable[[], float]], *, rounds: int
) -> dict[str, list[float]]:
    """Run each variant once per round, after one round that is thrown away; return the figures."""
    figures: dict[str, list[float]] = {name: [] for name in variants}
    for number in range(rounds + 1):
        for name, run in variants.items():
            value = run()
            if number:
                figures[name].append(value)
        print(f"round {number} of {rounds}", end="\r", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return figures


def ratio(figures: Mapping[str, list[float]], name: str, base: str) -> float:
    """Return the median over the rounds of ``name`` / ``base`` within one round."""
    return statistics.median(
        one / other for one, other in zip(figures[name], figures[base], strict=True)
    )


def medians(figures: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(values) for name, values in figures.items()}


def report(
    name: str, unit: str, figures: Mapping[str, float], targets: list[Target], *, as_json: bool
) -> int:
    """Print the result; return the exit code: 1 when a target is missed."""
    result: dict[str, Any] = {
        "bench": name,
        "unit": unit,
        "figures": {key: round(value, 4) for key, value in figures.items()},
        "targets": [asdict(target) | {"holds": target.holds} for target in targets],
    }
    if as_json:
        print(json.dumps(result))
    else:
        print(f"{name} ({unit})")
        for key, value in figures.items():
            print(f"  {key:<46} {value:>12,.3f}")
        for target in targets:
            sign = "<=" if target.at_most else ">="
            verdict = "ok" if target.holds else "MISSED"
            print(f"  {target.name:<46} {target.value:>8.2f} {sign} {target.bound:<6} {verdict}")
    return 0 if all(target.holds for target in targets) else 1
