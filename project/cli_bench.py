"""``./noc bench NAME``: one benchmark on servers of its own."""

import sys

from project import embedded
from project.data_folder import ROOT, InstanceError
from project.foreground import run_foreground
from project.instance import clean_environment, origins


def main(arguments: list[str]) -> int:
    """Run ``python -m bench.NAME`` on migrated, throw-away servers and return its exit code."""
    names = sorted(
        path.stem
        for path in (ROOT / "bench").glob("[a-z]*.py")
        if "\nif __name__ ==" in path.read_text(encoding="utf-8")  # the others are their parts
    )
    if not arguments or arguments[0] in ("-h", "--help"):
        print(
            f"usage: ./noc bench NAME [--json] [options]\nnames: {', '.join(names) or 'none yet'}"
        )
        return 0 if arguments else 2
    name, options = arguments[0], arguments[1:]
    if name not in names:
        raise InstanceError(f"there is no benchmark {name!r}; there are: {', '.join(names)}")
    with embedded.throwaway("bench") as servers:
        environment = {
            **clean_environment(),
            **servers.environment("noc_owner"),
            **origins(8000),
            "LOG_LEVEL": "WARNING",
        }
        migrate = [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity", "0"]
        code = run_foreground(migrate, environment, reaper=servers.reaper)
        if code:
            return code
        return run_foreground(
            [sys.executable, "-m", f"bench.{name}", *options], environment, reaper=servers.reaper
        )
