"""Finds a Chromium for the browser tests, or gets one."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from project.installing import quietly

VARIABLE = "NOC_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def find() -> str | None:
    """The path of a Chromium that is here already."""
    given = os.environ.get(VARIABLE)
    if given:
        return shutil.which(given)
    for name in NAMES:
        if path := shutil.which(name):
            return path
    return _of_playwright()


def ensure() -> str | None:
    """`find`, else the test library's own download, else as root the system's package."""
    if path := find():
        return path
    if os.environ.get(VARIABLE):
        return None  # a path that leads nowhere is a mistake to report, not to mend
    print("noc: no Chromium on PATH; installing one for the browser tests …", file=sys.stderr)
    if quietly(sys.executable, "-m", "playwright", "install", "chromium"):
        if os.geteuid() == 0:  # the libraries that it needs
            quietly(sys.executable, "-m", "playwright", "install-deps", "chromium")
        if (path := _of_playwright()) and _starts(path):
            return path
    if os.geteuid() == 0 and shutil.which("apt-get"):
        quietly("apt-get", "update")
        quietly("apt-get", "install", "--yes", "--no-install-recommends", "chromium")
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def _starts(path: str) -> bool:
    return quietly(path, "--headless", "--no-sandbox", "--version")


def _of_playwright() -> str | None:
    """Where the test library keeps its own download, if it is there."""
    ask = (
        "from playwright.sync_api import sync_playwright\n"
        "with sync_playwright() as p: print(p.chromium.executable_path)"
    )
    try:
        asked = subprocess.run(
            [sys.executable, "-c", ask], capture_output=True, text=True, timeout=30, check=False
        )
    except subprocess.TimeoutExpired:
        return None
    path = asked.stdout.strip()
    return path if path and Path(path).exists() else None
