"""``./noc check``: everything that a machine can say about the code without running it."""

import importlib.metadata
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from packaging.requirements import Requirement
from rich.console import Console
from rich.table import Table

from project import node, openapi
from project.data_folder import ROOT
from project.instance import clean_environment

PACKAGES = ["project", "worker", "apps", "outbox"]
SOURCES = [".", "noc"]
UNPINNED = {"pip", "setuptools", "wheel"}  # the environment brings them itself
TSC = "node_modules/typescript/bin/tsc"
# It has no module form, and scripts in an environment break when the checkout moves.
LINT_IMPORTS = "from importlinter.cli import lint_imports_command; lint_imports_command()"


@dataclass(frozen=True)
class Result:
    """What one check said."""

    name: str
    passed: bool
    output: str
    seconds: float


def main() -> int:
    """Run every check, print a table, and return 1 if one failed."""
    console = Console()
    results = []
    for name, check in checks().items():
        started = time.monotonic()
        passed, output = check()
        results.append(Result(name, passed, output, time.monotonic() - started))
    for result in results:
        if not result.passed:
            console.rule(result.name, align="left")
            console.print(result.output.strip(), markup=False, highlight=False, soft_wrap=True)
    table = Table(box=None)
    for result in results:
        table.add_row(result.name, "ok" if result.passed else "FAILED", f"{result.seconds:.1f} s")
    console.print(table)
    return 0 if all(result.passed for result in results) else 1


def checks() -> dict[str, Callable[[], tuple[bool, str]]]:
    """Each check by its name; it returns whether it passed, and what it printed."""
    local = openapi.without_servers()
    production = local | {
        "HTTPS": "true",
        "STATIC_FROM_SOURCE": "false",
        "SECRET_KEY": "only-for-this-check-0123456789-ABCDEFGHIJKLMNOPQRSTUVWXYZ-abcdef",
        "ALLOWED_HOSTS": "noc.example.com",
        "ALLOWED_ORIGINS": "https://noc.example.com",
    }
    manage = [sys.executable, "manage.py"]
    module = [sys.executable, "-m"]
    commands = {
        "ruff check": ([*module, "ruff", "check", *SOURCES], local),
        "ruff format": ([*module, "ruff", "format", "--check", *SOURCES], local),
        "mypy": ([*module, "mypy", *PACKAGES], local),
        "imports": ([sys.executable, "-c", LINT_IMPORTS], local),
        "migrations": (
            [sys.executable, "-W", "ignore", *manage[1:], "makemigrations", "--check", "--dry-run"],
            local,
        ),
        "django check": ([*manage, "check", "--fail-level", "WARNING"], local),
        "django check --deploy": (
            [*manage, "check", "--deploy", "--fail-level", "WARNING"],
            production,
        ),
    }
    return {name: _command(argv, environment) for name, (argv, environment) in commands.items()} | {
        "types of the page": page_types,
        "openapi": openapi.unchanged,
        "requirements": requirements,
    }


def _command(argv: list[str], environment: dict[str, str]) -> Callable[[], tuple[bool, str]]:
    def run() -> tuple[bool, str]:
        done = subprocess.run(
            argv,
            env=environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.returncode == 0, done.stdout

    return run


def page_types() -> tuple[bool, str]:
    """The page's modules agree with the types in their comments and with those of the packages."""
    program = node.find()
    if program is None:
        return False, f"no Node.js {node.OLDEST} on PATH, and none in the environment"
    return _command([program, TSC, "-p", "tsconfig.json"], clean_environment())()


def requirements() -> tuple[bool, str]:
    """What is installed is pinned, and what is pinned is installed, in the same version."""
    pinned = _pinned("requirements.txt", "requirements-otel.txt", "requirements-dev.txt")
    pinned_where_needed = _pinned("requirements-node.txt")
    installed = {
        _plain(distribution.metadata["Name"]): distribution.version
        for distribution in importlib.metadata.distributions()
    }
    faults = [
        f"{name}=={version} is installed and not pinned: pin it in requirements.txt or"
        f" requirements-dev.txt, or remove it (.venv/bin/python -m pip uninstall {name})"
        for name, version in sorted(installed.items())
        if name not in pinned and name not in UNPINNED and pinned_where_needed.get(name) != version
    ]
    faults += [
        f"{name}=={version} is pinned, and {installed.get(name) or 'nothing'} is installed"
        for name, version in sorted(pinned.items())
        if installed.get(name) != version
    ]
    return not faults, "\n".join(faults)


def _pinned(*files: str) -> dict[str, str]:
    """Name and version of each pin that is meant for this Python."""
    pins = {}
    for name in files:
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
            text = line.partition("#")[0].strip()
            if not text or text.startswith("-"):
                continue
            pin = Requirement(text)
            if pin.marker is None or pin.marker.evaluate():
                pins[_plain(pin.name)] = str(pin.specifier).removeprefix("==")
    return pins


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
