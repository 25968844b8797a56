"""
Finds promtool, which judges the alert rules in the tests, or gets it.

Debian has it in the package of the whole Prometheus, whose installation would start a server. So
the package is only fetched and unpacked, which needs no rights, and the one program is kept.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from project.data_folder import DEFAULT
from project.installing import quietly

VARIABLE = "NOC_PROMTOOL"
KEPT = DEFAULT / "tools" / "promtool"


def find() -> str | None:
    """The path of a promtool that is here already."""
    given = os.environ.get(VARIABLE)
    return shutil.which(given) if given else shutil.which("promtool") or shutil.which(KEPT)


def ensure() -> str | None:
    """`find`, else the program of the system's package, kept in ``.local``."""
    if path := find():
        return path
    if os.environ.get(VARIABLE) or not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return None
    print("noc: no promtool on PATH; fetching one for the tests of the alerts …", file=sys.stderr)
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=KEPT.parent) as folder:
        if os.geteuid() == 0:
            quietly("apt-get", "update")
        quietly("apt-get", "download", "prometheus", cwd=folder)
        for package in Path(folder).glob("*.deb"):
            quietly("dpkg-deb", "--extract", str(package), folder)
        unpacked = Path(folder, "usr/bin/promtool")
        if unpacked.exists() and quietly(str(unpacked), "--version"):
            unpacked.replace(KEPT)
    return find()
