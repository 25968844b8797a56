"""Finds a Node.js that runs the JavaScript tests and the check of types."""

import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

OLDEST = (22, 12)  # has the websocket client, and reads modules without being told


def find() -> str | None:
    """The path of the one on PATH when it is new enough, else of the browser tests' library."""
    return next((path for path in (shutil.which("node"), _of_playwright()) if _serves(path)), None)


def _serves(path: str | None) -> bool:
    if path is None:
        return False
    try:
        asked = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    version = re.match(r"v(\d+)\.(\d+)\.", asked.stdout)
    return version is not None and (int(version[1]), int(version[2])) >= OLDEST


def _of_playwright() -> str | None:
    """The Node.js that its wheel brings for its own use."""
    spec = find_spec("playwright")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "driver" / "node"
    return str(path) if path.exists() else None
