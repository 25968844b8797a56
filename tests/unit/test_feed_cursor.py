"""A connection's way over the log: what it is told, and when it cannot go on."""

import json
import random
from uuid import UUID

import pytest

from apps.noc.feed import wire
from apps.noc.feed.cursor import TOO_FAR_EVENTS, Cursor, reset_reason
from outbox.log import Head
from tests.unit.test_wire import PAYLOADS, Row

EPOCH = "97f4b8b3-04bc-4811-8b0c-2d95a0be7069"


def event(seq: int, site_id: int | None) -> wire.Event:
    payload = PAYLOADS["ticket_created"] | {"site_id": site_id}
    return wire.event_of(Row("ticket_created", payload, seq=seq, epoch=EPOCH))


class TestCursor:
    def test_of_every_site_has_no_hole(self) -> None:
        cursor = Cursor(EPOCH, None)
        cursor.place(4, EPOCH)

        frames = [json.loads(cursor.step(event(seq, 1)).text) for seq in (5, 6)]

        assert [(frame["prev"], frame["seq"]) for frame in frames] == [(4, 5), (5, 6)]

    def test_refuses_to_jump(self) -> None:
        cursor = Cursor(EPOCH, None)

        with pytest.raises(AssertionError):
            cursor.step(event(2, 1))

    def test_narrows_and_never_widens(self) -> None:
        cursor = Cursor(EPOCH, None)

        cursor.narrow({1, 2})
        cursor.narrow({2, 3})

        assert cursor.sites == {2}

    @pytest.mark.parametrize("seed", range(20))
    def test_lets_a_client_that_follows_the_rules_see_all_and_no_gap(self, seed: int) -> None:
        chance = random.Random(seed)
        sites = chance.choice([None, frozenset({1}), frozenset({1, 2}), frozenset()])
        start = chance.randrange(10)
        log = [event(seq, chance.choice([1, 2, 3, None])) for seq in range(start + 1, start + 60)]
        cursor = Cursor(EPOCH, sites)
        cursor.place(start, EPOCH)
        last, seen = start, []

        for each in log:
            made = cursor.step(each)
            if made is not None:
                frame = json.loads(made.text)
                assert frame["prev"] <= last < frame["seq"]  # no gap, and nothing twice
                last = frame["seq"]
                seen.append(last)
            if chance.random() < 0.2:
                last = max(last, cursor.position)  # a ping

        assert seen == [each.seq for each in log if each.visible(sites)]


class TestResetReason:
    HEAD = Head(epoch=UUID(EPOCH), last_seq=100, published_seq=100, min_seq=40)

    @pytest.mark.parametrize(
        ("after_seq", "epoch", "reason"),
        [
            (100, EPOCH, None),
            (39, EPOCH, None),
            (38, EPOCH, "trimmed"),
            (101, EPOCH, "ahead"),
            (100, "another", "epoch"),
            (100, "", "epoch"),
        ],
    )
    def test_judges_a_place(self, after_seq: int, epoch: str, reason: str | None) -> None:
        assert reset_reason(self.HEAD, after_seq=after_seq, epoch=epoch) == reason

    def test_of_an_empty_log_is_none_at_its_start(self) -> None:
        empty = Head(epoch=UUID(EPOCH), last_seq=0, published_seq=0, min_seq=1)

        assert reset_reason(empty, after_seq=0, epoch=EPOCH) is None

    def test_of_a_log_emptied_by_retention_is_none_at_its_head_only(self) -> None:
        emptied = Head(epoch=UUID(EPOCH), last_seq=9, published_seq=9, min_seq=10)

        assert reset_reason(emptied, after_seq=9, epoch=EPOCH) is None
        assert reset_reason(emptied, after_seq=8, epoch=EPOCH) == "trimmed"

    def test_sends_who_is_too_far_behind_to_the_snapshot(self) -> None:
        head = Head(epoch=UUID(EPOCH), last_seq=90_000, published_seq=90_000, min_seq=1)

        at = 90_000 - TOO_FAR_EVENTS
        assert reset_reason(head, after_seq=at, epoch=EPOCH) is None
        assert reset_reason(head, after_seq=at - 1, epoch=EPOCH) == "too_far"
