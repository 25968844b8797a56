"""A web process as production runs it, against the test database and any Redis."""

import http.client
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import psutil

from tests.integration.processes import ROOT, database_url, free_port, until

GRACE_SECONDS = 30


class WebProcess:
    """
    Ready when the constructor returns. ``settings``: environment variables, such as
    ``FEED_SLOW_SECONDS=2``. ``port``: that of a process that has ended, to come back as it.
    """

    def __init__(
        self, log: Path, *, redis_url: str, port: int | None = None, **settings: object
    ) -> None:
        from django.conf import settings as ours

        self.port = port or free_port()
        self.http, self.ws = self._address("http"), self._address("ws") + "/ws/noc/"
        self._log = log
        environment = {
            **os.environ,
            "DATABASE_URL": database_url(),
            "CELERY_BROKER_URL": redis_url,
            "CHANNEL_LAYER_URL": redis_url,
            "SECRET_KEY": ours.SECRET_KEY,
            "ALLOWED_ORIGINS": self.http,
            "DJANGO_SETTINGS_MODULE": "project.settings",
            "LOG_FORMAT": "console",
            **{name: str(value) for name, value in settings.items()},
        }
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, *_command(self.port)],
                cwd=ROOT,
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        try:
            until(self._ready, seconds=60, what="/livez answers")
        except BaseException:
            self.close()
            raise

    def _address(self, scheme: str) -> str:
        return f"{scheme}://127.0.0.1:{self.port}"

    def _ready(self) -> bool:
        assert self.process.poll() is None, "the web process has ended"
        try:
            with urlopen(f"{self.http}/livez", timeout=1) as answer:  # noqa: S310 - ours
                return bool(answer.status == 200)
        except OSError:
            return False

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End it, and print its log: pytest shows that when the test failed."""
        if self.process.poll() is None:
            self.terminate()
            try:
                self.process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()
        sys.stdout.write(f"\n--- {self._log.name}\n{self._log.read_text(errors='replace')}")

    # --- looking at it --------------------------------------------------------------------------

    def metrics(self) -> Mapping[str, float]:
        """Return the samples of /metrics by their name with labels."""
        with urlopen(f"{self.http}/metrics", timeout=30) as page:  # noqa: S310 - ours
            lines = page.read().decode().splitlines()
        samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in samples}

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of the samples of this name that carry these labels."""
        wanted = [f'{label}="{value}"' for label, value in labels.items()]
        return sum(
            value
            for sample, value in self.metrics().items()
            if sample.partition("{")[0] == name and all(each in sample for each in wanted)
        )

    def sockets(self) -> int:
        """Return how many clients' connections it holds."""
        return sum(
            each.status == psutil.CONN_ESTABLISHED and each.laddr.port == self.port
            for each in psutil.Process(self.process.pid).net_connections("tcp")
        )

    def request(self, method: str, path: str, headers: Mapping[str, str]) -> tuple[int, str]:
        """Return the status and the body of the answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, headers=dict(headers))
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


def _command(port: int) -> list[Any]:
    address = ("--host", "127.0.0.1", "--port", str(port))
    if (ROOT / "project" / "web.py").exists():
        return ["-m", "project.web", *address]
    return [
        *("-m", "uvicorn", "project.asgi:application", *address),
        *("--ws", "websockets-sansio", "--ws-per-message-deflate", "false"),
        *("--ws-max-size", "65536", "--timeout-graceful-shutdown", "20"),
    ]
