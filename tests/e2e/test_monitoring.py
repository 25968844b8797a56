"""What the alerts and the dashboard name is what running programs tell."""

import re
import subprocess

import httpx
import psutil
import pytest

from project import promtool
from tests.e2e.running import Running, eventually
from tests.monitoring_files import expressions, selectors
from tests.unit.test_monitoring import NO_PROMTOOL

SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? ", re.M)
TYPE = re.compile(r"^# TYPE (\w+) (\w+)$", re.M)
LABEL = re.compile(r'(\w+)="([^"]*)"')


@pytest.fixture
def pages(stack: Running) -> dict[str, str]:
    """What Prometheus would fetch, by job."""
    addresses = {"noc-exporter": stack["exporter"], "noc-web": f"{stack['http']}/metrics"}
    found = {}
    for job, address in addresses.items():
        answer = httpx.get(address)
        assert answer.status_code == 200
        found[job] = answer.text
    return found


def names(text: str) -> set[str]:
    """Every name that samples of the page may have; a labelled one has none before its first."""
    found = {name for name, _ in SAMPLE.findall(text)}
    for name, kind in TYPE.findall(text):
        parts = ("_bucket", "_sum", "_count") if kind == "histogram" else ("",)
        found |= {name + part for part in parts}
    return found


class TestNames:
    def test_of_rules_and_dashboard_are_told(self, pages: dict[str, str]) -> None:
        told = names("".join(pages.values()))
        named = {name for text in expressions().values() for name, _ in selectors(text)}
        assert not named - told

    def test_are_all_on_the_dashboard_or_in_a_rule(self, pages: dict[str, str]) -> None:
        named = {name for text in expressions().values() for name, _ in selectors(text)}
        own = {name for name, _ in TYPE.findall("".join(pages.values())) if name.startswith("noc_")}
        unused = {
            name
            for name in own
            if not name.endswith("_created") and not any(n.startswith(name) for n in named)
        }
        assert not unused

    def test_have_the_labels_that_the_expressions_ask_for(self, pages: dict[str, str]) -> None:
        told = [
            (name, dict(LABEL.findall(labels)))
            for name, labels in SAMPLE.findall("".join(pages.values()))
        ]
        for text in expressions().values():
            for name, wanted in selectors(text):
                if wanted:
                    found = any(n == name and wanted.items() <= has.items() for n, has in told)
                    assert found, f"{name} {wanted}"

    def test_are_not_told_by_two_jobs(self, pages: dict[str, str]) -> None:
        assert not names(pages["noc-exporter"]) & names(pages["noc-web"])

    @pytest.mark.parametrize("job", ["noc-exporter", "noc-web"])
    def test_keep_the_rules_of_prometheus(self, pages: dict[str, str], job: str) -> None:
        program = promtool.find()
        if program is None:
            pytest.skip(NO_PROMTOOL)
        done = subprocess.run(
            [program, "check", "metrics"],
            input=pages[job],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")


class TestExporter:
    def test_is_started_again_and_keeps_its_address(self, stack: Running) -> None:
        before = stack.state()
        psutil.Process(before["pids"]["exporter"]).kill()

        eventually(
            lambda: stack.state()["pids"].get("exporter") not in (None, before["pids"]["exporter"]),
            seconds=30,
        )
        eventually(lambda: bool(stack.state()["ready"]), seconds=30)

        assert stack.state()["exporter"] == before["exporter"]
        assert "noc_exporter_up 1.0" in httpx.get(before["exporter"]).text

    def test_listens_on_the_loopback_alone(self, stack: Running) -> None:
        process = psutil.Process(stack.state()["pids"]["exporter"])
        listening = {
            each.laddr.ip
            for each in process.net_connections("inet")
            if each.status == psutil.CONN_LISTEN
        }
        assert listening == {"127.0.0.1"}
