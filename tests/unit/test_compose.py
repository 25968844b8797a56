"""docker-compose.yml: its form, its secrets, and that it starts what local instances start.

Docker is not needed. Where ``docker compose`` or ``docker-compose`` is installed, it judges the
file as well.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from ipaddress import ip_address, ip_network
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

from apps.noc.feed.conf import FeedSettings
from project import web
from project.embedded_postgres import APP_LIMITS
from project.instance import FLOWER_LIMITS, Instance
from tests import compose_file
from tests.compose_file import ROOT, Missing

SECRETS = {
    "SECRET_KEY": "k" * 50,
    "POSTGRES_PASSWORD": "superuser1",
    "NOC_OWNER_PASSWORD": "owner1",
    "NOC_APP_PASSWORD": "app1",
    "REDIS_PASSWORD": "redis1",
    "FLOWER_BASIC_AUTH": "noc:flower1",
    "GRAFANA_PASSWORD": "grafana1",
}
FILLED = {
    **SECRETS,
    "ALLOWED_HOSTS": "noc.example.com",
    "ALLOWED_ORIGINS": "https://noc.example.com",
}
PROGRAMS = ("web", "worker", "beat", "exporter", "flower")
MONITORING = ("prometheus", "grafana")  # of a profile, from images of others

TEXT = {"type": "string", "minLength": 1}
TEXTS = {"type": "array", "items": TEXT, "minItems": 1, "uniqueItems": True}
SECONDS = {"type": "string", "pattern": "^[0-9]+(s|m)$"}
WORDS = {"type": "array", "items": TEXT, "minItems": 1}


def record(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    """The schema of an object that has these keys and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": required or [],
        "additionalProperties": False,
    }


# The part of the compose specification that we use; a key outside of it is a typing mistake until
# it is added here.
SERVICE = record(
    ["image", "restart", "cap_drop", "security_opt", "read_only", "logging"],
    image={
        "anyOf": [
            {"pattern": r"^[a-z-]+(:[0-9]+\.[0-9]+(\.[0-9]+)?-[a-z]+)?$"},
            {"pattern": r"^(prom/prometheus:v|grafana/grafana:)[0-9]+\.[0-9]+\.[0-9]+$"},
        ]
    },
    profiles={"const": ["monitoring"]},
    networks=record(default=record(["ipv4_address"], ipv4_address=TEXT)),
    build=record(
        ["context", "args"],
        context={"const": "."},
        args=record(["OTEL"], OTEL={"enum": ["", "1"]}),
    ),
    restart={"enum": ["no", "unless-stopped"]},
    user=TEXT,
    init={"type": "boolean"},
    read_only={"const": True},
    tmpfs={"type": "array", "items": {"type": "string", "pattern": "^/"}},
    cap_drop={"const": ["ALL"]},
    cap_add={"enum": [["CHOWN", "DAC_OVERRIDE", "FOWNER", "SETGID", "SETUID"]]},
    security_opt={"const": ["no-new-privileges:true"]},
    shm_size={"type": "string", "pattern": "^[0-9]+mb$"},
    environment={"type": "object", "additionalProperties": {"type": "string"}},
    ports={"type": "array", "items": {"type": "string", "pattern": r"^127\.0\.0\.1:\d+:\d+$"}},
    volumes=TEXTS,
    command={"oneOf": [TEXT, WORDS]},
    depends_on={
        "type": "object",
        "additionalProperties": record(
            ["condition"],
            condition={"enum": ["service_healthy", "service_completed_successfully"]},
        ),
    },
    healthcheck=record(
        ["test", "interval", "timeout", "retries"],
        test={**WORDS, "prefixItems": [{"enum": ["CMD", "CMD-SHELL"]}], "minItems": 2},
        interval=SECONDS,
        timeout=SECONDS,
        start_period=SECONDS,
        retries={"type": "integer", "minimum": 1},
    ),
    stop_signal={"const": "SIGINT"},
    stop_grace_period=SECONDS,
    logging=record(
        ["driver", "options"],
        driver={"const": "json-file"},
        options={"type": "object", "additionalProperties": {"type": "string"}},
    ),
)
SCHEMA = {
    "type": "object",
    "properties": {
        "services": {"type": "object", "additionalProperties": SERVICE},
        "volumes": {"type": "object", "additionalProperties": {"type": "null"}},
        "networks": record(
            default=record(
                ["ipam"],
                ipam=record(
                    config={
                        "type": "array",
                        "items": record(["subnet"], subnet=TEXT, gateway=TEXT, ip_range=TEXT),
                        "minItems": 1,
                        "maxItems": 1,
                    }
                ),
            )
        ),
    },
    "patternProperties": {"^x-": {"type": "object"}},
    "required": ["services"],
    "additionalProperties": False,
}


@pytest.fixture
def services() -> dict[str, Any]:
    found: dict[str, Any] = compose_file.load(FILLED)["services"]
    return found


def compose_program() -> list[str] | None:
    """Return the command of an installed compose that works, or None."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            asked = subprocess.run([*command, "version"], capture_output=True, check=False)
            if asked.returncode == 0:
                return command
    return None


def config(
    command: list[str], variables: dict[str, str], env_file: Path
) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **variables}
    env_file.touch()  # empty, instead of the developer's .env
    asked = [*command, "--env-file", env_file, "-f", compose_file.FILE, "config"]
    return subprocess.run(asked, env=environment, capture_output=True, text=True, check=False)


class TestFile:
    def test_has_the_form_of_the_compose_specification(self) -> None:
        jsonschema.Draft202012Validator(SCHEMA).validate(compose_file.load(FILLED))

    def test_is_accepted_by_compose_where_it_is_installed(self, tmp_path: Path) -> None:
        command = compose_program()
        if command is None:  # then the schema above is what judges
            return
        accepted = config(command, FILLED, tmp_path / "env")
        assert accepted.returncode == 0, accepted.stderr
        without = {name: value for name, value in FILLED.items() if name != "NOC_APP_PASSWORD"}
        refused = config(command, without, tmp_path / "env")
        assert refused.returncode != 0
        assert "NOC_APP_PASSWORD" in refused.stderr

    def test_depends_only_on_services_that_can_be_waited_for(
        self, services: dict[str, Any]
    ) -> None:
        for name, service in services.items():
            for other, wanted in service.get("depends_on", {}).items():
                waited = services[other]
                if wanted["condition"] == "service_healthy":
                    assert "healthcheck" in waited, f"{name} waits for {other}"
                else:
                    assert waited["restart"] == "no", f"{name} waits for {other}"

    def test_uses_only_volumes_and_files_that_exist(self, services: dict[str, Any]) -> None:
        named = compose_file.raw()["volumes"]
        for service in services.values():
            for volume in service.get("volumes", []):
                source = volume.partition(":")[0]
                assert (ROOT / source).exists() if source.startswith(".") else source in named


class TestServices:
    def test_are_those_of_the_design(self, services: dict[str, Any]) -> None:
        others = {"postgres", "redis-broker", "redis-layer", "migrate"}
        assert set(services) == {*PROGRAMS, *others, *MONITORING}

    def test_start_the_monitoring_only_when_asked_for(self, services: dict[str, Any]) -> None:
        optional = {name for name, service in services.items() if "profiles" in service}
        assert optional == set(MONITORING)
        for name, service in services.items():
            if name not in MONITORING:
                assert not set(service.get("depends_on", {})) & set(MONITORING), name

    def test_let_the_prometheus_of_the_profile_and_no_other_fetch_the_metrics(
        self, services: dict[str, Any]
    ) -> None:
        address = ip_address(services["prometheus"]["networks"]["default"]["ipv4_address"])
        (subnet,) = compose_file.raw()["networks"]["default"]["ipam"]["config"]
        network = ip_network(subnet["subnet"])
        clients = services["web"]["environment"]["METRICS_CLIENTS"].split(",")
        assert address in network
        assert address not in ip_network(subnet["ip_range"])  # nobody else gets it
        reachable = [each for each in map(ip_network, clients) if each.version == 4]
        assert [n for n in reachable if n.overlaps(network)] == [ip_network(f"{address}/32")]
        trusted = services["web"]["environment"]["FORWARDED_ALLOW_IPS"].split(",")
        assert subnet["gateway"] in trusted
        # Docker's gateway, from which the proxy in front appears to come.
        assert address != next(network.hosts())

    def test_let_nobody_into_grafana_without_the_password(self, services: dict[str, Any]) -> None:
        environment = services["grafana"]["environment"]
        assert environment["GF_SECURITY_ADMIN_PASSWORD"] == SECRETS["GRAFANA_PASSWORD"]
        assert environment["GF_AUTH_ANONYMOUS_ENABLED"] == "false"
        assert environment["GF_USERS_ALLOW_SIGN_UP"] == "false"

    def test_restart_and_tell_their_health_but_for_the_migrations(
        self, services: dict[str, Any]
    ) -> None:
        for name, service in services.items():
            if name == "migrate":
                assert service["restart"] == "no"
            else:
                assert service["restart"] == "unless-stopped", name
                assert service["healthcheck"]["test"], name

    def test_have_a_health_check_that_may_take_less_than_its_interval(
        self, services: dict[str, Any]
    ) -> None:
        for name, service in services.items():
            if check := service.get("healthcheck"):
                assert seconds(check["timeout"]) < seconds(check["interval"]), name

    def test_use_the_database_as_its_owner_only_to_migrate(self, services: dict[str, Any]) -> None:
        roles = {
            name: service["environment"]["DATABASE_URL"].split("//")[1].split(":")[0]
            for name, service in services.items()
            if "DATABASE_URL" in service.get("environment", {})
        }
        assert roles == {"migrate": "noc_owner", **dict.fromkeys(PROGRAMS, "noc_app")}

    def test_are_reached_from_this_machine_alone(self, services: dict[str, Any]) -> None:
        published = {name for name, service in services.items() if service.get("ports")}
        # The schema holds all of them to the loopback.
        assert published == {"web", "flower", "exporter", *MONITORING}

    def test_show_flower_to_one_login_without_its_buttons(self, services: dict[str, Any]) -> None:
        environment = services["flower"]["environment"]
        assert environment["FLOWER_BASIC_AUTH"] == SECRETS["FLOWER_BASIC_AUTH"]
        assert {name: environment[name] for name in FLOWER_LIMITS} == FLOWER_LIMITS
        assert FLOWER_LIMITS["FLOWER_READ_ONLY"] == "true"

    def test_get_the_grace_that_the_web_process_takes(self, services: dict[str, Any]) -> None:
        graceful = web.GRACEFUL_SECONDS + FeedSettings().drain_seconds
        assert seconds(services["web"]["stop_grace_period"]) > graceful


class TestSecrets:
    def test_have_no_default(self) -> None:
        assert set(FILLED) == compose_file.required_variables()
        assert not set(FILLED) & set(compose_file.optional_variables())

    @pytest.mark.parametrize("name", sorted(FILLED))
    @pytest.mark.parametrize("forget", [dict.pop, lambda d, name: d.update({name: ""})])
    def test_that_are_missing_or_empty_are_named(
        self, name: str, forget: Callable[[dict[str, str], str], object]
    ) -> None:
        variables = dict(FILLED)
        forget(variables, name)
        with pytest.raises(Missing, match=rf"^{name}: set {name} in \.env, see \.env\.example$"):
            compose_file.load(variables)

    def test_stand_nowhere_but_in_the_environment(self, services: dict[str, Any]) -> None:
        for name, service in services.items():
            shown = str({key: part for key, part in service.items() if key != "environment"})
            assert not [secret for secret in SECRETS.values() if secret in shown], name

    def test_are_all_explained_in_the_example(self) -> None:
        example = (ROOT / ".env.example").read_text(encoding="utf-8")
        lines = re.findall(r"^(?:# )?([A-Z_]+)=", example, re.M)
        assert {*FILLED, *compose_file.optional_variables()} <= set(lines)

    def test_are_empty_in_the_example(self) -> None:
        example = (ROOT / ".env.example").read_text(encoding="utf-8")
        for name in SECRETS:
            assert re.search(rf"^{name}=$", example, re.M), name


class Programs(Instance):
    """A local instance that starts nothing and tells what it would start."""

    def __init__(self) -> None:
        self.port = 8000
        self.flower_port = 5555
        self.exporter_port = 9101
        self.control = None
        self.data: Any = SimpleNamespace(secrets=lambda: {"flower": "flower1"})
        self.commands: dict[str, list[str]] = {}

    def _python(self, name: str, arguments: list[str], **more: Any) -> Callable[[], Any]:
        self.commands[name] = arguments
        return lambda: None


class TestCommands:
    @pytest.mark.parametrize("name", PROGRAMS)
    def test_equal_those_of_a_local_instance(self, services: dict[str, Any], name: str) -> None:
        local = Programs()
        local._programs()
        wanted = ["python", *local.commands[name]]
        found = compose_file.words(services[name]["command"])
        for option in {"--host", "--address"} & set(found):  # a container is reached from outside
            found[found.index(option) + 1] = "127.0.0.1"
        assert found == wanted

    def test_migrate_as_a_local_instance_does(self, services: dict[str, Any]) -> None:
        command = compose_file.words(services["migrate"]["command"])
        assert command == ["python", "manage.py", "migrate", "--no-input"]


class TestRoles:
    def test_have_the_limits_of_a_local_instance(self) -> None:
        text = (ROOT / "deploy/postgres/10-roles.sql").read_text(encoding="utf-8")
        limits = dict(re.findall(r"^ALTER ROLE noc_app SET (\w+) = '(\w+)';$", text, re.M))
        assert limits == APP_LIMITS


class TestImage:
    def test_runs_as_a_user_of_a_fixed_number(self) -> None:
        assert "\nUSER 10001:10001\n" in dockerfile()

    def test_builds_on_tags_that_name_a_release(self) -> None:
        node, python = sorted(set(re.findall(r"^FROM (\S+)", dockerfile(), re.M)))
        assert re.fullmatch(r"python:3\.\d+\.\d+-slim-[a-z]+", python)
        assert re.fullmatch(r"node:\d+\.\d+\.\d+-[a-z]+-slim", node)

    def test_takes_the_node_of_set_up_and_what_the_page_needs_of_the_lock_file(self) -> None:
        (node,) = re.findall(r"^FROM node:([\d.]+)-", dockerfile(), re.M)
        assert f"=={node}\n" in (ROOT / "requirements-node.txt").read_text(encoding="utf-8")
        (copied,) = re.findall(r"^COPY (package.*) /$", dockerfile(), re.M)
        sent = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        assert {f"!{name}" for name in copied.split()} <= set(sent)
        (options,) = re.findall(r"^RUN npm ci (.*)$", dockerfile(), re.M)
        assert {"--omit=dev", "--ignore-scripts"} <= set(options.split())
        fetched, collected = "COPY --from=modules /node_modules node_modules", "collectstatic"
        assert dockerfile().index(fetched) < dockerfile().index(collected)

    def test_holds_every_file_that_a_service_calls(self, services: dict[str, Any]) -> None:
        allowed = {
            line[1:]
            for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
            if line.startswith("!")
        }
        assert all((ROOT / path).exists() for path in allowed)
        for name in (*PROGRAMS, "migrate"):
            service = services[name]
            called = [
                *compose_file.words(service["command"]),
                *service.get("healthcheck", {}).get("test", []),
            ]
            files = {word for word in called if word.endswith(".py")}
            assert files <= allowed, name
        packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests", "bench"}
        assert packages <= allowed

    def test_takes_no_secret_of_a_deployment(self) -> None:
        assert Path(ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()[1] == "*"
        assert re.findall(r"^ARG (\w+)", dockerfile(), re.M) == ["OTEL"]

    def test_has_opentelemetry_only_where_it_is_asked_for(self) -> None:
        assert 'ARG OTEL=""\n' in dockerfile()
        assert '--requirement "/requirements${OTEL:+-otel}.txt"' in dockerfile()
        (copied,) = re.findall(r"^COPY (requirements.*) /$", dockerfile(), re.M)
        assert copied.split() == ["requirements.txt", "requirements-otel.txt"]
        sent = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        assert {f"!{name}" for name in copied.split()} <= set(sent)
        lines = (ROOT / "requirements-otel.txt").read_text(encoding="utf-8").splitlines()
        assert lines[1] == "-r requirements.txt"
        assert "opentelemetry" not in (ROOT / "requirements.txt").read_text(encoding="utf-8")

    def test_is_built_with_it_by_one_variable(self) -> None:
        for given, wanted in ({}, ""), ({"OTEL": "1"}, "1"):
            built = compose_file.load(FILLED | given)["services"]["web"]["build"]
            assert built == {"context": ".", "args": {"OTEL": wanted}}


def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text(encoding="utf-8")


def seconds(text: str) -> int:
    return int(text[:-1]) * (60 if text.endswith("m") else 1)
