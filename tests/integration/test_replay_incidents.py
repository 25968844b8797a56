"""After a replay the event log holds exactly the changes that the file holds, whatever happens."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from time import monotonic

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection

from apps.helpdesk import actions
from apps.helpdesk.incidents.models import ImportedIncident, ImportedLocation
from apps.helpdesk.models import Ticket
from apps.tenancy.models import Site, Tenant
from outbox import relay
from outbox.log import LogRow
from tests import incident_oracle
from tests.incident_oracle import histories_of_file, histories_of_log
from tests.integration.processes import database_url, wait_until

CHECKOUT = Path(__file__).resolve().parents[2]
HEADER = "number,incident_state,sys_mod_count,sys_updated_at,location,priority"
published: list[LogRow] = []


def collect(rows: Sequence[LogRow]) -> None:
    """The sink of these tests."""
    published.extend(rows)


def nudge(lanes: object) -> None:
    """The waker of these tests: they drain by themselves."""


@pytest.fixture(autouse=True)
def _database(database: None, settings: object) -> None:
    here = "tests.integration.test_replay_incidents"
    settings.OUTBOX = {**settings.OUTBOX, "sink": f"{here}.collect", "waker": f"{here}.nudge"}
    published.clear()


@pytest.fixture
def real_file() -> Path:
    path = incident_oracle.real_file()
    if path is None:
        pytest.skip("the audit export is not beside the checkout; NOC_INCIDENTS names one")
    return path


@pytest.fixture
def part(real_file: Path, tmp_path: Path) -> Path:
    """The real rows of its first 150 incidents."""
    with real_file.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    numbers = set(list(dict.fromkeys(row[0] for row in rows))[:150])
    path = tmp_path / "part.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *(row for row in rows if row[0] in numbers)])
    return path


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., Path]:
    """Return what writes a small export from its lines."""

    def write(*lines: str) -> Path:
        path = tmp_path / "export.csv"
        path.write_text("\n".join([HEADER, *lines, ""]), encoding="utf-8")
        return path

    return write


def replay(path: Path, *options: str, capsys: pytest.CaptureFixture[str]) -> dict:
    call_command("replay_incidents", str(path), *options, "--json")
    return json.loads(capsys.readouterr().out)


def command(path: Path, *options: str) -> subprocess.Popen[str]:
    """Start a replay as a program of its own, on the test database."""
    return subprocess.Popen(
        [sys.executable, "manage.py", "replay_incidents", str(path), *options, "--json"],
        cwd=CHECKOUT,
        env={**os.environ, "DATABASE_URL": database_url()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen[str]) -> dict:
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return json.loads(out)


def drain_all() -> None:
    for lane in range(8):
        while relay.drain(lane, deadline=monotonic() + 60):
            pass


def log() -> list[tuple[str, int, str, dict, dict]]:
    """Drain, and return the log in order: stream, seq, type, payload, context."""
    drain_all()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM outbox_message")
        assert cursor.fetchone() == (0,)
        cursor.execute(
            "SELECT stream, seq, type, payload, context FROM event_log ORDER BY stream, seq"
        )
        return [(*row[:3], json.loads(row[3]), json.loads(row[4])) for row in cursor]


def histories() -> dict[str, incident_oracle.History]:
    """Return each incident's history by the log, after a look at the log's own promises."""
    rows = log()
    seqs: dict[str, list[int]] = {}
    for stream, seq, *_ in rows:
        seqs.setdefault(stream, []).append(seq)
    for found in seqs.values():
        assert found == list(range(1, len(found) + 1))
    assert {(row.stream, row.seq) for row in published} == {row[:2] for row in rows}
    return histories_of_log((type_, payload) for _, _, type_, payload, _ in rows)


def events_in(found: dict[str, incident_oracle.History], kind: str) -> int:
    return sum(entry[0] == kind for history in found.values() for entry in history)


class TestRealFile:
    def test_leaves_exactly_its_changes_in_the_log_and_a_second_run_adds_none(
        self, real_file, capsys
    ):
        expected = histories_of_file(real_file)

        report = replay(real_file, capsys=capsys)

        assert histories() == expected
        assert report["refused"] == 0
        assert report["tickets"] == report["incidents"] == len(expected)
        assert report["changes"] == events_in(expected, "updated")
        assert report["edits"] == events_in(expected, "edited")
        assert len(report["tenants"]) == Tenant.objects.count() == 3

        again = replay(real_file, capsys=capsys)

        assert histories() == expected
        assert (again["tickets"], again["changes"], again["edits"]) == (0, 0, 0)
        assert again["rows"] == report["rows"] == again["done_before"] + again["unchanged"]

    def test_is_the_same_after_kills_in_the_middle(self, part, capsys):
        for tickets in (20, 90):
            process = command(part)
            wait_until(lambda wanted=tickets: Ticket.objects.count() >= wanted, process)
            process.send_signal(signal.SIGKILL)
            assert process.wait(10) == -signal.SIGKILL
            process.communicate()

        report = replay(part, capsys=capsys)

        assert report["done_before"] > 0
        assert report["tickets"] < report["incidents"]
        assert histories() == histories_of_file(part)

    def test_is_the_same_when_two_runs_do_it_at_once(self, part):
        runs = [finish(run) for run in [command(part), command(part)]]

        expected = histories_of_file(part)
        assert histories() == expected
        assert sum(run["changes"] for run in runs) == events_in(expected, "updated")
        assert sum(run["refused"] for run in runs) == 0

    def test_is_the_same_when_its_connections_are_cut(self, part):
        process = command(part)
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        for tickets in (10, 50, 90):
            wait_until(lambda wanted=tickets: Ticket.objects.count() >= wanted, process)
            with connection.cursor() as cursor:
                cursor.execute(f"{cut} AND datname = current_database() AND usename = current_user")
                assert cursor.rowcount >= 1

        report = finish(process)

        assert report["refused"] == 0
        assert histories() == histories_of_file(part)

    def test_continues_after_an_interrupt_with_another_speed(self, part, capsys):
        process = command(part, "--speed", "1")
        wait_until(lambda: Ticket.objects.exists(), process)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        assert process.returncode == 130, err
        assert json.loads(out)["interrupted"] is True

        report = replay(part, "--tenants", "5", capsys=capsys)

        assert report["interrupted"] is False
        assert histories() == histories_of_file(part)
        assert Tenant.objects.count() == 3  # the first run has placed the locations


class TestPlaces:
    def test_give_a_location_to_one_tenant_and_spread_the_rest(self, part, capsys):
        replay(part, capsys=capsys)

        per_tenant = [
            Ticket.objects.filter(tenant=tenant).values("site__name").distinct().count()
            for tenant in Tenant.objects.all()
        ]
        assert len(per_tenant) == 3
        assert min(per_tenant) > 1
        names = list(Site.objects.values_list("name", flat=True))
        assert len(names) == len(set(names)) == ImportedLocation.objects.count()

    def test_use_the_tenants_that_are_there_but_no_suspended_one(self, export, capsys):
        Tenant.objects.create(name="Gone", slug="gone", suspended_at="2026-01-01T00:00:00Z")
        acme = Tenant.objects.create(name="Acme", slug="acme")
        Site.objects.create(tenant=acme, code="LOC7", name="Another place")

        report = replay(
            export(
                "INC1,New,0,29-02-2016 01:23,Location 7,4 - Low",
                "INC1,Active,1,29-02-2016 01:24,Location 7,4 - Low",
                "INC2,New,0,29-02-2016 01:25,Köln #2,4 - Low",
            ),
            "--tenants",
            "2",
            capsys=capsys,
        )

        assert report["tenants"] == ["Acme", "Incidents 1"]
        numbers = Ticket.objects.order_by("pk").values_list("tenant__name", "ticket_no")
        assert list(numbers) == [
            ("Acme", "LOC7-2#INC0000001"),
            ("Incidents 1", "KOLN-2#INC0000002"),
        ]


class TestBadRows:
    def test_are_refused_one_by_one_and_the_others_applied(self, export, capsys):
        path = export(
            "INC1,Resolved,2,29-02-2016 01:30,Location 1,4 - Low",  # out of order
            "INC1,New,0,29-02-2016 01:23,Location 1,4 - Low",
            "INC1,New,0,29-02-2016 01:23,Location 1,4 - Low",  # twice
            "INC1,-100,1,29-02-2016 01:24,Location 1,4 - Low",
            "INC1,Active,1,31-02-2016 01:24,Location 1,4 - Low",
            "?,Active,1,29-02-2016 01:24,Location 1,4 - Low",
            "INC1,Active,1",
            "INC1,Active,1,29-02-2016 01:24,Loc\0ation 1,4 - Low",
            "INC1,Awaiting Vendor,3,29-02-2016 01:31,Location 1,1 - Critical",
            "INC1,Closed,4,29/02/2016 01:32,Location 1,1 - Critical",
            "INC1,New,5,29-02-2016 01:33,Location 1,1 - Critical",  # closed is final
        )

        report = replay(path, capsys=capsys)

        assert histories() == {
            "INC0000001": [
                ("created", "NEW", "LOW"),
                ("updated", "NEW", "RESOLVED"),
                ("edited", "CRITICAL"),
                ("updated", "RESOLVED", "ON_HOLD"),
                ("updated", "ON_HOLD", "CLOSED"),
            ]
        }
        assert {group["reason"]: group["first_lines"] for group in report["refusals"]} == {
            "unknown incident_state '-100'": [5],
            "sys_updated_at is not like 29-02-2016 01:23": [6],
            "number is missing": [7],
            "too few fields": [8],
            "a NUL byte": [9],
            "CLOSED is final: open a new ticket instead of setting NEW.": [12],
        }
        assert report["rows"] == 11
        assert report["unchanged"] == 1

    def test_do_not_hide_missing_columns(self, tmp_path):
        path = tmp_path / "export.csv"
        path.write_text("number,location\nINC1,Location 1\n")

        with pytest.raises(CommandError, match="lacks the columns incident_state, sys_mod_count"):
            call_command("replay_incidents", str(path))

        assert not Tenant.objects.exists()


class TestTickets:
    def test_carry_who_changed_them_and_by_which_line(self, export, capsys):
        replay(export("INC1,New,0,29-02-2016 01:23,Location 1,4 - Low"), capsys=capsys)

        ((*_, context),) = log()
        assert context["actor"] == "import:servicenow"
        assert context["request_id"].endswith(":2")

    def test_say_what_they_wait_for(self, export, capsys):
        replay(
            export(
                "INC1,Active,0,29-02-2016 01:23,Location 1,4 - Low",
                "INC1,Awaiting Vendor,1,29-02-2016 01:24,Location 1,4 - Low",
                "INC1,Awaiting User Info,2,29-02-2016 01:25,Location 1,4 - Low",
            ),
            capsys=capsys,
        )

        ticket = Ticket.objects.get()
        assert (ticket.status, ticket.hold_reason, ticket.version) == ("ON_HOLD", "Vendor", 2)

    def test_may_begin_on_hold(self, export, capsys):
        replay(export("INC1,Awaiting Vendor,0,29-02-2016 01:23,Location 1,4 - Low"), capsys=capsys)

        ticket = Ticket.objects.get()
        assert (ticket.status, ticket.hold_reason) == ("ON_HOLD", "Vendor")

    def test_that_an_operator_changed_are_not_set_back(self, export, capsys):
        lines = [
            "INC1,New,0,29-02-2016 01:23,Location 1,4 - Low",
            "INC1,Resolved,1,29-02-2016 01:24,Location 1,4 - Low",
            "INC1,Resolved,2,29-02-2016 01:25,Location 1,4 - Low",
        ]
        replay(export(*lines), capsys=capsys)
        actor = User.objects.create(username="olga")
        actions.change_status(ticket_id=Ticket.objects.get().pk, to="IN_PROGRESS", actor=actor)

        replay(export(*lines), capsys=capsys)
        assert Ticket.objects.get().status == "IN_PROGRESS"

        lines.append("INC1,Active,3,29-02-2016 01:26,Location 1,4 - Low")  # is so already
        lines.append("INC1,Closed,4,29-02-2016 01:27,Location 1,4 - Low")
        report = replay(export(*lines), capsys=capsys)
        assert Ticket.objects.get().status == "CLOSED"
        assert (report["changes"], report["refused"]) == (1, 0)

    def test_that_were_deleted_stay_deleted(self, export, capsys):
        lines = ["INC1,New,0,29-02-2016 01:23,Location 1,4 - Low"]
        replay(export(*lines), capsys=capsys)
        actions.delete_ticket(ticket_id=Ticket.objects.get().pk)

        lines.append("INC1,Active,1,29-02-2016 01:24,Location 1,4 - Low")
        report = replay(export(*lines), capsys=capsys)

        assert not Ticket.objects.exists()
        assert ImportedIncident.objects.get().ticket_id is None
        assert report["refusals"] == [
            {"reason": "its ticket was deleted here", "rows": 1, "first_lines": [3]}
        ]

    def test_whose_number_is_taken_are_refused_rows(self, export, capsys):
        replay(export("INC1,New,0,29-02-2016 01:23,Location 1,4 - Low"), capsys=capsys)
        site = Site.objects.get()
        actions.create_ticket(site=site, description="by hand", ticket_no="LOC1#INC0000002")

        report = replay(
            export(
                "INC2,New,0,29-02-2016 01:23,Location 1,4 - Low",
                "INC3,New,0,29-02-2016 01:24,Location 1,4 - Low",
            ),
            capsys=capsys,
        )

        assert report["tickets"] == 1
        assert "ticket_no_once" in report["refusals"][0]["reason"]


class TestOptions:
    def test_limit_stops_after_so_many_rows_and_the_next_run_goes_on(self, part, capsys):
        first = replay(part, "--limit", "100", capsys=capsys)
        assert first["rows"] == 100

        replay(part, capsys=capsys)

        assert histories() == histories_of_file(part)

    @pytest.mark.parametrize(
        "options", [["--speed", "0"], ["--speed", "nan"], ["--speed", "fast"], ["--tenants", "0"]]
    )
    def test_that_make_no_sense_are_refused(self, export, options):
        with pytest.raises(CommandError, match=r"is neither max nor|is not a whole number"):
            call_command("replay_incidents", str(export()), *options)
