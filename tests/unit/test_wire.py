"""The frame of every event type, for every kind of scope (docs: protocol, frames)."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from apps.noc.feed import wire

TICKET = {
    "ticket_id": 12345,
    "ticket_no": "SITE001#42",
    "priority": "HIGH",
    "assigned_to": "John Doe",
    "site_id": 10,
    "site_name": "Downtown Office",
    "description": "Network connectivity issue…",
    "updated_at": "2025-11-02T10:30:00Z",
    "version": 3,
}
PAYLOADS: dict[str, dict[str, Any]] = {
    "ticket_updated": {**TICKET, "old_status": "NEW", "new_status": "IN_PROGRESS"},
    "ticket_created": {**TICKET, "status": "NEW"},
    "ticket_edited": {**TICKET, "status": "NEW"},
    "ticket_deleted": {"ticket_id": 12345, "ticket_no": "SITE001#42", "site_id": 10},
    "ticket_moved": {**TICKET, "status": "NEW", "old_site_id": 9},
    "ticket_acknowledged": {
        "ticket_id": 12345,
        "ticket_no": "SITE001#42",
        "site_id": 10,
        "site_name": "Downtown Office",
        "acknowledged_by": "John Doe",
        "acknowledged_at": "2025-11-02T10:30:00Z",
    },
    "ticket_unacknowledged": {
        "ticket_id": 12345,
        "ticket_no": "SITE001#42",
        "site_id": 10,
        "site_name": "Downtown Office",
    },
    "ticket_commented": {
        "comment_id": 8,
        "ticket_id": 12345,
        "ticket_no": "SITE001#42",
        "site_id": 10,
        "site_name": "Downtown Office",
        "author": "John Doe",
        "text": "Carrier was called.",
        "written_at": "2025-11-02T10:30:00Z",
    },
    "finding_created": {
        "finding_id": 4,
        "title": "Backup missing",
        "severity": "HIGH",
        "site_id": 10,
        "site_name": "Downtown Office",
        "status": "NEW",
        "created_at": "2025-11-02T10:30:00Z",
    },
    "anomaly_detected": {
        "anomaly_id": 5,
        "metric": "packet_loss",
        "observed": 0.25,
        "expected": 0,
        "severity": "CRITICAL",
        "site_id": 10,
        "site_name": "Downtown Office",
        "detected_at": "2025-11-02T10:30:00Z",
    },
    "canary": {"canary_id": 6, "site_id": None, "sent_at": "2025-11-02T10:30:00Z"},
}
ENVELOPE = {"seq", "prev", "epoch", "event_id", "type"}


@dataclass
class Row:
    type: str
    payload: Any
    stream: str = "tenant:7"
    seq: int = 1042
    epoch: str = "k3f9"
    event_id: str = "6f9619ff-8b86-d011-b42d-00cf4fc964ff"
    replay_of: int | None = None
    context: Any = field(default_factory=dict)
    occurred_at: datetime = field(default_factory=lambda: datetime(2025, 11, 2, 10, 30, tzinfo=UTC))


def frame(row: Row, sites: frozenset[int] | None = None, prev: int = 1041) -> dict[str, Any] | None:
    event = wire.event_of(row)
    return json.loads(event.text(prev=prev, sites=sites)) if event.visible(sites) else None


class TestFrame:
    @pytest.mark.parametrize("kind", PAYLOADS)
    def test_carries_the_payload_and_the_envelope_and_nothing_else(self, kind: str) -> None:
        got = frame(Row(kind, PAYLOADS[kind] | {"secret": "x", "seq": 7, "type": "y"}))

        assert got == {
            "type": kind,
            "seq": 1042,
            "prev": 1041,
            "epoch": "k3f9",
            "event_id": "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
            **PAYLOADS[kind],
        }

    def test_keeps_the_order_of_the_seed(self) -> None:
        got = frame(Row("ticket_updated", dict(reversed(PAYLOADS["ticket_updated"].items()))))

        assert got is not None
        assert list(got) == [
            *("type", "seq", "prev", "epoch", "event_id"),
            *("ticket_id", "ticket_no", "old_status", "new_status", "priority", "assigned_to"),
            *("site_id", "site_name", "description", "updated_at", "version"),
        ]

    @pytest.mark.parametrize("number", [0, -1.5, 1e300, 10**30])
    def test_carries_any_number_that_a_metric_can_have(self, number: float) -> None:
        got = frame(Row("anomaly_detected", PAYLOADS["anomaly_detected"] | {"observed": number}))

        assert got is not None
        assert got["observed"] == pytest.approx(number)

    def test_names_the_event_that_it_replays(self) -> None:
        got = frame(Row("ticket_created", PAYLOADS["ticket_created"], replay_of=7))

        assert got is not None
        assert got["replay_of"] == 7

    def test_survives_hostile_text_unchanged(self) -> None:
        hostile = '</script>"\\\u2028\x01 <img src=x onerror=alert(1)> é 🔥'
        got = frame(Row("ticket_created", PAYLOADS["ticket_created"] | {"description": hostile}))

        assert got is not None
        assert got["description"] == hostile


class TestScope:
    @pytest.mark.parametrize(
        "kind", [kind for kind in PAYLOADS if kind not in ("ticket_moved", "canary")]
    )
    @pytest.mark.parametrize(
        ("sites", "sees"),
        [(None, True), (frozenset({10}), True), (frozenset({9}), False), (frozenset(), False)],
    )
    def test_decides_by_the_site(self, kind: str, sites: frozenset[int] | None, sees: bool) -> None:
        assert (frame(Row(kind, PAYLOADS[kind]), sites) is not None) is sees

    @pytest.mark.parametrize(
        "kind",
        ["ticket_created", "ticket_deleted", "finding_created", "anomaly_detected", "canary"],
    )
    def test_shows_what_has_no_site_to_the_scope_of_all_sites_only(self, kind: str) -> None:
        row = Row(kind, PAYLOADS[kind] | {"site_id": None})

        assert frame(row) is not None
        assert frame(row, frozenset({9, 10})) is None

    @pytest.mark.parametrize("sites", [None, frozenset({10}), frozenset({9, 10})])
    def test_gives_a_move_whole_to_who_sees_the_new_site(self, sites: frozenset[int]) -> None:
        got = frame(Row("ticket_moved", PAYLOADS["ticket_moved"]), sites)

        assert got is not None
        assert {key: got[key] for key in got.keys() - ENVELOPE} == PAYLOADS["ticket_moved"]

    def test_tells_who_sees_only_the_old_site_that_the_ticket_left(self) -> None:
        got = frame(Row("ticket_moved", PAYLOADS["ticket_moved"]), frozenset({9}))

        assert got is not None
        assert {key: got[key] for key in got.keys() - ENVELOPE} == {
            "ticket_id": 12345,
            "ticket_no": "SITE001#42",
            "site_id": 9,
        }

    def test_hides_a_move_between_sites_that_it_does_not_see(self) -> None:
        assert frame(Row("ticket_moved", PAYLOADS["ticket_moved"]), frozenset({1})) is None


class TestPoison:
    @pytest.mark.parametrize(
        ("kind", "payload"),
        [
            ("billing_closed", {"anything": 1}),
            ("event_failed", {"event_type": "x"}),
            ("ticket_updated", {}),
            ("ticket_updated", None),
            ("ticket_updated", ["a", "list"]),
            ("ticket_updated", PAYLOADS["ticket_created"]),
            ("ticket_updated", PAYLOADS["ticket_updated"] | {"ticket_id": "12345"}),
            ("ticket_updated", PAYLOADS["ticket_updated"] | {"ticket_id": True}),
            ("ticket_updated", PAYLOADS["ticket_updated"] | {"ticket_id": 2**70}),
            ("ticket_updated", PAYLOADS["ticket_updated"] | {"version": None}),
            ("ticket_updated", PAYLOADS["ticket_updated"] | {"description": "x" * 40_000}),
            ("ticket_updated", PAYLOADS["ticket_updated"] | {"description": "é" * 17_000}),
            ("anomaly_detected", PAYLOADS["anomaly_detected"] | {"observed": float("inf")}),
            ("anomaly_detected", PAYLOADS["anomaly_detected"] | {"observed": float("nan")}),
            ("anomaly_detected", PAYLOADS["anomaly_detected"] | {"observed": 10**400}),
        ],
    )
    @pytest.mark.parametrize("sites", [None, frozenset({10}), frozenset()])
    def test_becomes_event_failed_in_its_place_for_every_scope(
        self, kind: str, payload: Any, sites: frozenset[int] | None
    ) -> None:
        assert frame(Row(kind, payload), sites) == {
            "type": "event_failed",
            "seq": 1042,
            "prev": 1041,
            "epoch": "k3f9",
            "event_id": "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
            "event_type": kind,
        }

    @pytest.mark.parametrize(
        ("kind", "payload", "fault"),
        [
            ("billing_closed", {}, "the type 'billing_closed' is unknown to this release"),
            ("event_failed", {}, "the type 'event_failed' is unknown to this release"),
            ("ticket_updated", ["a"], "the payload of ticket_updated is a list, not an object"),
            ("ticket_deleted", {"ticket_id": 1}, "ticket_deleted lacks the key 'ticket_no'"),
            (
                "ticket_updated",
                PAYLOADS["ticket_updated"] | {"priority": None},
                "ticket_updated has null as 'priority', not a text",
            ),
            (
                "ticket_updated",
                PAYLOADS["ticket_updated"] | {"site_id": True},
                "ticket_updated has true or false as 'site_id', not an integer or null",
            ),
            (
                "ticket_updated",
                PAYLOADS["ticket_updated"] | {"ticket_id": 2**70},
                "ticket_updated has a number out of range as 'ticket_id'",
            ),
            (
                "anomaly_detected",
                PAYLOADS["anomaly_detected"] | {"observed": 10**400, "expected": 10**400},
                "anomaly_detected has a number out of range as 'observed'",
            ),
            (
                "ticket_updated",
                PAYLOADS["ticket_updated"] | {"description": "secret" * 7_000},
                "the fields of ticket_updated are larger than 32,768 bytes",
            ),
        ],
    )
    def test_is_told_by_name_and_quotes_no_value(self, kind: str, payload: Any, fault: str) -> None:
        assert wire.fault_of(Row(kind, payload)) == fault

    @pytest.mark.parametrize("kind", list(PAYLOADS))
    def test_is_nothing_that_can_be_a_frame(self, kind: str) -> None:
        assert wire.fault_of(Row(kind, PAYLOADS[kind])) is None

    def test_is_nothing_of_a_stream_without_frames(self) -> None:
        assert wire.fault_of(Row("access_changed", {"user_id": 1}, stream="access")) is None

    def test_spares_a_row_that_only_might_have_been_too_big(self) -> None:
        payload = PAYLOADS["ticket_updated"] | {"description": "x" * 30_000}

        assert frame(Row("ticket_updated", payload))["type"] == "ticket_updated"


class TestLayerMessage:
    @pytest.mark.parametrize("kind", [*PAYLOADS, "billing_closed"])
    def test_gives_the_same_frame_as_the_row(self, kind: str) -> None:
        row = Row(kind, PAYLOADS.get(kind, {}), replay_of=3)

        assert wire.event_of_message(wire.layer_message(row)[0]) == wire.event_of(row)

    def test_is_flat_and_named_like_its_handler(self) -> None:
        assert wire.layer_message(Row("ticket_updated", PAYLOADS["ticket_updated"]))[0] == {
            "type": "ticket_updated",
            **PAYLOADS["ticket_updated"],
            "tenant_id": 7,
            "seq": 1042,
            "epoch": "k3f9",
            "event_id": "6f9619ff-8b86-d011-b42d-00cf4fc964ff",
            "occurred_at": "2025-11-02T10:30:00Z",
        }

    @pytest.mark.parametrize(
        ("kind", "sites"),
        [("ticket_updated", [10]), ("ticket_moved", [10, 9]), ("billing_closed", [])],
    )
    def test_names_the_sites_that_it_concerns(self, kind: str, sites: list[int]) -> None:
        assert wire.layer_message(Row(kind, PAYLOADS.get(kind, {})))[1] == sites

    @pytest.mark.parametrize(
        "message", [{}, {"type": "ticket_updated"}, {"type": "x", "seq": 1}, {"type": 1, "seq": 1}]
    )
    def test_that_no_row_made_is_no_event(self, message: dict[str, Any]) -> None:
        assert wire.event_of_message(message) is None

    @pytest.mark.parametrize("moment", [None, "", "yesterday", 7])
    def test_of_no_moment_is_no_event(self, moment: object) -> None:
        message, _ = wire.layer_message(Row("ticket_updated", PAYLOADS["ticket_updated"]))

        assert wire.event_of_message({**message, "occurred_at": moment}) is None


class TestRequestId:
    def test_is_in_the_message_of_the_layer_and_in_no_frame(self) -> None:
        row = Row("ticket_created", PAYLOADS["ticket_created"], context={"request_id": "r-1"})

        message, _ = wire.layer_message(row)
        event = wire.event_of_message(message)

        assert message["request_id"] == "r-1"
        assert event == wire.event_of(row)
        assert event is not None
        assert event.request_id == "r-1"
        assert "r-1" not in event.text(prev=1041, sites=None)

    @pytest.mark.parametrize("context", [{}, {"actor": "a"}, [], None, "x", {"request_id": 7}])
    def test_is_absent_when_the_context_has_none(self, context: Any) -> None:
        row = Row("ticket_created", PAYLOADS["ticket_created"], context=context)

        assert "request_id" not in wire.layer_message(row)[0]
        assert wire.event_of(row).request_id is None

    def test_is_cut_when_the_context_has_a_long_one(self) -> None:
        row = Row("ticket_created", PAYLOADS["ticket_created"], context={"request_id": "x" * 1_000})

        assert wire.layer_message(row)[0]["request_id"] == "x" * wire.MAX_REQUEST_ID
