"""A connection's parts: each has one scope, one log and no hole."""

from uuid import UUID

import pytest

from apps.noc.feed.admission import Grant
from apps.noc.feed.parts import Parts
from apps.noc.receipts.store import Part

PROCESS, SESSION = UUID(int=1), UUID(int=2)


class Kept:
    """Parts of a user of every site, and what became of them."""

    def __init__(self) -> None:
        self.by_number: dict[int, Part] = {}
        grant = Grant(
            user_id=1,
            tenant_id=2,
            sites=None,
            kind="token",
            key="",
            password="",
            scope_seq=None,
        )
        self.parts = Parts(process=PROCESS, session=SESSION, grant=grant, changed=self._keep)

    def _keep(self, part: Part) -> None:
        self.by_number[part.part] = part

    @property
    def ranges(self) -> list[tuple[int, int, int]]:
        return [(p.start_seq, p.sent_seq, p.acked_seq) for p in self.by_number.values()]


@pytest.fixture
def kept() -> Kept:
    made = Kept()
    made.parts.place(10, "e1", None)
    return made


class TestParts:
    def test_grow_with_what_is_sent_and_confirmed(self, kept: Kept) -> None:
        kept.parts.sent(20)
        kept.parts.ack(15)

        assert kept.ranges == [(10, 20, 15)]

    def test_take_no_confirmation_of_what_was_not_sent(self, kept: Kept) -> None:
        kept.parts.sent(20)

        assert kept.parts.ack(1_000) == 10
        assert kept.ranges == [(10, 20, 20)]

    def test_take_no_confirmation_back(self, kept: Kept) -> None:
        kept.parts.sent(20)
        kept.parts.ack(15)

        assert kept.parts.ack(12) is None
        assert kept.ranges == [(10, 20, 15)]

    def test_go_on_when_a_client_resumes_behind(self, kept: Kept) -> None:
        kept.parts.sent(20)
        kept.parts.place(12, "e1", None)
        kept.parts.sent(15)
        kept.parts.sent(25)

        assert kept.ranges == [(10, 25, 10)]

    def test_begin_anew_when_a_client_resumes_ahead(self, kept: Kept) -> None:
        kept.parts.sent(20)
        kept.parts.place(30, "e1", None)
        kept.parts.sent(31)

        assert kept.ranges == [(10, 20, 10), (30, 31, 30)]
        assert kept.by_number[1].closed_at is not None

    def test_begin_anew_when_a_client_resumes_before_they_began(self, kept: Kept) -> None:
        kept.parts.sent(20)
        kept.parts.place(5, "e1", None)
        kept.parts.sent(8)

        assert kept.ranges == [(10, 20, 10), (5, 8, 5)]

    def test_begin_anew_in_another_log(self, kept: Kept) -> None:
        kept.parts.sent(20)
        kept.parts.place(5, "e2", None)

        assert [p.epoch for p in kept.by_number.values()] == ["e1", "e2"]

    def test_begin_anew_with_another_scope(self, kept: Kept) -> None:
        kept.parts.sent(20)
        kept.parts.narrow(frozenset({7, 3}), 20)
        kept.parts.sent(22)

        assert kept.ranges == [(10, 20, 10), (20, 22, 20)]
        assert [p.sites for p in kept.by_number.values()] == [None, [3, 7]]

    def test_keep_the_slowest_confirmation(self, kept: Kept) -> None:
        for seconds in (0.5, 1.9991, 1.0):
            kept.parts.slowest(seconds)

        assert kept.by_number[1].slowest_ack_ms == 2_000

    def test_end_with_the_close_code(self, kept: Kept) -> None:
        kept.parts.end(4000)
        kept.parts.sent(99)

        assert kept.by_number[1].close_code == 4000
        assert kept.ranges == [(10, 10, 10)]
