"""``./noc COMMAND`` inside the virtual environment."""

import argparse
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from project import cli_bench, cli_check, cli_manage, cli_test, cli_up, openapi
from project.data_folder import DEFAULT, InstanceError

PASSED_ON = {
    "manage": cli_manage.main,
    "doctor": cli_manage.doctor,
    "test": cli_test.main,
    "bench": cli_bench.main,
}


def parser() -> argparse.ArgumentParser:
    """The commands whose options are their own; the others pass theirs on."""
    top = argparse.ArgumentParser(prog="./noc")
    commands = top.add_subparsers(dest="command", required=True)
    for name, run in (("up", cli_up.up), ("demo", cli_up.demo)):
        command = commands.add_parser(name, description=run.__doc__)
        command.set_defaults(run=run)
        command.add_argument(
            "--port", type=int, default=8000, help="of the site; 0 finds a free one (default 8000)"
        )
        command.add_argument(
            "--data", type=Path, default=DEFAULT, help="folder of the database (default .local)"
        )
        command.add_argument(
            "--verbose", action="store_true", help="show every line that is logged"
        )
        if name == "up":
            command.add_argument(
                "--json", action="store_true", help="print one line with addresses when ready"
            )
            # For the tests of the demo's page, which a plain instance does not have.
            command.add_argument("--breakable", action="store_true", help=argparse.SUPPRESS)
        else:
            command.add_argument("--rate", type=float, default=2.0, help="changes per second")
            command.add_argument(
                "--incidents", type=Path, help="replay this ServiceNow audit export instead"
            )
            command.add_argument(
                "--speed",
                default="max",
                help="of the replay: max, or times real time (default max)",
            )
    command = commands.add_parser("check", description=cli_check.main.__doc__)
    command.set_defaults(run=lambda _options: cli_check.main())
    command = commands.add_parser("openapi", description=openapi.main.__doc__)
    command.set_defaults(run=lambda _options: openapi.main())
    return top


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code."""
    run: Callable[[], int]
    if arguments and arguments[0] in PASSED_ON:
        passed_on = PASSED_ON[arguments[0]]
        run = lambda: passed_on(arguments[1:])  # noqa: E731
    else:
        options = parser().parse_args(arguments)
        run = lambda: options.run(options)  # noqa: E731
    signal.signal(signal.SIGTERM, interrupt)
    try:
        return run()
    except InstanceError as error:
        print(f"noc: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def interrupt(signum: int, frame: FrameType | None) -> None:
    """Let SIGTERM end a command as Ctrl-C does: what it started is ended first."""
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
