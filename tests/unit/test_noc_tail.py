"""The lines that noc_tail prints."""

import pytest

from apps.noc.tail_words import line
from tests.unit.test_wire import PAYLOADS


class TestLine:
    @pytest.mark.parametrize(
        ("kind", "words"),
        [
            ("ticket_updated", ["2025-11-02T10:30:00Z", "SITE001#42", "NEW → IN_PROGRESS"]),
            ("ticket_created", ["opened, HIGH: Network connectivity issue…", "@ Downtown Office"]),
            ("ticket_edited", ["edited, HIGH, John Doe"]),
            ("ticket_moved", ["moved from site 9", "@ Downtown Office"]),
            ("ticket_deleted", ["SITE001#42", "deleted", "@ 10"]),
            ("ticket_acknowledged", ["SITE001#42", "acknowledged by John Doe"]),
            ("ticket_unacknowledged", ["no longer acknowledged", "@ Downtown Office"]),
            ("ticket_commented", ["SITE001#42", "John Doe: Carrier was called."]),
            ("finding_created", ["finding 4", "HIGH: Backup missing"]),
            ("anomaly_detected", ["anomaly 5", "CRITICAL: packet_loss 0.25 instead of 0"]),
            ("canary", ["2025-11-02T10:30:00Z", "canary 6", "a test of the way here"]),
        ],
    )
    def test_tells_number_subject_change_and_site(self, kind: str, words: list[str]) -> None:
        text = line({"type": kind, "seq": 1042, **PAYLOADS[kind]})

        assert all(word in text for word in ["1042", *words])

    def test_tells_of_a_ticket_that_left(self) -> None:
        frame = {"type": "ticket_moved", "seq": 1, "ticket_no": "SITE001#42", "site_id": 9}

        assert "left  @ 9" in line(frame)

    def test_tells_of_a_row_without_a_form_and_of_a_replay(self) -> None:
        frame = {"type": "event_failed", "seq": 9, "event_type": "x" * 99, "replay_of": 7}

        assert f"no valid form: {'x' * 59}…  (again, was 7)" in line(frame)

    def test_knows_no_newer_types_and_prints_them(self) -> None:
        assert "ticket_sung" in line({"type": "ticket_sung", "seq": 1})

    def test_lets_nothing_steer_the_terminal(self) -> None:
        hostile = PAYLOADS["ticket_created"] | {"description": "\x1b[2J\u202e\n", "seq": 1}

        assert line({"type": "ticket_created", **hostile}).isprintable()
