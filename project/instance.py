"""A whole local instance: embedded servers, migrations, web, worker, beat, exporter, Flower."""

import contextlib
import http.client
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import redis

from project import processes
from project.data_folder import DEFAULT, ROOT, DataFolder, InstanceError, is_free
from project.demo.control import Control
from project.embedded import Servers, local_settings, tail
from project.supervisor import Child, Supervisor

READY_SECONDS = 120
STOP_ORDER = ("web", "worker", "beat", "exporter", "flower", "postgres", "redis")
FLOWER_USER = "noc"
# Flower keeps what passes by in memory, a sweep every two seconds at least: 10,000 tasks are some
# hours of a quiet system. A worker that is gone is shown for an hour, so that who comes to look
# still finds it, and no longer, since each restart has a new name.
FLOWER_LIMITS = {
    "FLOWER_READ_ONLY": "true",
    "FLOWER_MAX_TASKS": "10000",
    "FLOWER_PURGE_OFFLINE_WORKERS": "3600",
}


def clean_environment() -> dict[str, str]:
    """The caller's environment without what our programs and their libraries would take from it."""
    prefixes = ("PYTHON", "DJANGO_", "CELERY_", "FLOWER_", "CHANNEL_", "ALLOWED_", "DEMO_")
    kept = {"PYTHONDONTWRITEBYTECODE"}
    environment = {
        name: value
        for name, value in os.environ.items()
        if name in kept or not name.startswith(prefixes)
    }
    return environment | {"PYTHONUNBUFFERED": "1"}


def origins(port: int) -> dict[str, str]:
    """Who may call the site on the loopback ``port``."""
    return {
        "ALLOWED_HOSTS": "localhost,127.0.0.1",
        "ALLOWED_ORIGINS": f"http://localhost:{port},http://127.0.0.1:{port}",
    }


def operation(data: DataFolder, feed_url: str) -> dict[str, str]:
    """Where the canary opens its websocket, and how somebody mends what health reports."""
    folder = "" if data.path == DEFAULT.resolve() else f" {shlex.quote(str(data.path))}"
    return {"NOC_FEED_URL": feed_url, "NOC_OPERATED_BY": f"noc{folder}"}


class Instance:
    """Started by `up` and `demo`; runs until a signal comes."""

    def __init__(
        self,
        data: DataFolder,
        *,
        port: int,
        say: Callable[[str], None],
        breakable: bool = False,
    ) -> None:
        """``breakable``: with the page that breaks it on purpose."""
        self.data = data
        self.say = say
        self.supervisor = Supervisor(data, self._save_state, say, stop_order=STOP_ORDER)
        self.servers = Servers(data, self.supervisor.reaper)
        self.control = Control(data.control, self.supervisor) if breakable else None
        self.port = port
        self.flower_port = 0
        self.exporter_port = 0

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Start everything, yield when it is ready, end everything.

        Raises:
            InstanceError: a part does not start, or the web port is taken.
            Stopped: a signal came before everything was ready.
        """
        with self.data.locked(), self.supervisor.signals():
            try:
                if self.control is not None:
                    self.control.open()
                self._save_state()
                self._choose_ports()
                self._start_servers()
                self._migrate()
                for child in self._programs():
                    self.supervisor.start(child)
                self.supervisor.wait_ready(seconds=READY_SECONDS)
                yield
            finally:
                if self.control is not None:
                    self.control.close()
                self.supervisor.stop()
                self._save_state()

    def run(self, every_look: Callable[[], None] = lambda: None) -> None:
        """Watch until a signal comes."""

        def look() -> None:
            every_look()
            if self.control is not None:
                self.control.look()

        self.supervisor.run(look)

    # --- what it is ------------------------------------------------------------------------------
    def state(self) -> dict[str, Any]:
        """The object that ``--json`` prints and ``state.json`` keeps; URLs hold the passwords."""
        children = self.supervisor.children
        programs = {"web", "worker", "beat", "exporter", "flower"}
        password = self.data.secrets()["flower"]
        return {
            "ready": programs <= set(children) and all(c.ready for c in children.values()),
            "http": f"http://127.0.0.1:{self.port}",
            "ws": f"ws://127.0.0.1:{self.port}/ws/noc/",
            "database_url": self.servers.postgres.url("noc_owner"),
            "redis_url": self.servers.redis.url(),
            "flower": f"http://{FLOWER_USER}:{password}@127.0.0.1:{self.flower_port}/",
            "exporter": f"http://127.0.0.1:{self.exporter_port}/metrics",
            "pids": {
                name: children[name].pid for name in STOP_ORDER if children.get(name) is not None
            },
        }

    def _save_state(self) -> None:
        self.data.write_state(self.state())

    # --- starting --------------------------------------------------------------------------------
    def _choose_ports(self) -> None:
        if self.port == 0:
            self.port = self.data.port("web")
        elif not is_free(self.port):
            raise InstanceError(
                f"port {self.port} is taken by another program."
                " Choose one with --port P; --port 0 finds a free one."
            )
        self.flower_port = self.data.port("flower")
        self.exporter_port = self.data.port("exporter")

    def _start_servers(self) -> None:
        started: dict[str, subprocess.Popen[bytes]] = {}
        try:
            self.servers.start(started, self.supervisor.check_stop)
        finally:
            for name, server in self.servers.named().items():
                if name in started:
                    self.supervisor.adopt(
                        Child(
                            name=name,
                            spawn=server.spawn,
                            answers=server.answers,
                            stop_signal=server.stop_signal,
                            death_signal=server.stop_signal,
                            grace_seconds=20,
                        ),
                        started[name],
                    )

    def _migrate(self) -> None:
        log = self.data.log("migrate")
        process = self._python(
            "migrate", ["manage.py", "migrate", "--no-input"], role="noc_owner"
        )()
        self.supervisor.reaper.watch(process.pid, 9)
        try:
            while process.poll() is None:
                self.supervisor.check_stop()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.1)
        finally:
            processes.end(process, signum=9, grace_seconds=1)
            self.supervisor.reaper.forget(process.pid)
        if process.returncode:
            raise InstanceError(f"the migrations failed. The end of {log}:\n{tail(log)}")

    def environment(self, name: str, role: str) -> dict[str, str]:
        """The environment of the program ``name``, which uses the database as ``role``."""
        return {
            **{"LOG_FORMAT": "console", "LOG_LEVEL": "INFO"},
            **clean_environment(),
            **self.servers.environment(role),
            **origins(self.port),
            **operation(self.data, self.state()["ws"]),
            "NOC_FLOWER_URL": f"http://127.0.0.1:{self.flower_port}",
            "NOC_INSTANCE": f"noc-{name}",
            processes.MARKER: str(self.data.path),
        }

    def _python(
        self, name: str, arguments: list[str], *, role: str = "noc_app", **more: str
    ) -> Callable[[], subprocess.Popen[bytes]]:
        """Return what starts ``python ARGUMENTS`` in the checkout, logging to the child's file."""
        environment = self.environment(name, role) | more

        def spawn() -> subprocess.Popen[bytes]:
            return processes.spawn(
                [sys.executable, *arguments], env=environment, cwd=ROOT, log=self.data.log(name)
            )

        return spawn

    def _programs(self) -> list[Child]:
        celery = ["-m", "celery", "--quiet", "-A", "worker.app"]  # no banner: it is no log line
        scheduler = "django_celery_beat.schedulers:DatabaseScheduler"
        return [
            Child(
                name="web",
                spawn=self._python(
                    "web",
                    ["-m", "project.web", "--host", "127.0.0.1", "--port", str(self.port)],
                    DEMO_CONTROL=str(self.data.control) if self.control is not None else "",
                ),
                answers=lambda: answers_http(self.port, "/livez"),
                grace_seconds=32,
            ),
            Child(
                name="worker",
                spawn=self._python(
                    "worker",
                    [
                        *(*celery, "worker", "--concurrency", "2", "-Q", "celery,outbox"),
                        *("--without-gossip", "--without-mingle"),
                    ],
                ),
                answers=self._worker_listens,
            ),
            Child(
                name="beat",
                spawn=self._python("beat", [*celery, "beat", "--scheduler", scheduler]),
            ),
            Child(
                name="exporter",
                spawn=self._python(
                    "exporter",
                    [
                        *("manage.py", "noc_exporter", "--address", "127.0.0.1"),
                        *("--port", str(self.exporter_port)),
                    ],
                ),
                answers=lambda: answers_http(self.exporter_port, "/metrics"),
            ),
            Child(
                name="flower",
                spawn=self._python(
                    "flower",
                    [*celery, "flower"],
                    FLOWER_BASIC_AUTH=f"{FLOWER_USER}:{self.data.secrets()['flower']}",
                    FLOWER_ADDRESS="127.0.0.1",
                    FLOWER_PORT=str(self.flower_port),
                    **FLOWER_LIMITS,
                ),
                answers=lambda: answers_http(self.flower_port, "/healthcheck"),
            ),
        ]

    def _worker_listens(self) -> bool:
        """Whether a worker takes commands: it binds its mailbox after its task queues."""
        with contextlib.suppress(redis.RedisError), self.servers.redis.client() as client:
            return any(client.scan_iter("*_kombu.binding.celery.pidbox", count=1000))
        return False

    def start_traffic(self, arguments: list[str]) -> None:
        """Run a management command as one more child, until it is done."""
        child = Child(
            name="traffic",
            spawn=self._python("traffic", ["manage.py", *arguments], role="noc_owner"),
            may_finish=True,
            grace_seconds=5,
        )
        self.supervisor.start(child)


def manage_environment(data: DataFolder) -> dict[str, str]:
    """The environment of a management command against the instance that runs on ``data``."""
    state = data.read_state()
    return {
        **{"LOG_FORMAT": "console", "LOG_LEVEL": "WARNING"},
        **clean_environment(),
        **origins(int(state["http"].rpartition(":")[2])),
        **local_settings(
            secret_key=data.secrets()["secret_key"],
            database_url=state["database_url"],
            redis_url=state["redis_url"],
        ),
        **operation(data, state["ws"]),
        "NOC_INSTANCE": "noc-manage",
    }


def answers_http(port: int, path: str) -> bool:
    """Whether the loopback ``port`` answers GET ``path`` with 200 within a second."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=1)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
