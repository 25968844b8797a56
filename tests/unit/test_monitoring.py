"""Alert rules, their tests, the dashboard and the runbook belong together.

That the metrics they name exist is asked of running programs, in tests/e2e/test_monitoring.py.
"""

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from project import promtool
from tests.monitoring_files import (
    GRAFANA,
    PROMETHEUS,
    RUNBOOK,
    alerts,
    dashboard,
    expressions,
    rule_tests,
)

NO_PROMTOOL = (
    "no promtool: put one on PATH or name it in NOC_PROMTOOL. ./noc test fetches Debian's when"
    " apt-get can."
)


def check(*arguments: str) -> None:
    """Run promtool in the folder of the rules, and fail with what it says."""
    program = promtool.find()
    if program is None:
        pytest.skip(NO_PROMTOOL)
    done = subprocess.run(
        [program, *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def read_yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


class TestRules:
    def test_pass_their_tests(self) -> None:
        check("test", "rules", "rules_test.yml")

    def test_are_valid_with_the_configuration(self) -> None:
        check("check", "config", "prometheus.yml")

    @pytest.mark.parametrize("name", sorted(alerts()))
    def test_fire_in_one_test_and_stay_silent_in_another(self, name: str) -> None:
        expected = [
            bool(each["exp_alerts"])
            for test in rule_tests()
            for each in test["alert_rule_test"]
            if each["alertname"] == name
        ]
        assert {True, False} == set(expected)

    @pytest.mark.parametrize("name", sorted(alerts()))
    def test_say_how_bad_it_is_and_what_to_do(self, name: str) -> None:
        rule = alerts()[name]
        assert name.startswith("Noc")
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["description"]

    def test_look_at_counters_by_their_increase(self) -> None:
        for name, expression in expressions().items():
            for counter in re.finditer(r"\b\w+_(?:total|bucket)\b", expression):
                before = expression[: counter.start()]
                assert before.endswith(("rate(", "increase(")), f"{name}: {counter[0]}"


class TestRunbook:
    def test_has_a_section_per_alert_and_no_other(self) -> None:
        sections = re.findall(r"^## (Noc\w+)$", RUNBOOK.read_text(encoding="utf-8"), re.M)
        assert sorted(sections) == sorted(alerts())

    @pytest.mark.parametrize("name", sorted(alerts()))
    def test_tells_meaning_check_fix_and_replay(self, name: str) -> None:
        text = RUNBOOK.read_text(encoding="utf-8")
        section = re.split(r"^## ", text.partition(f"## {name}\n")[2], flags=re.M)[0]
        told = re.findall(r"^\*\*(\w+)\.\*\*", section, re.M)
        assert told == ["Meaning", "Check", "Fix", "Replay"]
        assert "```sh" in section.partition("**Check.**")[2].partition("**Fix.**")[0]


class TestDashboard:
    def test_has_an_address_of_its_own_and_the_rows_of_the_design(self) -> None:
        board = dashboard()
        assert board["uid"] == "noc-broadcaster"
        rows = [panel["title"] for panel in board["panels"] if panel["type"] == "row"]
        assert rows == ["Pipeline", "Delivery", "Connections", "Failures", "System"]

    def test_takes_its_data_from_the_variable(self) -> None:
        (variable,) = dashboard()["templating"]["list"]
        assert (variable["name"], variable["type"]) == ("datasource", "datasource")
        for panel in dashboard()["panels"]:
            for target in [panel, *panel.get("targets", [])] if panel["type"] != "row" else []:
                assert target["datasource"] == {"type": "prometheus", "uid": "${datasource}"}

    def test_has_panels_of_different_ids_that_do_not_overlap(self) -> None:
        panels = dashboard()["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        taken: set[tuple[int, int]] = set()
        for panel in panels:
            at = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(at["x"], at["x"] + at["w"])
                for y in range(at["y"], at["y"] + at["h"])
            }
            assert not cells & taken, panel["title"]
            assert max(x for x, _ in cells) < 24
            taken |= cells

    def test_is_provisioned_with_its_data_source(self) -> None:
        provider = read_yaml(GRAFANA / "provisioning/dashboards/noc.yml")["providers"][0]
        source = read_yaml(GRAFANA / "provisioning/datasources/prometheus.yml")["datasources"][0]
        compose = read_yaml(PROMETHEUS.parents[1] / "docker-compose.yml")["services"]
        mounted = [volume.split(":")[1] for volume in compose["grafana"]["volumes"]]
        assert provider["options"]["path"] in mounted
        assert source["url"] == "http://prometheus:9090"
        assert dashboard()["templating"]["list"][0]["current"]["value"] == source["uid"]

    def test_and_rules_have_valid_expressions(self, tmp_path: Path) -> None:
        rules = [
            # Grafana puts its own times in place of its variables.
            {"record": "noc:x", "expr": expression.replace("$__rate_interval", "1m")}
            for expression in expressions().values()
        ]
        file = tmp_path / "expressions.yml"
        file.write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
        check("check", "rules", os.fspath(file))


class TestPrometheus:
    def test_scrapes_what_compose_starts(self) -> None:
        jobs = read_yaml(PROMETHEUS / "prometheus.yml")["scrape_configs"]
        targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in jobs}
        assert targets == {"noc-exporter": ["exporter:9101"], "noc-web": ["web:8000"]}
        compose = read_yaml(PROMETHEUS.parents[1] / "docker-compose.yml")["services"]
        assert compose["exporter"]["command"].endswith("--port 9101")
        assert compose["web"]["command"].endswith("--port 8000")
