"""Running installers for the tools that tests want and the system lacks."""

import os
import subprocess

INSTALL_SECONDS = 300


def quietly(*command: str, cwd: str | os.PathLike[str] | None = None) -> bool:
    """Run to the end without input or output; False when it failed or took too long."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            timeout=INSTALL_SECONDS,
            cwd=cwd,
            check=False,
        )
    except (subprocess.TimeoutExpired, OSError):
        return False
    return done.returncode == 0
