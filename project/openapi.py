"""``./noc openapi``: ``docs/openapi.yaml`` from the code; no server is needed."""

import os
import subprocess
import sys

from project.data_folder import ROOT
from project.embedded import local_settings
from project.instance import clean_environment, origins

# Nothing listens there.
NOWHERE = "127.0.0.1:9"
DOCUMENT = ROOT / "docs" / "openapi.yaml"


def without_servers() -> dict[str, str]:
    """Return the environment of a local instance whose servers cannot be reached."""
    return {
        **clean_environment(),
        **local_settings(
            secret_key="k" * 50,
            database_url=f"postgresql://nobody@{NOWHERE}/noc",
            redis_url=f"redis://{NOWHERE}/0",
        ),
        **origins(8000),
    }


def main() -> int:
    """Write docs/openapi.yaml anew, and return 1 when the document has faults."""
    text, faults = document()
    if faults:
        print(faults, file=sys.stderr)
        return 1
    DOCUMENT.write_text(text, encoding="utf-8")
    print(f"{DOCUMENT.relative_to(ROOT)} is as the code has it.")
    return 0


def unchanged() -> tuple[bool, str]:
    """Tell whether the committed document is what the code says; what differs, when not."""
    text, faults = document()
    if faults:
        return False, faults
    if DOCUMENT.exists() and DOCUMENT.read_text(encoding="utf-8") == text:
        return True, ""
    return False, f"{DOCUMENT.relative_to(ROOT)} is not what the code says: run ./noc openapi"


def document() -> tuple[str, str]:
    """Return the document, and what is wrong with it: a warning of the generator is a fault."""
    done = subprocess.run(
        [sys.executable, "manage.py", "spectacular", "--validate", "--fail-on-warn"],
        env={**without_servers(), "PATH": os.environ.get("PATH", "")},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout, done.stderr if done.returncode else ""
