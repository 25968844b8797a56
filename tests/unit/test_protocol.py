"""The protocol's documents agree with the code and with each other, and its checks catch faults."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from apps.noc.feed import bye, control, wire
from outbox.log import Head
from tests.compose_file import ROOT
from tests.protocol_frames import EPOCH, OTHER, event, hello, synced
from tests.protocol_schemas import (
    Conversation,
    check_client_frame,
    check_server_frame,
    messages,
    schema,
)
from tests.unit.test_wire import PAYLOADS, Row

DOCS = ROOT / "docs"
ENVELOPE = ["type", "seq", "prev", "epoch", "event_id"]
KINDS = {int: "integer", str: "string", type(None): "null"}
CONTROL = {"hello", "synced", "ping", "reset", "error", "bye"}
LEFT = "ticket_left"  # what ticket_moved is for who sees only the site that the ticket left


def kinds_of(part: dict[str, Any]) -> set[str]:
    """The JSON types that a property's schema allows."""
    if "$ref" in part:
        return kinds_of(schema("server")["$defs"][part["$ref"].rpartition("/")[2]])
    if "enum" in part:
        return {KINDS[type(value)] for value in part["enum"]}
    kinds = part["type"]
    return {kinds} if isinstance(kinds, str) else set(kinds)


class TestSchemas:
    @pytest.mark.parametrize("side", ["server", "client"])
    def test_are_json_schema(self, side: str) -> None:
        Draft202012Validator.check_schema(schema(side))

    @pytest.mark.parametrize("side", ["server", "client"])
    def test_allow_no_other_key(self, side: str) -> None:
        for each in messages(side).values():
            assert each["additionalProperties"] is False
            optional = each["properties"].keys() - each["required"]
            assert optional <= {"replay_of", "retry_after_ms"}

    def test_of_events_are_those_of_the_code(self) -> None:
        assert messages("server").keys() - CONTROL - {LEFT} == wire.FIELDS.keys()

    @pytest.mark.parametrize("kind", wire.FIELDS)
    def test_have_the_keys_of_the_code_in_their_order(self, kind: str) -> None:
        properties = messages("server")[kind]["properties"]

        assert properties["type"] == {"const": kind}
        assert list(properties) == [*ENVELOPE, *wire.FIELDS[kind], "replay_of"]
        for key, kinds in wire.FIELDS[kind].items():
            named = {"number"} if float in kinds else set()
            rest = kinds - {int, float} if float in kinds else kinds
            assert kinds_of(properties[key]) == named | {KINDS[each] for each in rest}

    def test_know_every_close_code(self) -> None:
        codes = {value for value in vars(bye).values() if type(value) is int}

        assert codes | {4400} == set(messages("server")["bye"]["properties"]["code"]["enum"])

    @pytest.mark.parametrize("values", ["reason", "code", "type"])
    def test_agree_with_the_words_of_the_protocol(self, values: str) -> None:
        text = (DOCS / "protocol.md").read_text(encoding="utf-8")
        named = {
            value
            for side in ("server", "client")
            for each in messages(side).values()
            for value in each["properties"].get(values, {}).get("enum", [])
        } | {each["properties"]["type"]["const"] for each in messages("server").values()}

        assert not [value for value in named if str(value) not in text]


class TestFramesOfTheCode:
    @pytest.mark.parametrize("sites", [None, frozenset({9}), frozenset({10})])
    @pytest.mark.parametrize("replay_of", [None, 7])
    @pytest.mark.parametrize("kind", [*PAYLOADS, "unknown"])
    def test_of_events_pass(
        self, kind: str, replay_of: int | None, sites: frozenset[int] | None
    ) -> None:
        row = Row(kind, PAYLOADS.get(kind, {}), epoch=EPOCH, replay_of=replay_of)
        event = wire.event_of(row)
        if event.visible(sites):
            check_server_frame(event.text(prev=1041, sites=sites))

    def test_of_control_pass(self) -> None:
        head = Head(epoch=EPOCH, last_seq=0, published_seq=0, min_seq=1)
        for text in (
            control.hello(OTHER, head, None),
            control.hello(OTHER, head, frozenset({2, 1})),
            control.synced(0),
            control.ping(head=2, position=1),
            *(control.reset(r, head) for r in ("trimmed", "epoch", "ahead", "too_far", "scope")),
            control.error("bad_message", "no"),
            control.error("bad_cursor", "no"),
            control.error("rate_limited", "no", retry_after_ms=1),
            control.error("unavailable", "no", retry_after_ms=1),
            control.bye(bye.DRAIN, "the server stops", retry_after_ms=0),
        ):
            check_server_frame(text)


HELLO = hello()
PING = {"type": "ping", "head": 12, "pos": 12, "t": "2026-01-01T10:00:00.5Z"}
BYE = {"type": "bye", "code": 4000, "reason": "stops", "retry_after_ms": 5}
BAD = {"type": "error", "code": "bad_message", "message": "no", "temporary": False}


def reset(reason: str = "trimmed", epoch: str = EPOCH) -> dict[str, Any]:
    return {"type": "reset", "reason": reason, "epoch": epoch, "head": 10, "min_seq": 1}


def resume(after_seq: int) -> dict[str, Any]:
    return {"type": "resume", "after_seq": after_seq, "epoch": EPOCH}


class TestFrameChecks:
    @pytest.mark.parametrize(
        "frame",
        [
            event(5) | {"secret": 1},
            event(5, prev=5),
            event(0, prev=0),
            event(5) | {"seq": 5.0},
            event(5) | {"epoch": "k3f9"},
            {key: value for key, value in event(5).items() if key != "ticket_no"},
            event(5) | {"type": "ticket_exploded"},
            event(5) | {"type": None},
            reset("bored"),
            BYE | {"code": 1000},
            BAD | {"temporary": True},
            BAD | {"retry_after_ms": 5},
            BAD | {"code": "unavailable"},
            PING | {"pos": 13},
            PING | {"t": "2026-01-01T10:00:00+00:00"},
            HELLO | {"scope": {"sites": [1, 1]}},
        ],
    )
    def test_refuse_a_wrong_frame_of_the_server_and_quote_it(self, frame: dict[str, Any]) -> None:
        with pytest.raises(AssertionError, match=r"against the protocol.*\n\{"):
            check_server_frame(frame)

    @pytest.mark.parametrize("text", ["[]", "nonsense", '{"type":"synced","seq":NaN}', "x" * 40000])
    def test_refuse_what_is_no_frame(self, text: str) -> None:
        with pytest.raises(AssertionError, match="against the protocol"):
            check_server_frame(text)

    @pytest.mark.parametrize(
        "frame",
        [
            resume(-1),
            resume(2**63),
            {"type": "resume", "after_seq": 1},
            {"type": "ack", "seq": True},
            {"type": "ack", "seq": 1.0},
            {"type": "pong", "seq": 1, "pad": "x"},
            {"type": "subscribe", "sites": ["1"]},
            {"type": "resume", "after_seq": 1, "epoch": "x" * 4096},
            {"type": "hello"},
        ],
    )
    def test_refuse_a_wrong_frame_of_the_client(self, frame: dict[str, Any]) -> None:
        with pytest.raises(AssertionError, match="against the protocol"):
            check_client_frame(frame)


def play(query: str, *frames: dict[str, Any] | str) -> Conversation:
    """Let a conversation hear these frames; text is a client's frame that breaks the protocol."""
    conversation = Conversation(query, may_err=True)
    for frame in frames:
        if isinstance(frame, str) or frame["type"] in messages("client"):
            conversation.client(frame if isinstance(frame, str) else json.dumps(frame))
        else:
            conversation.server(json.dumps(frame))
    return conversation


FROM_10 = f"after_seq=10&epoch={EPOCH}"
SOME = HELLO | {"scope": {"sites": [1, 2]}}
MOVED = PAYLOADS["ticket_moved"] | {"type": "ticket_moved", "site_id": 3, "old_site_id": 1}
LATER = PING | {"t": "2026-01-01T10:00:20Z"}


class TestConversation:
    @pytest.mark.parametrize(
        ("query", "frames"),
        [
            ("", [HELLO, synced(10), event(11), PING, event(13), BYE]),
            ("", [BYE]),
            ("", [SOME, synced(10), event(13, 10), PING | {"pos": 20, "head": 20}, event(30, 13)]),
            (FROM_10, [HELLO, event(11), event(12), synced(12), event(13)]),
            (FROM_10, [HELLO, reset(), PING, resume(20), event(21), synced(21)]),
            ("after_seq=1", [HELLO, BAD | {"code": "bad_cursor"}, reset("epoch")]),
            # What was on its way when the client asked.
            (FROM_10, [HELLO, event(11), resume(10), event(12), event(11), event(12), synced(12)]),
            ("", [HELLO, synced(10), event(11), resume(30), event(31), synced(31)]),
            ("", [HELLO, synced(10), {"type": "subscribe", "sites": []}, synced(40)]),
            ("", [HELLO, synced(10), "nonsense", event(11), BAD, event(12)]),
            ("", [HELLO, synced(10), reset("epoch", OTHER), resume(5), event(6, epoch=OTHER)]),
            ("", [SOME, synced(10), reset("scope"), BYE]),
        ],
    )
    def test_takes_what_keeps_the_rules(self, query: str, frames: list[Any]) -> None:
        play(query, *frames)

    @pytest.mark.parametrize(
        ("query", "frames", "why"),
        [
            ("", [synced(1)], "hello is first"),
            ("", [HELLO, HELLO], "hello is first, and once"),
            ("", [HELLO, synced(10), event(10)], "the client has 10"),
            ("", [HELLO, synced(10), event(12)], "a gap"),
            ("", [SOME, synced(10), event(13, 11)], "a gap"),
            ("", [HELLO, synced(10), event(11), event(11)], "the client has 11"),
            ("", [HELLO, synced(10), event(11, 9)], "prev is not seq - 1"),
            ("", [HELLO, synced(10), event(11, epoch=OTHER)], "the epoch is"),
            ("", [HELLO, synced(10), synced(10)], "nothing asked"),
            ("", [HELLO, synced(9)], "the client has 10"),
            ("", [HELLO, synced(10), resume(5), synced(10), event(7, 6)], "the client has 10"),
            ("", [HELLO, synced(10), PING, event(12)], "the client has 12"),
            ("", [HELLO, synced(10), PING | {"pos": 9}], "the client has 10"),
            (FROM_10, [HELLO, reset(), event(11)], "without a resume"),
            (FROM_10, [HELLO, reset(), synced(10)], "without a resume"),
            ("", [HELLO, synced(10), BAD], "no frame of the client"),
            ("", [HELLO, synced(10), "nonsense", PING, LATER], "unanswered"),
            ("", [HELLO, synced(10), resume(5), PING, LATER], "unanswered"),
            ("", [HELLO, BYE, PING], "follows a bye"),
            ("", [SOME, synced(10), event(11, 10, site_id=3)], "the scope is"),
            ("", [SOME, synced(10), event(11, 10, site_id=None)], "the scope is"),
        ],
    )
    def test_refuses_what_breaks_one(self, query: str, frames: list[Any], why: str) -> None:
        play(query, *frames[:-1])
        with pytest.raises(AssertionError, match=why):
            play(query, *frames)

    def test_refuses_a_wrong_frame_of_a_client_that_may_not_err(self) -> None:
        with pytest.raises(AssertionError, match="against the protocol"):
            Conversation().client("nonsense")

    @pytest.mark.parametrize(("frames", "code"), [([], 4000), ([BYE], 4001), ([BYE], 1000)])
    def test_refuses_a_close_that_the_bye_did_not_tell(self, frames: list[Any], code: int) -> None:
        with pytest.raises(AssertionError, match="Closed with"):
            play("", HELLO, *frames).closed(code)


class TestDocument:
    """docs/asyncapi.yaml."""

    @pytest.fixture
    def document(self) -> dict[str, Any]:
        read: dict[str, Any] = yaml.safe_load((DOCS / "asyncapi.yaml").read_text(encoding="utf-8"))
        return read

    def test_refers_only_to_what_exists(self, document: dict[str, Any]) -> None:
        found = list(references(document))

        assert len(found) > 40
        for reference in found:
            resolve(document, reference)

    def test_has_a_message_for_each_schema(self, document: dict[str, Any]) -> None:
        described = document["components"]["messages"]

        assert {name: each["payload"]["$ref"] for name, each in described.items()} == {
            name: f"./schemas/{side}.json#/$defs/{name}"
            for side in ("server", "client")
            for name in messages(side)
        }
        assert {name: each["name"] for name, each in described.items()} == {
            name: each["properties"]["type"]["const"]
            for side in ("server", "client")
            for name, each in messages(side).items()
        }
        assert document["channels"]["feed"]["messages"] == {
            name: {"$ref": f"#/components/messages/{name}"} for name in described
        }

    @pytest.mark.parametrize(("action", "side"), [("send", "server"), ("receive", "client")])
    def test_says_who_sends_what(self, document: dict[str, Any], action: str, side: str) -> None:
        (operation,) = [o for o in document["operations"].values() if o["action"] == action]

        assert [each["$ref"] for each in operation["messages"]] == [
            f"#/channels/feed/messages/{name}" for name in messages(side)
        ]

    def test_has_examples_that_keep_the_schemas(self, document: dict[str, Any]) -> None:
        for name, each in document["components"]["messages"].items():
            check = check_server_frame if name in messages("server") else check_client_frame
            assert each["examples"], name
            for example in each["examples"]:
                assert check(example["payload"])["type"] == each["name"]

    def test_explains_each_close_code(self, document: dict[str, Any]) -> None:
        (codes,) = [messages("server")["bye"]["properties"]["code"]["enum"]]

        told = document["components"]["messages"]["bye"]["description"]
        assert not [code for code in codes if str(code) not in told]


def references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if "$ref" in part:
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def resolve(document: dict[str, Any], reference: str) -> Any:
    """Return what a reference points at; ``KeyError`` or ``OSError`` when there is nothing."""
    name, _, pointer = reference.partition("#")
    place: Any = json.loads((DOCS / name).read_text(encoding="utf-8")) if name else document
    for key in pointer.split("/")[1:]:
        place = place[key]
    return place
