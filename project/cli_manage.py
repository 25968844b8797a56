"""``./noc manage``: a management command against a running instance."""

import os
import shlex
import sys
from pathlib import Path

from project.data_folder import DEFAULT, ROOT, DataFolder, InstanceError
from project.instance import manage_environment

DOCTOR_USAGE = "usage: ./noc doctor [--data DIR] [--json]"
USAGE = "usage: ./noc manage [--data DIR] COMMAND [options]      (./noc manage help lists them)"


def doctor(arguments: list[str]) -> int:
    """Become ``manage.py noc_doctor`` for a running instance; the exit code is 1 when one fails."""
    if {"-h", "--help"} & set(arguments):
        print(DOCTOR_USAGE)
        return 0
    folder, rest = split_folder(arguments)
    where = [] if folder is None else ["--data", folder]
    return main([*where, "noc_doctor", *rest])


def split_folder(arguments: list[str]) -> tuple[str | None, list[str]]:
    """Take ``--data DIR`` out of the arguments, wherever it stands."""
    rest = list(arguments)
    for place, argument in enumerate(rest):
        if argument == "--data" and place + 1 < len(rest):
            folder = rest[place + 1]
            del rest[place : place + 2]
            return folder, rest
        if argument.startswith("--data="):
            del rest[place]
            return argument.partition("=")[2], rest
    return None, rest


def main(arguments: list[str]) -> int:
    """Become ``manage.py`` with the environment of the instance; starts nothing.

    Raises:
        InstanceError: no instance runs on the data folder.
    """
    folder = DEFAULT
    if arguments[:1] == ["--data"] and len(arguments) > 1:
        folder, arguments = Path(arguments[1]), arguments[2:]
    elif arguments and arguments[0].startswith("--data="):
        folder, arguments = Path(arguments[0].partition("=")[2]), arguments[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE, file=sys.stdout if arguments else sys.stderr)
        return 0 if arguments else 2
    environment = manage_environment(running(folder))
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    os.execve(sys.executable, command, environment)  # noqa: S606, no shell is meant


def running(folder: Path) -> DataFolder:
    """The data folder, once it is certain that an instance with servers runs on it."""
    option = "" if folder == DEFAULT else f" --data {shlex.quote(str(folder))}"
    remedy = f"Start it in another terminal: ./noc up{option}"
    if not folder.is_dir():
        raise InstanceError(f"there is no instance in {folder}. {remedy}")
    data = DataFolder(folder)
    if not data.in_use():
        raise InstanceError(f"no instance is running in {data.path}. {remedy}")
    if not data.read_state().get("pids", {}).get("postgres"):
        raise InstanceError(
            f"the instance in {data.path} is still starting; call again when it is."
        )
    return data
