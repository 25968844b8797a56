"""The embedded servers of one data folder together, kept or thrown away."""

import contextlib
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from project import processes
from project.data_folder import DEFAULT, ROOT, DataFolder, InstanceError
from project.embedded_postgres import PostgreSQL
from project.embedded_redis import Redis

START_SECONDS = 60  # crash recovery of the database included
PORT_ATTEMPTS = 3


class Servers:
    """PostgreSQL and Redis on loopback ports, with generated passwords."""

    def __init__(
        self, data: DataFolder, reaper: processes.Reaper, *, for_tests: bool = False
    ) -> None:
        self.data = data
        self.reaper = reaper
        self.postgres = PostgreSQL(data, for_tests=for_tests)
        self.redis = Redis(data)

    def start(
        self,
        started: dict[str, subprocess.Popen[bytes]],
        check_stop: Callable[[], None] = lambda: None,
    ) -> None:
        """Start both and wait until they answer; each is put into ``started`` at once.

        ``check_stop`` is called between the steps and may raise to end the start.

        Raises:
            InstanceError: one does not start; the text holds the end of its log.
        """
        self.data.prepare()
        self.postgres.create()
        for name, server in self.named().items():
            for attempt in range(1, PORT_ATTEMPTS + 1):
                started[name] = process = server.spawn()
                self.reaper.watch(process.pid, server.stop_signal)
                if self._answers(server, process, check_stop):
                    break
                # Somebody took the port between the look and the start.
                if process.poll() is None or attempt == PORT_ATTEMPTS:
                    raise InstanceError(f"{name} does not start:\n{tail(self.data.log(name))}")
                server.port = self.data.port(name, fresh=True)
        self.postgres.bootstrap()

    def named(self) -> dict[str, PostgreSQL | Redis]:
        return {"postgres": self.postgres, "redis": self.redis}

    def _answers(
        self,
        server: PostgreSQL | Redis,
        process: subprocess.Popen[bytes],
        check_stop: Callable[[], None],
    ) -> bool:
        def settled() -> bool:
            check_stop()
            return process.poll() is not None or server.answers()

        processes.wait_until(settled, seconds=START_SECONDS)
        # Asked again, and the process looked at last: another program may answer on the port.
        return server.answers() and process.poll() is None

    def environment(self, role: str) -> dict[str, str]:
        """What project/settings.py reads, for a program that uses the database as ``role``."""
        return local_settings(
            secret_key=self.data.secrets()["secret_key"],
            database_url=self.postgres.url(role),
            redis_url=self.redis.url(),
        )


def local_settings(*, secret_key: str, database_url: str, redis_url: str) -> dict[str, str]:
    """The settings of a local instance: no debugging aids, and no TLS on the loopback."""
    return {
        "SECRET_KEY": secret_key,
        "DEBUG": "false",
        "HTTPS": "false",
        "DATABASE_URL": database_url,
        "CELERY_BROKER_URL": redis_url,
        "CHANNEL_LAYER_URL": redis_url,
        "STATIC_FROM_SOURCE": "true",
        "DJANGO_SETTINGS_MODULE": "project.settings",
    }


@contextlib.contextmanager
def throwaway(kind: str) -> Iterator[Servers]:
    """Servers in a fresh folder below ``.local``, which is gone afterwards with all it held."""
    remove_abandoned(kind)
    DEFAULT.mkdir(exist_ok=True)
    path = Path(tempfile.mkdtemp(dir=DEFAULT, prefix=f"{kind}-"))
    path.chmod(0o711)  # PostgreSQL's user passes through
    data = DataFolder(path)
    started: dict[str, subprocess.Popen[bytes]] = {}
    reaper = processes.Reaper(cwd=ROOT)
    try:
        with data.locked():
            servers = Servers(data, reaper, for_tests=True)
            servers.start(started)
            yield servers
    finally:
        for process in started.values():  # at once, but PostgreSQL gives back its shared memory
            processes.end(process, signum=signal.SIGQUIT, grace_seconds=5)
            reaper.forget(process.pid)
        reaper.close()
        data.remove()


def remove_abandoned(kind: str) -> None:
    """Remove the throw-away folders whose command was killed."""
    for path in DEFAULT.glob(f"{kind}-*"):
        data = DataFolder(path)
        if not data.in_use() and time.time() - path.stat().st_mtime > 60:
            data.remove()


def tail(log: Path, lines: int = 15) -> str:
    """The last lines of a log."""
    try:
        return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return ""
