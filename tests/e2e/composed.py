"""Runs the services of docker-compose.yml without containers: their commands, their environment.

The files of the image lie in a folder of their own, made by .dockerignore and the Dockerfile's own
line. What differs from a container: host names and ports are those of the loopback.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg

from project import processes
from project.data_folder import DataFolder
from project.embedded_postgres import DATABASE, PostgreSQL
from tests import compose_file
from tests.compose_file import ROOT

HOST = "noc.example.com"
FLOWER_LOGIN = ("noc", "flower-password")
BIN = Path(sys.executable).parent
# As the Dockerfile sets them.
IMAGE_ENVIRONMENT = {
    "PATH": f"{BIN}:{os.defpath}",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "DJANGO_SETTINGS_MODULE": "project.settings",
}


class Composed:
    """The services of one data folder; `start` each, `end` all."""

    def __init__(self, path: Path) -> None:
        self.data = DataFolder(path)
        self.data.prepare()
        self.image = path / "image"
        self.postgres = PostgreSQL(self.data)
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        secrets = self.data.secrets()
        self.variables = {
            "SECRET_KEY": secrets["secret_key"],
            "ALLOWED_HOSTS": HOST,
            "ALLOWED_ORIGINS": f"https://{HOST}",
            "POSTGRES_PASSWORD": secrets["postgres"],
            "NOC_OWNER_PASSWORD": secrets["noc_owner"],
            "NOC_APP_PASSWORD": secrets["noc_app"],
            "REDIS_PASSWORD": secrets["redis"],
            "FLOWER_BASIC_AUTH": ":".join(FLOWER_LOGIN),
            "GRAFANA_PASSWORD": "not-started",
        }
        self.services: dict[str, Any] = compose_file.load(self.variables)["services"]
        self.ports = {
            name: self.data.port(name)
            for name in ("redis-broker", "redis-layer", "web", "flower", "exporter")
        }

    # --- the image -------------------------------------------------------------------------------
    def make_image(self) -> None:
        """Copy what .dockerignore lets into the image, and collect the static files."""
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines():
            if line.startswith("!"):
                source, copy = ROOT / line[1:], self.image / line[1:]
                copy.parent.mkdir(parents=True, exist_ok=True)
                if source.is_dir():
                    shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
                else:
                    shutil.copy(source, copy)
        # What the image gets from its stage of npm: the packages of the page, none of the checks'.
        tools = shutil.ignore_patterns("typescript", "@typescript", "axe-core")
        shutil.copytree(ROOT / "node_modules", self.image / "node_modules", ignore=tools)
        dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
        *_, last = re.findall(r"^RUN ((?:.*\\\n)*.*)$", dockerfile, re.M)
        self.run(["sh", "-c", last], IMAGE_ENVIRONMENT)

    def files(self) -> set[Path]:
        """Every file of the image, to see that a service writes none."""
        return {path for path in self.image.rglob("*") if path.is_file()}

    # --- services --------------------------------------------------------------------------------
    def start_database(self) -> None:
        """PostgreSQL as its image would make it: an empty database, then our roles."""
        self.postgres.create()
        self.running["postgres"] = self.postgres.spawn()
        assert processes.wait_until(self.postgres.answers, seconds=60)
        with psycopg.connect(self.postgres.url("postgres", "postgres"), autocommit=True) as session:
            session.execute(f"CREATE DATABASE {DATABASE}")
        self.run(
            [
                *(str(self.postgres.bin / "psql"), "--quiet", "-v", "ON_ERROR_STOP=1"),
                *("--no-psqlrc", "--dbname", self.postgres.url("postgres")),
                *("-f", str(ROOT / "deploy/postgres/10-roles.sql")),
            ],
            {"PATH": os.defpath, **self.services["postgres"]["environment"]},
        )

    def start(self, name: str) -> None:
        """Start a service's command; it answers a little later."""
        self.running[name] = processes.spawn(
            self.words(name, self.services[name]["command"]),
            env=self.environment(name),
            cwd=self.image,
            log=self.data.log(name),
        )

    def migrate(self) -> None:
        words = self.words("migrate", self.services["migrate"]["command"])
        self.run(words, self.environment("migrate"))

    def is_healthy(self, name: str) -> bool:
        """What the service's health check says now."""
        kind, *words = self.services[name]["healthcheck"]["test"]
        words = self.words(name, words)
        if kind == "CMD-SHELL":
            words = ["sh", "-c", *words]
        done = subprocess.run(
            words, env=self.environment(name), cwd=self.image, capture_output=True, check=False
        )
        return done.returncode == 0

    def end(self) -> None:
        """End the services, those that were started last first."""
        for name, process in reversed(self.running.items()):
            stop = signal.SIGINT if name == "postgres" else signal.SIGTERM
            processes.end(process, signum=stop, grace_seconds=30)

    # --- where containers and this machine differ ------------------------------------------------
    def words(self, name: str, command: str | list[str]) -> list[str]:
        port = str(self.ports.get(name, ""))
        changes = {
            "0.0.0.0": "127.0.0.1",  # noqa: S104, what is replaced
            "8000": port,
            "5555": port,
            "9101": port,
        }
        words = [changes.get(word, word) for word in compose_file.words(command)]
        if name.startswith("redis"):
            words = [
                word.replace("redis-server -", f"redis-server - --port {port} --bind 127.0.0.1")
                for word in words
            ]
            words = [word.replace("redis-cli", f"redis-cli -p {port}") for word in words]
        return words

    def environment(self, name: str) -> dict[str, str]:
        given: dict[str, str] = self.services[name]["environment"]
        places = {
            "postgres:5432": f"127.0.0.1:{self.postgres.port}",
            "redis-broker:6379": f"127.0.0.1:{self.ports['redis-broker']}",
            "redis-layer:6379": f"127.0.0.1:{self.ports['redis-layer']}",
        }
        environment = dict(given)
        for key, value in given.items():
            for place, local in places.items():
                environment[key] = environment[key].replace(f"@{place}", f"@{local}")
            if value == "5555":
                environment[key] = str(self.ports["flower"])
            elif value == "0.0.0.0":  # noqa: S104
                environment[key] = "127.0.0.1"
        # The marks by which the test run finds what it started.
        marks = {key: value for key, value in os.environ.items() if key.startswith("NOC_TEST_")}
        return {**IMAGE_ENVIRONMENT, **environment, **marks, processes.MARKER: str(self.data.path)}

    def run(self, words: list[str], environment: dict[str, str]) -> None:
        """Run to the end; a failure shows what was printed."""
        done = subprocess.run(
            words, env=environment, cwd=self.image, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
