"""One local instance's folder: its lock, its secrets, its ports, its logs and ``state.json``."""

import contextlib
import fcntl
import json
import os
import random
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from project import processes

ROOT = Path(__file__).resolve().parent.parent
DEFAULT = ROOT / ".local"
CLUSTERS = Path("/var/lib/noc-broadcaster")  # where root's clusters go that no other user can reach
SECRET_NAMES = ("secret_key", "postgres", "noc_owner", "noc_app", "redis", "flower")
LOG_BYTES = 10 * 1024 * 1024  # a longer log is put aside at the next start
LOCK_SECONDS = 2


class InstanceError(Exception):
    """A local instance cannot do what was asked; the text says why and what helps."""


class DataFolder:
    """Paths and small files below one data folder."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path.resolve()
        self.logs = self.path / "logs"
        self.redis = self.path / "redis"
        self.postgres = self.path / "postgres"
        self.state_file = self.path / "state.json"
        self.lock_file = self.path / "lock"
        self.control = self.path / "control"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def prepare(self) -> None:
        """Make the sub-folders and put long logs aside."""
        for folder in (self.logs, self.redis):
            folder.mkdir(exist_ok=True)
        for log in self.logs.glob("*.log"):
            if log.stat().st_size > LOG_BYTES:
                log.replace(log.with_suffix(".log.1"))

    # --- who uses it ---------------------------------------------------------------------------
    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only user of this folder, and end what a killed one left running in it.

        Raises:
            InstanceError: another process has it; the text names its id.
        """
        with self.lock_file.open("a+", encoding="ascii") as file:
            deadline = time.monotonic() + LOCK_SECONDS
            while not _try_lock(file.fileno()):
                if time.monotonic() > deadline:
                    file.seek(0)
                    raise InstanceError(
                        f"{self.path} is in use by process {file.read().strip() or 'unknown'}."
                        " Stop that one, or give this one its own folder with --data DIR."
                    )
                time.sleep(0.1)
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            processes.end_leftovers(self.path, inside=self.server_folders())
            yield

    def in_use(self) -> bool:
        """Whether a running command holds the lock."""
        try:
            with self.lock_file.open("r", encoding="ascii") as file:
                return not _try_lock(file.fileno())
        except FileNotFoundError:
            return False

    def server_folders(self) -> list[Path]:
        """The folders that only this instance's servers work in."""
        return [self.redis, self.postgres.resolve()]

    # --- small files ---------------------------------------------------------------------------
    def secrets(self) -> dict[str, str]:
        """The generated passwords and the signing key; made once, readable by the owner only."""
        path = self.path / "secrets.json"
        known = _read_json(path)
        missing = [name for name in SECRET_NAMES if name not in known]
        if missing:
            known |= {name: secrets.token_urlsafe(48 if "key" in name else 24) for name in missing}
            write_json(path, known)
        return known

    def port(self, name: str, *, fresh: bool = False) -> int:
        """The port that ``name`` had before while it is free, else (or ``fresh``) a new one."""
        path = self.path / "ports.json"
        ports = _read_json(path)
        if fresh or name not in ports or not is_free(ports[name]):
            ports[name] = free_port(avoid=ports.values())
            write_json(path, ports)
        return int(ports[name])

    def read_state(self) -> dict[str, Any]:
        return _read_json(self.state_file)

    def write_state(self, state: dict[str, Any]) -> None:
        write_json(self.state_file, state)

    def remove(self) -> None:
        """Delete the folder with its cluster, wherever that lies; ends what still runs in it."""
        processes.end_leftovers(self.path, inside=self.server_folders())
        for link in self.path.rglob("postgres"):
            target = link.resolve()
            if link.is_symlink() and target.parent == CLUSTERS:
                shutil.rmtree(target, ignore_errors=True)
        shutil.rmtree(self.path, ignore_errors=True)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise InstanceError(
            f"{path} is not JSON ({error}). Delete it to have it made anew."
        ) from error
    return content


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Replace ``path`` in one step; mode 0600, since passwords are in it."""
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file)
            file.write("\n")
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def is_free(port: int) -> bool:
    """Whether nothing listens on the loopback ``port``."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def free_port(*, avoid: Iterable[int] = ()) -> int:
    """A free loopback port below those that the kernel hands to outgoing connections."""
    taken = set(avoid)
    for _ in range(200):
        port = random.randrange(20_000, 32_000)  # noqa: S311, not a secret
        if port not in taken and is_free(port):
            return port
    raise InstanceError("found no free loopback port between 20000 and 32000")
