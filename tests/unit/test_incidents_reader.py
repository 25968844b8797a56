"""Reading an audit export: what is accepted, what is refused and why, and in which order."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.helpdesk.incidents import mapping
from apps.helpdesk.incidents.reader import Export, UnreadableExport, read, read_lines
from apps.helpdesk.status import Priority, Status
from tests import incident_oracle

HEADER = "number,incident_state,sys_mod_count,sys_updated_at,location,category,priority\r\n"
GOOD = "INC0000045,New,0,29-02-2016 01:23,Location 143,Category 55,3 - Moderate\r\n"


def export(*lines: str, header: str = HEADER) -> Export:
    return read_lines([header, *lines])


def refusals(*lines: str) -> list[tuple[int, str]]:
    return [(refused.line, refused.reason) for refused in export(*lines).refused]


class TestRow:
    def test_has_what_the_columns_say(self):
        (row,) = export(GOOD).rows

        assert (row.line, row.number, row.status, row.priority) == (
            2,
            "INC0000045",
            Status.NEW,
            Priority.MEDIUM,
        )
        assert row.place == (datetime(2016, 2, 29, 1, 23, tzinfo=UTC), 0, 0)
        assert row.location == "Location 143"
        assert row.description == "INC0000045: Category 55"

    @pytest.mark.parametrize(
        ("state", "status", "awaited"),
        [
            ("New", Status.NEW, ""),
            ("Active", Status.IN_PROGRESS, ""),
            ("Awaiting User Info", Status.ON_HOLD, "User Info"),
            ("Awaiting Vendor", Status.ON_HOLD, "Vendor"),
            ("Resolved", Status.RESOLVED, ""),
            ("Closed", Status.CLOSED, ""),
        ],
    )
    def test_maps_the_state(self, state, status, awaited):
        (row,) = export(GOOD.replace("New", state)).rows

        assert (row.status, row.awaited) == (status, awaited)

    @pytest.mark.parametrize(
        ("text", "priority"),
        [
            ("1 - Critical", Priority.CRITICAL),
            ("2 - High", Priority.HIGH),
            ("4 - Low", Priority.LOW),
            ("3", Priority.MEDIUM),
            ("?", None),
            ("9 - Whatever", None),
        ],
    )
    def test_maps_the_priority(self, text, priority):
        (row,) = export(GOOD.replace("3 - Moderate", text)).rows

        assert row.priority == priority

    def test_without_location_is_of_the_unknown_one(self):
        (row,) = export(GOOD.replace("Location 143", "?")).rows

        assert row.location == mapping.UNKNOWN_LOCATION


class TestOtherCopies:
    @pytest.mark.parametrize(
        "text",
        [
            "29-02-2016 01:23",
            "29/02/2016 01:23",
            "29/2/2016 1:23",
            "29.02.2016 01:23:00",
            "2016-02-29 01:23:00",
            "2016-02-29T01:23",
        ],
    )
    def test_write_times_in_many_ways(self, text):
        (row,) = export(GOOD.replace("29-02-2016 01:23", text)).rows

        assert row.updated_at == datetime(2016, 2, 29, 1, 23, tzinfo=UTC)

    def test_may_call_the_state_ident_state(self):
        found = export(GOOD, header=HEADER.replace("incident_state", "ident_state"))

        assert [row.status for row in found.rows] == [Status.NEW]

    def test_may_drop_the_words_of_ids(self):
        (with_words,) = export(GOOD).rows

        (without,) = export("45,New,0,29-02-2016 01:23,143,55,3\r\n").rows

        assert without == with_words

    def test_may_begin_with_a_byte_order_mark(self, tmp_path: Path):
        path = tmp_path / "bom.csv"
        path.write_bytes(b"\xef\xbb\xbf" + (HEADER + GOOD).encode())

        assert len(read(path).rows) == 1

    def test_may_order_name_and_add_columns_as_they_like(self):
        header = "Location,Extra, Sys_Updated_At ,priority,number,incident_state,sys_mod_count\n"

        found = export("Location 1,x,29-02-2016 01:23,4 - Low,INC1,Active,3\n", header=header)

        assert [(row.number, row.mod_count) for row in found.rows] == [("INC0000001", 3)]


class TestRefusal:
    @pytest.mark.parametrize(
        ("line", "reason"),
        [
            (GOOD.replace("New", "-100"), "unknown incident_state '-100'"),
            (GOOD.replace("New", "Awaiting "), "unknown incident_state 'Awaiting'"),
            (GOOD.replace("New", "?"), "incident_state is missing"),
            (GOOD.replace("New", "x" * 500), f"unknown incident_state '{'x' * 40}…'"),
            (GOOD.replace("INC0000045", "?"), "number is missing"),
            (GOOD.replace("INC0000045", ""), "number is missing"),
            (GOOD.replace("INC0000045", "none"), "number is not like INC0000045"),
            (GOOD.replace("29-02-2016 01:23", "?"), "sys_updated_at is missing"),
            *(
                (
                    GOOD.replace("29-02-2016 01:23", text),
                    "sys_updated_at is not like 29-02-2016 01:23",
                )
                for text in ["31-02-2016 01:23", "29-02-2016 24:61", "soon", "29-02/2016 01:23"]
            ),
            (GOOD.replace(",0,", ",?,"), "sys_mod_count is missing"),
            (GOOD.replace(",0,", ",-1,"), "sys_mod_count is not like 7"),
            (GOOD.replace(",0,", ",²,"), "sys_mod_count is not like 7"),
            (GOOD.replace(",0,", f",{'9' * 5000},"), "sys_mod_count is not like 7"),
            (GOOD.replace("Category", "Cat\0egory"), "a NUL byte"),
            ("INC0000045,New\r\n", "too few fields"),
            (GOOD.replace("\r\n", ",more\r\n"), "too many fields"),
            (GOOD.replace("Category 55", '"Category 55'), "not CSV: a quote is not closed"),
            (GOOD.replace("Category 55", '"a" b'), "not CSV: ',' expected after '\"'"),
            (
                GOOD.replace("Category", "x" * 200_000),
                "not CSV: field larger than field limit (131072)",
            ),
        ],
    )
    def test_says_why_and_keeps_the_other_rows(self, line, reason):
        found = export(GOOD, line, GOOD)

        assert [(refused.line, refused.reason) for refused in found.refused] == [(3, reason)]
        assert [row.line for row in found.rows] == [2, 4]

    def test_of_an_open_quote_takes_no_other_row_along(self):
        broken = GOOD.replace("Category 55", '"Category 55')

        found = export(broken, *[GOOD] * 100)

        assert len(found.refused) == 1
        assert [row.line for row in found.rows] == list(range(3, 103))

    def test_does_not_hit_a_quoted_field_of_several_lines(self):
        found = export(
            'INC1,New,0,29-02-2016 01:23,Location 1,"two\r\n', 'lines",4 - Low\r\n', GOOD
        )

        assert not found.refused
        assert [row.line for row in found.rows] == [2, 4]
        assert found.rows[0].description == "INC0000001: two\r\nlines"

    def test_skips_blank_lines(self):
        assert [row.line for row in export("\r\n", GOOD, "\n").rows] == [3]

    @given(st.lists(st.text(max_size=60), max_size=20))
    def test_accounts_for_any_text_without_failing(self, texts):
        found = export(*(text.replace("\n", " ").replace("\r", " ") + "\n" for text in texts), GOOD)

        assert found.rows[-1].description == "INC0000045: Category 55"
        assert len({refused.line for refused in found.refused}) == len(found.refused)


class TestFile:
    def test_without_needed_columns_is_refused_by_their_names(self):
        with pytest.raises(UnreadableExport, match=r"lacks the columns number, location; it has "):
            export(GOOD, header=HEADER.replace("number", "nummer").replace("location", "ort"))

    def test_that_is_empty_is_refused(self):
        with pytest.raises(UnreadableExport, match="it has nothing"):
            read_lines([])

    def test_that_is_not_there_is_refused(self, tmp_path: Path):
        with pytest.raises(UnreadableExport, match="cannot be read: No such file"):
            read(tmp_path / "absent.csv")

    def test_of_other_bytes_is_refused(self, tmp_path: Path):
        path = tmp_path / "picture.csv"
        path.write_bytes(bytes(range(256)) * 50)

        with pytest.raises(UnreadableExport, match="lacks the columns"):
            read(path)


class TestOrder:
    def test_is_by_time_then_modification_count_then_line(self):
        def line(minute: int, mod_count: int) -> str:
            return GOOD.replace("01:23", f"01:{minute}").replace(",0,", f",{mod_count},")

        rows = export(line(30, 1), line(20, 5), line(20, 4), line(20, 4)).rows

        assert [row.line for row in rows] == [4, 5, 3, 2]
        assert [row.nth for row in rows] == [0, 1, 0, 0]

    def test_of_the_real_file_is_read_without_refusals(self):
        path = incident_oracle.real_file()
        if path is None:
            pytest.skip("the audit export is not beside the checkout; NOC_INCIDENTS names one")

        found = read(path)

        assert {row.number for row in found.rows} == incident_oracle.histories_of_file(path).keys()
        assert found.rows == sorted(found.rows, key=lambda row: (*row.place[:2], row.line))
