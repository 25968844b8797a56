"""What a replay says about itself."""

from apps.helpdesk.incidents.report import MOST_REASONS, Outcome, Refusals, Report


class TestRefusals:
    def test_groups_by_reason_with_the_first_lines(self):
        refusals = Refusals()
        for line in range(2, 12):
            refusals.add(line, "bad date")
        refusals.add(3, "a NUL byte")

        assert refusals.grouped() == [
            {"reason": "bad date", "rows": 10, "first_lines": [2, 3, 4, 5, 6]},
            {"reason": "a NUL byte", "rows": 1, "first_lines": [3]},
        ]

    def test_stays_short_when_every_row_has_a_reason_of_its_own(self):
        refusals = Refusals()
        for line in range(1_000):
            refusals.add(line, f"unknown state {line}")

        groups = refusals.grouped()

        assert len(groups) == MOST_REASONS + 1
        assert sum(group["rows"] for group in groups) == 1_000


class TestReport:
    def test_counts_every_row_once(self):
        report = Report("export.csv", tenants=["Acme"], incidents=2, seconds=2.0)
        report.outcomes.update(dict.fromkeys(Outcome, 2))
        report.edits = 3
        report.refusals.add(7, "bad date")

        facts = report.as_dict()

        assert facts["rows"] == 11
        assert (facts["tickets"], facts["changes"], facts["edits"]) == (2, 2, 3)
        assert facts["events_per_second"] == 3.5
        assert "    1 times: bad date (line 7)" in report.lines()

    def test_says_how_to_continue(self):
        report = Report("export.csv", interrupted=True)

        assert "continues" in report.lines()[-1]
